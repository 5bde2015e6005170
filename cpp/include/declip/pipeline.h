#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace declip {

/// From the scores of every word to labels, in the order of steps of ITACLIP's
/// code (arXiv:2411.12044).
struct PostOptions {
  double logit_scale = 40;  // > 0, factor before the softmax over words
  /// Scores are probabilities of each word on its own (CAT-Seg's sigmoids):
  /// they are taken as they are, without a softmax over words.
  bool independent = false;
  int64_t pamr_iterations = 0;                 // 0: no refinement
  std::vector<int64_t> pamr_dilations{8, 16};  // pixels
  double prob_threshold = 0;  // pixels below it become background
  double area_threshold = 0;  // share of the foreground a class must exceed
  bool vote = false;          // every region gets its most frequent label
  /// Words whose probability is nowhere this much are left out.
  double word_threshold = 0;
  bool closing = false;     // 3x3 morphological closing of the labels
  int64_t background = -1;  // index of that class, -1 for none
  bool logits = false;
  bool probabilities = false;
};

/// What became of one picture. H and W are the picture's own.
struct Segmentation {
  at::Tensor labels;            // [H, W] uint8, uint16 above 256 classes
  std::vector<int64_t> counts;  // pixels per class, of `labels`
  /// uint8 [H, W]: 255 times the root of the probability of the pixel's label
  /// (softmax over words, of the class's best word), 1..255. 0 where the label
  /// is not that of the best word, but what a threshold, the area filter or the
  /// closing made of it.
  at::Tensor certainty;
  /// float32 [C, H, W], undefined unless asked for: the largest cosine of the
  /// class's words, unscaled, after PAMR.
  at::Tensor logits;
  /// float32 [C, H, W], undefined unless asked for: after the softmax over
  /// words, the maximum over synonyms and the area filter, before closing.
  at::Tensor probabilities;
};

}  // namespace declip
