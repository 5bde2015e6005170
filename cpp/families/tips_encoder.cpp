#include "families/tips_encoder.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>

namespace declip {
namespace {

constexpr std::array kTipsModes{DenseMode::kVanilla, DenseMode::kMaskClip};

}  // namespace

std::span<const DenseMode> tips_modes() { return kTipsModes; }

Tips::Tips(const ModelConfig& config,
           const Weights& weights,
           const Numerics& numerics)
    : Dino(config,
           weights,
           numerics,
           TableResize::kBilinearAntialiased,
           {.dense_modes = tips_modes()}) {}

Stages Tips::stages(const at::Tensor& image,
                    const StageOptions& options,
                    const Call& call) const {
  const auto patches = grid(image.size(2), image.size(3));
  StageTap tap(options.blocks, depth(), prefix(), patches);
  const int64_t end = options.features ? depth() : tap.end();
  const int64_t last = depth() - 1;
  auto x =
      walk(*this, embed(image), 0, std::min(end, last), patches, call, {&tap});
  if (end > last) {
    call.check();
    x = tap.after(last, last_block(x, options.dense));
  }
  Stages out{tap.take(), {}};
  if (options.features) out.features = features(x, patches);
  return out;
}

at::Tensor Tips::last_block(const at::Tensor& x,
                            const DenseOptions& options) const {
  const auto heads = last().project(last().norm1(x));
  const auto merged = options.mode == DenseMode::kMaskClip
                          ? heads.v.flatten(2)
                          : attend(heads, numerics_);
  const auto y =
      last().output(options.residual.value_or(true) ? x : at::Tensor(), merged);
  return options.feed_forward.value_or(true) ? last().feed_forward(y) : y;
}

}  // namespace declip
