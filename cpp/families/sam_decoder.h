#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "declip/mask_decoder.h"
#include "families/sam_prompts.h"
#include "model/layers.h"
#include "model/weights.h"

namespace declip {

/// The names of an MLP's layers, first to last: numbered, in transformers'
/// files between `proj_in` and `proj_out`. `has`: whether the file has a layer.
std::vector<std::string> sam_mlp_layers(
    const std::function<bool(const std::string&)>& has);

/// Values between steps, for tests, by the names of the authors' modules.
using MaskTrace = std::map<std::string, at::Tensor>;

/// Attention between few tokens and the many places of the picture, both ways.
/// With H heads and T tokens, T * H < C' for all but long prompts, so products
/// with the places are taken last: what a place is multiplied with is made of
/// the tokens and the weights first. That is
///
///   (Wq t) (Wk p) = (Wk^T Wq t) p,    Wv sum a p = sum a (Wv p)
///
/// which has T * H products per place and channel instead of C' and leaves no
/// projection of all places in memory.
class SamAttention {
 public:
  SamAttention() = default;
  SamAttention(const Scope& scope, int64_t heads, const Numerics& numerics);

  /// Tokens ask the places: queries [B, T, C], keys and values [B | 1, N, C]
  /// -> [B, T, C].
  at::Tensor ask_places(const at::Tensor& queries,
                        const at::Tensor& keys,
                        const at::Tensor& values) const;
  /// The same of places that were projected before, [N, C'] each.
  at::Tensor ask_projected(const at::Tensor& queries,
                           const at::Tensor& keys,
                           const at::Tensor& values) const;

  /// Places ask the tokens: queries [B | 1, N, C], keys and values [B, T, C],
  /// residual [B | 1, N, C] -> residual + attention, [B, N, C].
  at::Tensor ask_tokens(const at::Tensor& residual,
                        const at::Tensor& queries,
                        const at::Tensor& keys,
                        const at::Tensor& values) const;
  /// The same of queries that were projected before, [N, C'].
  at::Tensor ask_tokens_projected(const at::Tensor& residual,
                                  const at::Tensor& queries,
                                  const at::Tensor& keys,
                                  const at::Tensor& values) const;

  /// Among tokens, [B, T, C].
  at::Tensor among(const at::Tensor& queries,
                   const at::Tensor& keys,
                   const at::Tensor& values) const;

  at::Tensor project_query(const at::Tensor& x) const { return query_(x); }
  at::Tensor project_key(const at::Tensor& x) const { return key_(x); }
  at::Tensor project_value(const at::Tensor& x) const { return value_(x); }

 private:
  /// [B, T, C'] -> [H, B * T, d]
  at::Tensor by_head(const at::Tensor& x) const;
  /// [H, B * T, C] -> [B, H * T, C]
  at::Tensor by_prompt(const at::Tensor& x, int64_t prompts) const;
  /// scores [B, H * T, N] -> residual + what the places get of the tokens
  at::Tensor mix(const at::Tensor& residual,
                 at::Tensor scores,
                 const at::Tensor& values) const;

  int64_t heads_ = 1;
  double scale_ = 1;
  Numerics numerics_;
  Linear query_, key_, value_, out_;
  at::Tensor query_weight_, query_bias_;  // [H, d, C], [H, d, 1]
  at::Tensor key_weight_;                 // [H, d, C]
  at::Tensor value_weight_, value_bias_;  // [H, C, d], [C']
  at::Tensor out_weight_, out_bias_;      // [H, d, C], [C]
};

/// Prompt encoder, two-way transformer and heads.
/// modeling/{mask_decoder,transformer}.py of the authors' code.
class SamDecoder final : public MaskDecoder {
 public:
  SamDecoder(const MaskDecoderConfig& config,
             const Weights& weights,
             const Numerics& numerics);

  SamImage prepare(const at::Tensor& embedding,
                   Size input,
                   Size picture) const override;
  MaskLogits decode(const SamImage& image,
                    const MaskPrompts& prompts,
                    MaskChoice choice,
                    const Call& call) const override;

  const SamPrompts& prompts() const { return prompts_; }

  /// Some prompts at once; fills `trace` where one is given. sparse [B, n, C];
  /// dense [B, N, C] or undefined.
  MaskLogits decode_some(const SamImage& image,
                         const at::Tensor& sparse,
                         const at::Tensor& dense,
                         MaskChoice choice,
                         MaskTrace* trace) const;

 private:
  struct Layer {
    SamAttention self, to_image, to_tokens;
    LayerNorm norm1, norm2, norm3, norm4;
    Linear lin1, lin2;
  };
  /// Layers with ReLU between them.
  using Stack = std::vector<Linear>;

  SamDecoder(const MaskDecoderConfig& config,
             const Scope& scope,
             const Scope& prompts,
             const Numerics& numerics);
  static Stack stack(const Scope& scope, const Numerics& numerics);
  static at::Tensor run(const Stack& layers, at::Tensor x);
  int64_t prompts_per_pass(int64_t tokens) const;

  SamPrompts prompts_;
  at::Tensor output_tokens_;  // [1 + M, C]: the IoU's, then the masks'
  std::vector<Layer> layers_;
  SamAttention final_;
  LayerNorm final_norm_, up_norm_;
  Linear up1_, up2_;
  int64_t up_width_ = 0;  // channels of a place of the masks
  std::vector<Stack> hyper_;
  Stack iou_;
};

std::unique_ptr<MaskDecoder> make_sam_decoder(const MaskDecoderConfig& config,
                                              const Weights& weights,
                                              const Numerics& numerics);

}  // namespace declip
