#include "model/recipe.h"

#include <algorithm>
#include <string>

#include "declip/error.h"

namespace declip {
namespace {

constexpr auto kScaleFactor = Positions::kScaleFactor;

const std::vector<Recipe>& recipes() {
  static const std::vector<Recipe> all{
      // The unmodified block.
      {.mode = DenseMode::kVanilla,
       .name = "vanilla",
       .attention = Attention::kQueryKey,
       .head = HeadTail::kMlp,
       .residual = true,
       .feed_forward = true},
      // MaskCLIP, arXiv:2112.01071; the form of CLIPSelf, arXiv:2310.01403, and
      // of DeCLIP's code.
      {.mode = DenseMode::kMaskClip,
       .name = "maskclip",
       .attention = Attention::kValues,
       .head = HeadTail::kMlp,
       .residual = true,
       .feed_forward = true},
      // DeCLIP's content features, arXiv:2505.04410, section 3: qq to all.
      {.mode = DenseMode::kQq,
       .name = "qq",
       .attention = Attention::kSelf,
       .head = HeadTail::kMlp,
       .q = true,
       .unscaled_on_eva = true},
      {.mode = DenseMode::kKk,
       .name = "kk",
       .attention = Attention::kSelf,
       .head = HeadTail::kMlp,
       .k = true,
       .unscaled_on_eva = true},
      {.mode = DenseMode::kVv,
       .name = "vv",
       .attention = Attention::kSelf,
       .head = HeadTail::kMlp,
       .v = true,
       .unscaled_on_eva = true},
      {.mode = DenseMode::kCsa,
       .name = "csa",
       .attention = Attention::kSelf,
       .head = HeadTail::kMlp,
       .q = true,
       .k = true,
       .unscaled_on_eva = true},
      {.mode = DenseMode::kAll,
       .name = "all",
       .attention = Attention::kSelfMean,
       .q = true,
       .k = true,
       .v = true,
       .unscaled_on_eva = true},
      // csa averaged with earlier blocks' maps, MLP dropped, arXiv:2411.12044,
      // section 3.2. Its code takes the same blocks of deeper towers.
      {.mode = DenseMode::kItaClip,
       .name = "itaclip",
       .attention = Attention::kSelf,
       .q = true,
       .k = true,
       .earlier_blocks = {7, 8, 10},
       .residual = true,
       .positions = kScaleFactor},
      // Correlative self-attention, block kept, arXiv:2312.01597.
      {.mode = DenseMode::kSclip,
       .name = "sclip",
       .attention = Attention::kSelf,
       .q = true,
       .k = true,
       .residual = true,
       .feed_forward = true,
       .positions = kScaleFactor},
      // q-q attention alone, arXiv:2407.12442.
      {.mode = DenseMode::kClearClip,
       .name = "clearclip",
       .attention = Attention::kSelf,
       .q = true,
       .positions = kScaleFactor},
      // k-k attention with a neighbourhood prior, arXiv:2404.08181.
      {.mode = DenseMode::kNaClip,
       .name = "naclip",
       .attention = Attention::kNeighbour,
       .k = true,
       .positions = kScaleFactor,
       .resizes_to_resized_picture = true},
      // Attention from a foundation model, arXiv:2408.04883. Its threshold is a
      // mean over the batch.
      {.mode = DenseMode::kProxyClip,
       .name = "proxyclip",
       .attention = Attention::kProxy,
       .head = HeadTail::kMlp,
       .keeps_class_token = false,
       .positions = kScaleFactor,
       .one_window_per_pass = true},
      // The same within regions, merged where alike, with a class token for
      // each, arXiv:2411.10086. What is compared with a mean is of one window.
      {.mode = DenseMode::kCorrClip,
       .name = "corrclip",
       .attention = Attention::kRegions,
       .keeps_class_token = false,
       .positions = kScaleFactor,
       .one_window_per_pass = true},
      // Attention that repeats itself over its own result, block kept, RADSeg,
      // github.com/RADSeg-OVSS/RADSeg, whose tower has positions of its own.
      {.mode = DenseMode::kScra,
       .name = "scra",
       .attention = Attention::kTwice,
       .residual = true,
       .feed_forward = true,
       .positions = kScaleFactor},
      // Anomalous tokens repaired, patches averaged with those alike,
      // arXiv:2411.15869.
      {.mode = DenseMode::kScClip,
       .name = "scclip",
       .attention = Attention::kSimilar,
       .keeps_class_token = false,
       .positions = kScaleFactor},
      // CAT-Seg's own towers: every token gets the class token's input.
      {.mode = DenseMode::kCatSeg,
       .name = "cat-seg",
       .attention = Attention::kValues,
       .residual = true,
       .class_residual = true,
       .feed_forward = true},
      // DeCLIP's SigLIP tower: the residual is what the norm gave, which its
      // students were trained with and the head itself does not do.
      {.mode = DenseMode::kDeClip,
       .name = "declip",
       .attention = Attention::kSelf,
       .in_block = false,
       .head = HeadTail::kNormed,
       .q = true},
      // Values, or what q-q attention makes of them, through the head's output
      // projection alone.
      {.mode = DenseMode::kMaskClipProjection,
       .name = "maskclip-projection",
       .attention = Attention::kValues,
       .in_block = false,
       .head = HeadTail::kProjection},
      {.mode = DenseMode::kQqProjection,
       .name = "qq-projection",
       .attention = Attention::kSelf,
       .in_block = false,
       .head = HeadTail::kProjection,
       .q = true},
  };
  return all;
}

std::vector<DenseMode> modes_where(bool (*holds)(const Recipe&)) {
  std::vector<DenseMode> modes;
  for (const Recipe& recipe : recipes()) {
    if (holds(recipe)) modes.push_back(recipe.mode);
  }
  return modes;
}

}  // namespace

const Recipe& recipe_of(DenseMode mode) {
  const auto& all = recipes();
  return *std::find_if(all.begin(), all.end(), [&](const Recipe& recipe) {
    return recipe.mode == mode;
  });
}

std::span<const DenseMode> block_modes() {
  static const auto modes =
      modes_where([](const Recipe& recipe) { return recipe.in_block; });
  return modes;
}

std::span<const DenseMode> head_modes() {
  static const auto modes = modes_where(
      [](const Recipe& recipe) { return recipe.head != HeadTail::kUndefined; });
  return modes;
}

std::string mode_names(std::span<const DenseMode> modes) {
  std::string names;
  for (const DenseMode mode : modes) {
    names += (names.empty() ? "'" : ", '") + std::string(dense_mode_name(mode));
    names += "'";
  }
  return names;
}

std::vector<int64_t> Recipe::earlier_blocks_of(int64_t depth) const {
  if (depth >= published_depth) return earlier_blocks;
  std::vector<int64_t> blocks;
  for (const int64_t block : earlier_blocks) {
    const int64_t scaled =
        (block * depth + published_depth / 2) / published_depth;
    if (scaled >= 1 && scaled < depth &&
        (blocks.empty() || blocks.back() != scaled)) {
      blocks.push_back(scaled);
    }
  }
  return blocks;
}

DenseMode dense_mode_from(const std::string& name) {
  std::string known;
  for (const auto& recipe : recipes()) {
    if (name == recipe.name) return recipe.mode;
    known += known.empty() ? recipe.name : std::string(", ") + recipe.name;
  }
  throw Error(ErrorCode::kInvalidArg,
              "mode must be one of " + known + "; received '" + name + "'.");
}

const char* dense_mode_name(DenseMode mode) { return recipe_of(mode).name; }

}  // namespace declip
