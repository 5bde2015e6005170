#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "declip/pipeline.h"
#include "kernels/postprocess_args.h"

namespace declip {

/// Which classes the area filter keeps of those that cover `counts` pixels.
std::vector<bool> kept_classes(const std::vector<int64_t>& counts,
                               const PostOptions& options);

/// Labels pixels from one plane of logits per word, given one after the other,
/// so that the planes of all words never exist together: those of a picture, or
/// of some of its rows.
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

  /// Begins anew with `height` rows, no more than the constructor was given.
  void restart(int64_t height);

  int64_t classes() const { return classes_; }
  /// All words in the order in which they have to come: class by class.
  const std::vector<int64_t>& order() const { return order_; }
  /// These words give no label; they come last. Their classes' probabilities
  /// are 0 where no other word is left. Before the first plane.
  void leave_out(const std::vector<bool>& words);
  /// Whether a word may be left out: not one of the background's.
  bool may_leave_out(int64_t word) const {
    return word_class_[word] != options_.background;
  }
  /// After every word: the largest probability of a word, by its plane.
  float largest_probability(const at::Tensor& plane) const;
  /// plane: contiguous float32 [H, W], the logits of the next word, or its
  /// probabilities with `independent`.
  void add(const at::Tensor& plane);
  /// Whether a plane of zeros may be skipped: one that is nobody's best, as
  /// other words have probabilities above 0, and not asked for.
  bool skips_zeros() const {
    return options_.independent && !filters() && !all_planes_.defined();
  }
  /// In place of add() for such a plane.
  void skip() { ++next_; }

  /// After every word: pixels per class before filters and thresholds.
  std::vector<int64_t> counts() const { return count_labels(); }
  /// Of the pixels' best classes, on the CPU, with an area filter: the one of
  /// rank 0..kRanks-1, -1 where there is none, and the label that it gives by
  /// the probability threshold. [H * W] each.
  void rank(int64_t rank, int32_t* classes, int32_t* labels) const;
  /// After every word: how certain the best class of every pixel is, [H * W],
  /// as Segmentation has it.
  void grade(uint8_t* certainty) const;

  /// The words whose planes are needed once more, in order, where the area
  /// filter keeps these classes alone. Empty unless it left pixels open.
  std::vector<int64_t> missing(const std::vector<bool>& keep);
  /// The same where these rows are the whole picture.
  std::vector<int64_t> missing();
  void add_missing(int64_t word, const at::Tensor& plane);

  /// Bytes held per picture.
  int64_t bytes() const;

  /// After every word: `logits` and `probabilities` where they were asked for,
  /// on the CPU; they may share memory with this.
  Segmentation scores() const;
  /// Scores, thresholds, closing and counts; once, at the end, on the CPU.
  Segmentation finish();

 private:
  std::vector<int64_t> count_labels() const;
  void threshold(const float* logits, const WordState& state) const;
  bool filters() const { return options_.area_threshold > 0; }

  std::vector<int64_t> word_class_;
  std::vector<int64_t> order_;
  size_t next_ = 0;              // index into order_
  size_t left_ = 0;              // of the first word that is left out
  std::vector<bool> has_words_;  // of each class: some that are not left out
  PostOptions options_;
  int64_t height_ = 0;
  int64_t width_ = 0;
  int64_t classes_ = 0;
  std::vector<bool> keep_;  // of each class
  /// As many rows as fit; those below are the first H of them.
  at::Tensor all_best_, all_sum_, all_label_, all_planes_;
  at::Tensor best_;        // [H, W]
  at::Tensor sum_;         // [H, W]
  at::Tensor label_;       // int32 [H, W]
  at::Tensor best_label_;  // int32 [H, W] before a filter, where there is one
  at::Tensor chosen_;      // [H, W] largest logit of a kept class
  at::Tensor planes_;      // [C, H, W] largest logit per class, if asked for
  at::Tensor maximum_;     // [H, W] of the class whose words are coming
  at::Tensor rank_logit_;  // [kRanks, H, W]
  at::Tensor rank_label_;  // uint16 by its bits [kRanks, H, W]
  WordState state_;
  ClassRanks ranks_;
};

}  // namespace declip
