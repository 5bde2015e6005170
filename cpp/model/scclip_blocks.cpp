#include "model/scclip_blocks.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string>

#include "declip/error.h"

namespace declip {
namespace {

struct PublishedBlocks {
  int64_t depth;
  ScClipBlocks blocks;
};

// ViT-B/16: the configurations of github.com/SuleBai/SC-CLIP, 0417ba9;
// ViT-L/14: an answer of its author in that repository.
constexpr std::array kPublishedBlocks{
    PublishedBlocks{12, {9, 4, 4, 10, 0.3}},
    PublishedBlocks{24, {17, 7, 9, 19, 0.1}},
};

/// Block at the same relative depth, of which there is one before the last.
int64_t same_depth(int64_t block, int64_t from, int64_t to) {
  return std::clamp<int64_t>((block * to + from / 2) / from, 1, to - 1);
}

/// What stands nearest in depth, brought to this one.
ScClipBlocks suggested(int64_t depth) {
  const auto& [from, blocks] = *std::min_element(
      kPublishedBlocks.begin(),
      kPublishedBlocks.end(),
      [&](const auto& a, const auto& b) {
        return std::abs(a.depth - depth) < std::abs(b.depth - depth);
      });
  ScClipBlocks out = blocks;
  for (int64_t ScClipBlocks::* block : {&ScClipBlocks::middle,
                                        &ScClipBlocks::early,
                                        &ScClipBlocks::first_fused,
                                        &ScClipBlocks::last_fused}) {
    out.*block = same_depth(blocks.*block, from, depth);
  }
  return out;
}

[[noreturn]] void refuse_depth(const ScClipBlocks& given, int64_t depth) {
  const auto at_depth = suggested(depth);
  std::string options;
  const auto add =
      [&](bool missing, const std::string& name, const std::string& value) {
        if (!missing) return;
        options.append(options.empty() ? "" : ", ");
        options.append("scclip.").append(name).append(" (").append(value);
        options.append(")");
      };
  const auto text = [](int64_t block) { return std::to_string(block); };
  add(given.middle == 0, "middleBlock", text(at_depth.middle));
  add(given.early == 0, "earlyBlock", text(at_depth.early));
  add(given.first_fused == 0,
      "fusedBlocks",
      "[" + text(at_depth.first_fused) + ", " + text(at_depth.last_fused) +
          "]");
  add(std::isnan(given.class_weight),
      "classWeight",
      text(std::lround(10 * at_depth.class_weight)).insert(0, "0."));
  throw Error(ErrorCode::kInvalidArg,
              "Dense mode 'scclip' has published numbers for towers of 12 and "
              "24 blocks, and this one has " +
                  std::to_string(depth) + ": give " + options +
                  "; in brackets is what lies at the same relative depth, "
                  "which nobody has measured.");
}

void check_block(const char* name, int64_t block, int64_t depth) {
  if (block >= 1 && block < depth) return;
  throw Error(ErrorCode::kInvalidArg,
              std::string("scclip.") + name + " must be 1.." +
                  std::to_string(depth - 1) +
                  " (blocks of this model, counted from 1, before the last), "
                  "received " +
                  std::to_string(block) + ".");
}

void check_numbers(const ScClipOptions& options, const ScClipBlocks& blocks) {
  const auto demand = [](bool holds, const char* what) {
    if (!holds) throw Error(ErrorCode::kInvalidArg, what);
  };
  demand(blocks.first_fused <= blocks.last_fused,
         "scclip.fusedBlocks must be [first, last] with first <= last.");
  demand(std::isfinite(blocks.class_weight),
         "scclip.classWeight must be a finite number.");
  demand(std::isfinite(options.threshold),
         "scclip.threshold must be a finite number.");
  demand(std::isfinite(options.gain) && options.gain > 0,
         "scclip.gain must be above 0.");
  demand(options.neighbours >= 1, "scclip.neighbours must be at least 1.");
  demand(options.anomalous_share >= 0 && options.anomalous_share <= 1,
         "scclip.anomalousShare must be 0..1.");
}

}  // namespace

ScClipBlocks scclip_blocks(const ScClipOptions& options, int64_t depth) {
  if (depth < 2) {
    throw Error(ErrorCode::kInvalidArg,
                "Dense mode 'scclip' compares tokens of earlier blocks, and "
                "this model has one block. Choose another mode.");
  }
  const auto* published = std::find_if(
      kPublishedBlocks.begin(), kPublishedBlocks.end(), [&](const auto& one) {
        return one.depth == depth;
      });
  const bool known = published != kPublishedBlocks.end();
  const ScClipBlocks none{0, 0, 0, 0, std::nan("")};
  ScClipBlocks out = known ? published->blocks : none;
  if (options.middle_block != 0) out.middle = options.middle_block;
  if (options.early_block != 0) out.early = options.early_block;
  if (options.first_fused != 0) out.first_fused = options.first_fused;
  if (options.last_fused != 0) out.last_fused = options.last_fused;
  if (options.class_weight) out.class_weight = *options.class_weight;
  if (!known && (out.middle == 0 || out.early == 0 || out.first_fused == 0 ||
                 out.last_fused == 0 || !options.class_weight)) {
    refuse_depth(out, depth);
  }
  check_block("middleBlock", out.middle, depth);
  check_block("earlyBlock", out.early, depth);
  check_block("fusedBlocks[0]", out.first_fused, depth);
  check_block("fusedBlocks[1]", out.last_fused, depth);
  check_numbers(options, out);
  return out;
}

}  // namespace declip
