#include "checkpoint/tower_shapes.h"

#include <set>
#include <string>
#include <vector>

namespace declip {
namespace {

class Checker {
 public:
  explicit Checker(const TowerTensors& weights) : weights_(weights) {}

  void need(const std::string& name, const std::vector<int64_t>& shape) {
    const auto it = weights_.tensors.find(name);
    if (it == weights_.tensors.end()) {
      weights_.reject(
          name,
          "is missing, expected shape " + c10::str(at::IntArrayRef(shape)));
    }
    check(name, it->second, shape);
  }

  void allow(const std::string& name, const std::vector<int64_t>& shape) {
    const auto it = weights_.tensors.find(name);
    if (it != weights_.tensors.end()) check(name, it->second, shape);
  }

  /// A weight [out, in] or vector [out], and its bias [out].
  void need_pair(const std::string& name, const std::vector<int64_t>& shape) {
    need(name + ".weight", shape);
    need(name + ".bias", {shape[0]});
  }

  void reject_others() const {
    for (const auto& [name, tensor] : weights_.tensors) {
      if (!checked_.contains(name)) {
        weights_.reject(name,
                        "of shape " + c10::str(tensor.sizes()) +
                            " belongs to no tower this package runs; "
                            "its model would give other results here");
      }
    }
  }

 private:
  void check(const std::string& name,
             const at::Tensor& tensor,
             const std::vector<int64_t>& shape) {
    if (tensor.sizes() != at::IntArrayRef(shape)) {
      weights_.reject(name,
                      "must have shape " + c10::str(at::IntArrayRef(shape)) +
                          ", found " + c10::str(tensor.sizes()));
    }
    if (!tensor.is_floating_point()) {
      weights_.reject(name,
                      std::string("must hold floating-point numbers, "
                                  "found ") +
                          c10::toString(tensor.scalar_type()));
    }
    checked_.insert(name);
  }

  const TowerTensors& weights_;
  std::set<std::string> checked_;
};

// Blocks of a plain vision tower or a text tower: [C] width, [M] MLP hidden.
void check_clip_blocks(Checker& check,
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

void check_plain_tower(Checker& check, const VisionConfig& v) {
  check.need("visual.conv1.weight", {v.width, 3, v.patch, v.patch});
  check.need("visual.class_embedding", {v.width});
  check.need("visual.positional_embedding", {1 + v.grid * v.grid, v.width});
  check.need_pair("visual.ln_pre", {v.width});
  check_clip_blocks(check, "visual.", v.layers, v.width, v.mlp_hidden);
  check.need_pair("visual.ln_post", {v.width});
  check.need("visual.proj", {v.width, v.embed_dim});
}

void check_eva_tower(Checker& check, const VisionConfig& v) {
  check.need("visual.cls_token", {1, 1, v.width});
  check.need("visual.pos_embed", {1, 1 + v.grid * v.grid, v.width});
  check.need("visual.patch_embed.proj.weight", {v.width, 3, v.patch, v.patch});
  check.need("visual.patch_embed.proj.bias", {v.width});
  for (int64_t i = 0; i < v.layers; ++i) {
    const std::string block = "visual.blocks." + std::to_string(i) + ".";
    check.need_pair(block + "norm1", {v.width});
    check.need(block + "attn.q_proj.weight", {v.width, v.width});
    check.need(block + "attn.k_proj.weight", {v.width, v.width});
    check.need(block + "attn.v_proj.weight", {v.width, v.width});
    check.need(block + "attn.q_bias", {v.width});
    check.need(block + "attn.v_bias", {v.width});
    check.need_pair(block + "attn.inner_attn_ln", {v.width});
    check.need_pair(block + "attn.proj", {v.width, v.width});
    check.need_pair(block + "norm2", {v.width});
    check.need_pair(block + "mlp.w1", {v.mlp_hidden, v.width});
    check.need_pair(block + "mlp.w2", {v.mlp_hidden, v.width});
    check.need_pair(block + "mlp.ffn_ln", {v.mlp_hidden});
    check.need_pair(block + "mlp.w3", {v.width, v.mlp_hidden});
  }
  check.need_pair("visual.norm", {v.width});
  check.need_pair("visual.head", {v.embed_dim, v.width});
}

// Blocks of a vision foundation model; [h] MLP hidden, twice of it if gated.
void check_foundation_block(Checker& check,
                            const std::string& block,
                            const ModelConfig& config) {
  const VisionConfig& v = config.vision;
  const int64_t inner = v.mlp_hidden * (config.foundation.gated_mlp ? 2 : 1);
  check.need_pair(block + "norm1", {v.width});
  check.need_pair(block + "attn.qkv", {3 * v.width, v.width});
  check.need_pair(block + "attn.proj", {v.width, v.width});
  check.need_pair(block + "norm2", {v.width});
  check.need_pair(block + "mlp.fc1", {inner, v.width});
  check.need_pair(block + "mlp.fc2", {v.width, v.mlp_hidden});
}

void check_dino(Checker& check, const ModelConfig& config) {
  const VisionConfig& v = config.vision;
  const FoundationConfig& f = config.foundation;
  check.need("visual.cls_token", {1, 1, v.width});
  check.need("visual.pos_embed",
             {1, (f.class_position ? 1 : 0) + v.grid * v.grid, v.width});
  if (f.registers > 0) {
    check.need("visual.register_tokens", {1, f.registers, v.width});
  }
  check.need_pair("visual.patch_embed.proj", {v.width, 3, v.patch, v.patch});
  for (int64_t i = 0; i < v.layers; ++i) {
    const std::string block = "visual.blocks." + std::to_string(i) + ".";
    check_foundation_block(check, block, config);
    if (config.family != Family::kDino2) continue;
    check.need(block + "ls1.gamma", {v.width});
    check.need(block + "ls2.gamma", {v.width});
  }
  check.need_pair("visual.norm", {v.width});
}

void check_sam(Checker& check, const ModelConfig& config) {
  const VisionConfig& v = config.vision;
  const FoundationConfig& f = config.foundation;
  check.need("visual.pos_embed", {1, v.grid, v.grid, v.width});
  check.need_pair("visual.patch_embed.proj", {v.width, 3, v.patch, v.patch});
  for (int64_t i = 0; i < v.layers; ++i) {
    const std::string block = "visual.blocks." + std::to_string(i) + ".";
    check_foundation_block(check, block, config);
    const bool global = f.global_blocks[static_cast<size_t>(i)];
    const int64_t rows = 2 * (global ? v.grid : f.window) - 1;
    for (const char* side : {"attn.rel_pos_h", "attn.rel_pos_w"}) {
      check.need(block + side, {rows, v.width / v.heads});
    }
  }
  check.need("visual.neck.conv1.weight", {v.embed_dim, v.width, 1, 1});
  check.need_pair("visual.neck.norm1", {v.embed_dim});
  check.need("visual.neck.conv2.weight", {v.embed_dim, v.embed_dim, 3, 3});
  check.need_pair("visual.neck.norm2", {v.embed_dim});
}

void check_text_tower(Checker& check, const TextConfig& t, int64_t mlp_hidden) {
  check.need("text.token_embedding.weight", {t.vocab, t.width});
  check.need("text.positional_embedding", {t.context, t.width});
  check_clip_blocks(check, "text.", t.layers, t.width, mlp_hidden);
  check.need_pair("text.ln_final", {t.width});
  check.need("text.text_projection", {t.width, t.embed_dim});
}

}  // namespace

void check_towers(TowerTensors& weights, const ModelConfig& config) {
  Checker check(weights);
  switch (config.family) {
    case Family::kEva:
      check_eva_tower(check, config.vision);
      break;
    case Family::kPlain:
      check_plain_tower(check, config.vision);
      break;
    case Family::kSam:
      check_sam(check, config);
      break;
    case Family::kDino:
    case Family::kDino2:
      check_dino(check, config);
      break;
  }
  const auto scale = weights.tensors.find("logit_scale");
  if (scale != weights.tensors.end() && scale->second.numel() == 1) {
    scale->second = scale->second.reshape({});  // some files hold [1]
  }
  if (config.text) {
    check_text_tower(
        check,
        *config.text,
        weights.need("text.transformer.resblocks.0.mlp.c_fc.weight", 2)
            .size(0));
    check.need("logit_scale", {});
  } else {
    check.allow("logit_scale", {});
  }
  check.reject_others();
}

}  // namespace declip
