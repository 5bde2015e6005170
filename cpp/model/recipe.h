#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "declip/dense.h"

namespace declip {

/// What a mode attends with in the last block.
enum class Attention {
  kQueryKey,   // softmax(q k^T), the block's own
  kValues,     // identity: every token keeps its value
  kSelf,       // one softmax per self-similarity, added
  kSelfMean,   // the mean of the self-similarities, one softmax
  kNeighbour,  // k k^T plus a Gaussian of the patch distance
  kProxy,      // similarities of another model's features
  kRegions,    // the same within the picture's regions
  kTwice,      // q k^T, then the similarities of what that gave
  kSimilar,    // SC-CLIP's similarities of earlier blocks, see scclip.h
};

/// What a pooling head makes of o, the output projection of attended values.
enum class HeadTail {
  kUndefined,   // the mode does not exist for pooling heads
  kMlp,         // o + mlp(norm(o)), the head's own
  kNormed,      // z + mlp(z) with z = norm(o), the one DeCLIP trains
  kProjection,  // o
};

/// All that depends on a dense mode.
struct Recipe {
  DenseMode mode;
  const char* name;
  Attention attention;
  /// Whether the mode is one of the last block, in towers with a class token.
  bool in_block = true;
  /// In towers that end in a pooling head the mode changes that instead, and
  /// of what follows only `q`, `k`, `v` and `one_window_per_pass` hold.
  HeadTail head = HeadTail::kUndefined;

  /// Of kSelf and kSelfMean: the self-similarities that take part.
  bool q = false, k = false, v = false;
  /// 1 / sqrt(d) is left out on EVA towers, as DeCLIP's code does: a softmax
  /// eight times sharper for d = 64.
  bool unscaled_on_eva = false;
  /// Blocks, counted from 1, whose maps are averaged with the last one's, as
  /// published for towers of `published_depth` blocks and more.
  std::vector<int64_t> earlier_blocks{};
  int64_t published_depth = 12;

  /// Whether the last block keeps x + ... and its MLP.
  bool residual = false;
  /// x is the class token's, for every token.
  bool class_residual = false;
  bool feed_forward = false;
  /// Whether the class token comes out of the last block with the patches.
  bool keeps_class_token = true;

  /// The rule by which the mode's own code base resizes the positional table.
  Positions positions = Positions::kSize;
  /// A statistic runs over the whole pass, so that a pass takes one window: the
  /// result must not depend on how many there are.
  bool one_window_per_pass = false;
  /// The map of a whole picture is resized to the resized picture before it is
  /// to the picture itself.
  bool resizes_to_resized_picture = false;

  /// Whether it needs features of another model. Making attention of them reads
  /// a number back from the device.
  bool needs_proxy() const {
    return attention == Attention::kProxy || attention == Attention::kRegions;
  }

  /// `earlier_blocks` of a tower of `depth` blocks: as published, or those at
  /// the same relative depths in shallower towers.
  std::vector<int64_t> earlier_blocks_of(int64_t depth) const;
};

const Recipe& recipe_of(DenseMode mode);

/// Modes of towers with a class token, and of towers with a pooling head.
std::span<const DenseMode> block_modes();
std::span<const DenseMode> head_modes();
/// Their names, quoted and with commas, for messages.
std::string mode_names(std::span<const DenseMode> modes);

}  // namespace declip
