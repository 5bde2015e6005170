#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "declip/call.h"
#include "declip/dense.h"

namespace declip {

/// What a file tells of CAT-Seg's cost aggregation (Cho et al.,
/// arXiv:2303.11797; github.com/cvlab-kaist/CAT-Seg), and what it leaves to
/// whoever runs it. The first part comes from the tensors.
struct CatSegConfig {
  int64_t embed_dim = 0;  // of patches and words
  int64_t prompts = 1;    // of a word, each a channel of the cost
  int64_t channels = 0;   // of the aggregator
  int64_t layers = 0;     // of it: one over places and one over words each
  int64_t image_guidance = 0, text_guidance = 0;  // channels that come along
  std::vector<int64_t> guidance;          // of the two up-sampled tower maps
  std::vector<int64_t> decoder;           // of the decoder's two steps
  std::vector<int64_t> decoder_guidance;  // of what joins in there

  /// What the released configurations have, and what files of this package say
  /// themselves.
  int64_t side = 384;           // the tower's input, in pixels
  int64_t canvas = 640;         // side of the square that windows are cut from
  int64_t cut = 384;            // side of a window before it becomes `side`
  int64_t stride = 256;         // of windows
  int64_t heads = 4;            // of the aggregator
  int64_t window = 12;          // of its attention over places, in patches
  int64_t word_limit = 256;     // words of a window that are aggregated; the
                                // number that is filled up with padding words
  std::vector<int64_t> blocks;  // whose maps guide, counted from 0
  DenseMode mode = DenseMode::kCatSeg;  // of the last block
  bool unit_patches = false;  // patches enter with length 1 (DeCLIP's branch)
  std::string prompt = "A photo of a {} in the scene";
  std::vector<std::string> names;  // classes that it learned; may be empty
};

/// How a question is answered. What is unset takes the configuration's value.
struct CatSegQuestion {
  /// Pooling before attention over words: 1 as published figures have it, 2 as
  /// it was trained.
  int64_t pooling = 1;
  /// 0: every word is aggregated, and none is put in.
  std::optional<int64_t> word_limit;
};

/// Windows of a picture as the head takes them, for any words. Float32 or the
/// model's dtype, on its device; n windows, g x g patches.
struct CatSegMaps {
  at::Tensor features;  // [n, E, g, g], unit length
  at::Tensor image;     // image guidance [n, Ci, g, g], after its ReLU
  at::Tensor decoder1;  // [n, D1, 2 g, 2 g]
  at::Tensor decoder2;  // [n, D2, 4 g, 4 g]

  int64_t bytes() const;
};

/// Logits of the words that a window kept.
struct CatSegLogits {
  at::Tensor maps;  // float32 [n, K, 4 g, 4 g]
  /// int64 [n, K]: which words these are; undefined: all, in order. Those that
  /// are left out have the logit -100 everywhere.
  at::Tensor kept;
};

/// CAT-Seg's head. Immutable: calls may overlap. What asks it later holds it
/// by shared_from_this().
class CatSeg : public std::enable_shared_from_this<CatSeg> {
 public:
  virtual ~CatSeg() = default;
  const CatSegConfig& config() const { return config_; }

  /// stages  of StageOptions{blocks, mode, features}: the tower's two maps that
  ///         guide, and patch features, of n windows
  virtual CatSegMaps encode(const Stages& stages, const Call& call) const = 0;

  /// text [T, E] or [T, P, E], any length. Memory is bounded: words are worked
  /// off in blocks, but for two sums over all words of a window that attention
  /// over words needs, whose size does not depend on their number.
  /// Throws Error(kInvalidArg) for words of another width or number of prompts,
  /// Error(kAborted).
  virtual CatSegLogits logits(const CatSegMaps& maps,
                              const at::Tensor& text,
                              const CatSegQuestion& question,
                              const Call& call) const = 0;

 protected:
  explicit CatSeg(CatSegConfig config) : config_(std::move(config)) {}
  CatSegConfig config_;
};

/// How CAT-Seg sees a picture and is asked; what is unset takes the head's
/// configuration.
struct CatSegOptions {
  bool sliding = true;  // windows and the whole picture; false: the whole alone
  std::optional<int64_t> side, canvas, cut, stride;
  std::vector<int64_t> blocks;
  std::optional<DenseMode> mode;
  CatSegQuestion question;
};

}  // namespace declip
