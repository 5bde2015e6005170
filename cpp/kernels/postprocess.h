#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "declip/pipeline.h"
#include "kernels/cpu/level.h"

namespace declip {

/// Per pixel, over the words seen so far.
struct WordState {
  float* best = nullptr;     // largest logit
  float* sum = nullptr;      // sum of exp(scale (logit - best))
  int32_t* label = nullptr;  // class of the largest logit, the first of equals
  int64_t pixels = 0;
};

/// Labels pixels from one plane of logits per word, given one after the other,
/// so that the planes of all words never exist together.
class Postprocess {
 public:
  /// word_class: class of each word, every class 0..C-1 at least once, C at
  /// most 65536. PAMR's options are the caller's business.
  Postprocess(const std::vector<int64_t>& word_class,
              const PostOptions& options,
              int64_t height,
              int64_t width);

  /// plane holds height x width logits of word `word`; each word once.
  void add(int64_t word, const float* plane);

  /// Thresholds, closing and counts; once, after every word.
  Segmentation finish();

 private:
  std::vector<bool> kept_classes() const;
  void score_classes(const std::vector<bool>& keep);
  void close_labels();

  std::vector<int64_t> word_class_;
  PostOptions options_;
  int64_t height_ = 0;
  int64_t width_ = 0;
  int64_t classes_ = 0;
  at::Tensor best_;           // [H, W]
  at::Tensor sum_;            // [H, W]
  at::Tensor label_;          // int32 [H, W]
  at::Tensor probability_;    // [H, W], of the label
  at::Tensor planes_;         // [C, H, W] largest logit per class, if needed
  at::Tensor probabilities_;  // [C, H, W], if asked for
  WordState state_;
};

namespace cpu {
/// Takes one more word in; the state starts as -inf, 0, 0.
DECLIP_CPU_TWIN(
    void,
    add_word,
    (const float* plane, float scale, int32_t label, const WordState& state),
    (plane, scale, label, state))
/// maximum[i] = max(maximum[i], plane[i]).
DECLIP_CPU_TWIN(void,
                add_maximum,
                (const float* plane, int64_t pixels, float* maximum),
                (plane, pixels, maximum))
/// Probability of the label: 1 / sum.
DECLIP_CPU_TWIN(void,
                label_probability,
                (const WordState& state, float* probability),
                (state, probability))
/// Probability of a class from the largest logit of its words.
DECLIP_CPU_TWIN(void,
                class_probability,
                (const float* plane,
                 float scale,
                 const WordState& state,
                 float* probability),
                (plane, scale, state, probability))
/// Where `candidate` is above `probability`, it and `label` are taken over.
DECLIP_CPU_TWIN(void,
                take_larger,
                (const float* candidate,
                 int32_t label,
                 int64_t pixels,
                 float* probability,
                 int32_t* labels),
                (candidate, label, pixels, probability, labels))
/// labels[i] = background where probability[i] < threshold.
DECLIP_CPU_TWIN(void,
                threshold_labels,
                (const float* probability,
                 float threshold,
                 int32_t background,
                 int64_t pixels,
                 int32_t* labels),
                (probability, threshold, background, pixels, labels))
/// Largest and smallest label number of 3 x 3 pixels; pixels outside the
/// picture do not take part.
DECLIP_CPU_TWIN(
    void,
    dilate_labels,
    (const int32_t* in, int64_t height, int64_t width, int32_t* out),
    (in, height, width, out))
DECLIP_CPU_TWIN(
    void,
    erode_labels,
    (const int32_t* in, int64_t height, int64_t width, int32_t* out),
    (in, height, width, out))
}  // namespace cpu

}  // namespace declip
