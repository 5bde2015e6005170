#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "declip/pipeline.h"
#include "kernels/cpu/level.h"
#include "kernels/postprocess_math.h"

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
///
/// An area filter needs the best class among those that it kept, which are
/// known only when every pixel has its label. The kRanks best classes of every
/// pixel answer that for nearly all; where all of them were removed, the words
/// of the kept classes, of which there are few, are asked for once more.
class Postprocess {
 public:
  /// word_class: class of each word, every class 0..C-1 at least once, C at
  /// most 65536. PAMR's options are the caller's business.
  Postprocess(const std::vector<int64_t>& word_class,
              const PostOptions& options,
              int64_t height,
              int64_t width,
              at::Device device = at::kCPU);

  /// All words in the order in which they have to come: class by class.
  const std::vector<int64_t>& order() const { return order_; }
  /// plane: contiguous float32 [H, W], the logits of the next word.
  void add(const at::Tensor& plane);

  /// After every word: those whose planes are needed once more, in order. Empty
  /// unless the area filter left pixels open.
  std::vector<int64_t> missing();
  void add_missing(int64_t word, const at::Tensor& plane);

  /// Bytes held per picture.
  int64_t bytes() const;

  /// Thresholds, closing and counts; once, at the end. Results are on the CPU.
  Segmentation finish();

 private:
  std::vector<int64_t> count_labels() const;
  bool filters() const { return options_.area_threshold > 0; }

  std::vector<int64_t> word_class_;
  std::vector<int64_t> order_;
  size_t next_ = 0;  // index into order_
  PostOptions options_;
  int64_t height_ = 0;
  int64_t width_ = 0;
  int64_t classes_ = 0;
  std::vector<bool> keep_;  // of each class
  at::Tensor best_;         // [H, W]
  at::Tensor sum_;          // [H, W]
  at::Tensor label_;        // int32 [H, W]
  at::Tensor chosen_;       // [H, W] largest logit of a kept class
  at::Tensor planes_;       // [C, H, W] largest logit per class, if asked for
  at::Tensor maximum_;      // [H, W] of the class whose words are coming
  at::Tensor rank_logit_;   // [kRanks, H, W]
  at::Tensor rank_label_;   // uint16 [kRanks, H, W]
  WordState state_;
  ClassRanks ranks_;
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
/// Takes one more class in; classes come in ascending order.
DECLIP_CPU_TWIN(void,
                add_class,
                (const float* plane, int32_t label, const ClassRanks& ranks),
                (plane, label, ranks))
/// The best rank whose class is kept: its logit and label; -inf and 0 where no
/// rank is kept. Returns the number of those pixels.
DECLIP_CPU_TWIN(int64_t,
                choose_kept,
                (const ClassRanks& ranks,
                 const uint8_t* keep,
                 float* chosen,
                 int32_t* labels),
                (ranks, keep, chosen, labels))
/// Where plane is above `chosen`, it and `label` are taken over.
DECLIP_CPU_TWIN(void,
                take_larger,
                (const float* plane,
                 int32_t label,
                 int64_t pixels,
                 float* chosen,
                 int32_t* labels),
                (plane, label, pixels, chosen, labels))
/// Probability of a class from the largest logit of its words.
DECLIP_CPU_TWIN(void,
                class_probability,
                (const float* plane,
                 float scale,
                 const WordState& state,
                 float* probability),
                (plane, scale, state, probability))
/// The label becomes `background` where the probability of the logit `chosen`
/// is below `threshold`.
DECLIP_CPU_TWIN(void,
                threshold_labels,
                (const float* chosen,
                 float scale,
                 float threshold,
                 int32_t background,
                 const WordState& state),
                (chosen, scale, threshold, background, state))
/// counts[c] = pixels of class c.
DECLIP_CPU_TWIN(
    void,
    count_labels,
    (const int32_t* labels, int64_t pixels, int64_t classes, int64_t* counts),
    (labels, pixels, classes, counts))
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
