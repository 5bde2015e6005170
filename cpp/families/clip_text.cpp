#include "families/clip_text.h"

namespace declip {
namespace {

void check_shapes(ShapeChecker& check, const TextConfig& t) {
  check.need("text.token_embedding.weight", {t.vocab, t.width});
  check.need("text.positional_embedding", {t.context, t.width});
  const int64_t mlp_hidden =
      check.weights()
          .need("text.transformer.resblocks.0.mlp.c_fc.weight", 2)
          .size(0);
  check_clip_blocks(check, "text.", t.layers, t.width, mlp_hidden);
  check.need_pair("text.ln_final", {t.width});
  // Without a projection, texts are as wide as the tower.
  if (check.weights().has("text.text_projection") || t.width != t.embed_dim) {
    check.need("text.text_projection", {t.width, t.embed_dim});
  }
  check.allow("text.text_projection_bias", {t.embed_dim});
}

}  // namespace

const TextSide kClipText{.check_shapes = check_shapes};

void check_clip_blocks(ShapeChecker& check,
                       const std::string& prefix,
                       int64_t layers,
                       int64_t width,
                       int64_t mlp_hidden) {
  for (int64_t i = 0; i < layers; ++i) {
    const std::string block =
        prefix + "transformer.resblocks." + std::to_string(i) + ".";
    check.need_pair(block + "ln_1", {width});
    check.need(block + "attn.in_proj_weight", {3 * width, width});
    check.need(block + "attn.in_proj_bias", {3 * width});
    check.need_pair(block + "attn.out_proj", {width, width});
    check.need_pair(block + "ln_2", {width});
    check.need_pair(block + "mlp.c_fc", {mlp_hidden, width});
    check.need_pair(block + "mlp.c_proj", {width, mlp_hidden});
    check.allow(block + "ls_1.gamma", {width});
    check.allow(block + "ls_2.gamma", {width});
  }
}

}  // namespace declip
