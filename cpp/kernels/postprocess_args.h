#pragma once

#include <cstdint>

#include "kernels/cuda/twin.h"

namespace declip {

/// Per pixel, over the words seen so far.
struct WordState {
  float* best = nullptr;     // largest logit
  float* sum = nullptr;      // sum of exp(scale (logit - best))
  int32_t* label = nullptr;  // class of the largest logit, the first of equals
  int64_t pixels = 0;
};

/// Classes kept per pixel for the area filter.
constexpr int64_t kRanks = 4;

/// Per pixel, the classes with the largest logits, best first, those with lower
/// numbers first among equals. Planes follow each other: rank r of pixel i is
/// at r * pixels + i. Ranks that no class has taken hold -inf and label 0.
struct ClassRanks {
  float* logit = nullptr;
  uint16_t* label = nullptr;
  int64_t pixels = 0;
};

/// Takes one more word in; the state starts as -inf, 0, 0.
DECLIP_TWINS(
    add_word,
    (const float* plane, float scale, int32_t label, const WordState& state),
    (plane, scale, label, state))

/// Takes in a word that may not be a label, after all that may: its share of
/// the sum alone.
DECLIP_TWINS(add_left_out,
             (const float* plane, float scale, const WordState& state),
             (plane, scale, state))

/// *largest = max(*largest, the word's largest probability).
DECLIP_TWINS(
    largest_probability,
    (const float* plane, float scale, const WordState& state, float* largest),
    (plane, scale, state, largest))

/// maximum[i] = max(maximum[i], plane[i]).
DECLIP_TWINS(add_maximum,
             (const float* plane, int64_t pixels, float* maximum),
             (plane, pixels, maximum))

/// Takes one more class in; classes come in ascending order.
DECLIP_TWINS(add_class,
             (const float* plane, int32_t label, const ClassRanks& ranks),
             (plane, label, ranks))

/// The best rank whose class is kept: its logit and label; -inf and 0 where no
/// rank is kept. Adds the number of those pixels to *open.
DECLIP_TWINS(choose_kept,
             (const ClassRanks& ranks,
              const uint8_t* keep,
              float* chosen,
              int32_t* labels,
              int64_t* open),
             (ranks, keep, chosen, labels, open))

/// Where plane is above `chosen`, it and `label` are taken over.
DECLIP_TWINS(take_larger,
             (const float* plane,
              int32_t label,
              int64_t pixels,
              float* chosen,
              int32_t* labels),
             (plane, label, pixels, chosen, labels))

/// Probability of a class from the largest logit of its words.
DECLIP_TWINS(class_probability,
             (const float* plane,
              float scale,
              const WordState& state,
              float* probability),
             (plane, scale, state, probability))

/// How certain the class of the largest logit is, coded in a byte as
/// code_certainty() says.
DECLIP_TWINS(label_certainty,
             (const WordState& state, uint8_t* certainty),
             (state, certainty))

/// The label becomes `background` where the probability of the logit `chosen`
/// is below `threshold`.
DECLIP_TWINS(threshold_labels,
             (const float* chosen,
              float scale,
              float threshold,
              int32_t background,
              const WordState& state),
             (chosen, scale, threshold, background, state))

/// Adds the pixels of class c to counts[c].
DECLIP_TWINS(
    count_labels,
    (const int32_t* labels, int64_t pixels, int64_t classes, int64_t* counts),
    (labels, pixels, classes, counts))

/// Largest and smallest label number of 3 x 3 pixels; pixels outside the
/// picture do not take part.
DECLIP_TWINS(dilate_labels,
             (const int32_t* in, int64_t height, int64_t width, int32_t* out),
             (in, height, width, out))
DECLIP_TWINS(erode_labels,
             (const int32_t* in, int64_t height, int64_t width, int32_t* out),
             (in, height, width, out))

}  // namespace declip
