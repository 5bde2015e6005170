#include "checkpoint/detect.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <vector>

#include "declip/error.h"
#include "files/text.h"

namespace declip {
namespace {

enum class Verdict {
  kHuggingFace,
  kEva,
  kPlain,
  kBareEva,
  kBarePlain,
  kDetector,
  kFoundation,
  kRejected,
};

struct Signature {
  std::string_view key;  // pattern of match_key()
  Verdict verdict;
  std::string_view reason = "";  // of a rejection
};

constexpr std::string_view kSiglip =
    "it is a SigLIP model, whose towers are built differently from CLIP's";
constexpr std::string_view kTimm =
    "its vision tower has timm's layout (visual.trunk.*); convert it to the "
    "EVA-CLIP layout, or load the original EVA-CLIP file";
constexpr std::string_view kEva01 =
    "it is EVA01-CLIP, which has no rotary positions, sub-LayerNorm or SwiGLU; "
    "of the EVA family, EVA02-CLIP is supported";
constexpr std::string_view kResNet =
    "it is a CLIP with a ResNet vision tower; a ViT tower is needed for dense "
    "features";
constexpr std::string_view kTextOnly =
    "it holds a text tower and no vision tower";
constexpr std::string_view kMae =
    "it is a masked autoencoder (MAE) with its decoder; of the vision "
    "foundation models, DINO, DINOv2 and SAM are supported";
constexpr std::string_view kDino3 =
    "it is DINOv3, which has rotary positions; of the vision foundation "
    "models, DINO, DINOv2 and SAM are supported";
constexpr std::string_view kTimmEva =
    "it is an EVA tower in timm's layout; load the original EVA-CLIP file";
constexpr std::string_view kOtherSam =
    "it is a SAM with another image encoder than the ViT (SAM 2, MobileSAM)";
constexpr std::string_view kOtherVit =
    "it is a vision transformer whose names fit none of the layouts of DINO, "
    "DINOv2 or SAM; a training checkpoint holds several models: save one of "
    "them alone";

// In order; the first that any key matches decides.
constexpr std::array kSignatures{
    Signature{"vision_model.head.*", Verdict::kRejected, kSiglip},
    Signature{"text_model.head.*", Verdict::kRejected, kSiglip},
    Signature{"vision_model.embeddings.*", Verdict::kHuggingFace},
    Signature{"vision_model.encoder.*", Verdict::kHuggingFace},
    Signature{"visual_projection.weight", Verdict::kHuggingFace},
    Signature{"text_model.*", Verdict::kHuggingFace},
    Signature{"visual.trunk.*", Verdict::kRejected, kTimm},
    Signature{"visual.blocks.#.attn.q_proj.weight", Verdict::kEva},
    Signature{"visual.blocks.#.mlp.w1.weight", Verdict::kEva},
    Signature{"visual.blocks.#.attn.qkv.weight", Verdict::kRejected, kEva01},
    Signature{"visual.blocks.#.mlp.fc1.weight", Verdict::kRejected, kEva01},
    Signature{"visual.layer1.#.conv1.weight", Verdict::kRejected, kResNet},
    Signature{"visual.transformer.resblocks.*", Verdict::kPlain},
    Signature{"visual.conv1.weight", Verdict::kPlain},
    Signature{"backbone.visual.*", Verdict::kDetector},
    Signature{"blocks.#.attn.q_proj.weight", Verdict::kBareEva},
    Signature{"class_embedding", Verdict::kBarePlain},
    Signature{"conv1.weight", Verdict::kBarePlain},
    Signature{"token_embedding.weight", Verdict::kRejected, kTextOnly},
    Signature{"text.token_embedding.weight", Verdict::kRejected, kTextOnly},
    Signature{"layer1.#.conv1.weight", Verdict::kRejected, kResNet},
    Signature{"*decoder_blocks.#.norm1.weight", Verdict::kRejected, kMae},
    Signature{"decoder.decoder_layers.*", Verdict::kRejected, kMae},
    Signature{"rope_embed*", Verdict::kRejected, kDino3},
    Signature{"storage_tokens", Verdict::kRejected, kDino3},
    Signature{"blocks.#.gamma_1", Verdict::kRejected, kDino3},
    Signature{"*layer.#.attention.q_proj.weight", Verdict::kFoundation},
    Signature{"*blocks.#.attn.q_bias", Verdict::kRejected, kTimmEva},
    Signature{"*blocks.#.attn.qkv.weight", Verdict::kFoundation},
    Signature{"*layers.#.attn.qkv.weight", Verdict::kFoundation},
    Signature{"*layers.#.attention.q_proj.weight", Verdict::kFoundation},
    Signature{"*layer.#.attention.attention.query.weight",
              Verdict::kFoundation},
    Signature{"image_encoder.*", Verdict::kRejected, kOtherSam},
    Signature{"vision_encoder.*", Verdict::kRejected, kOtherSam},
};

bool any_key_matches(const std::map<std::string, at::Tensor>& tensors,
                     std::string_view pattern) {
  return std::any_of(tensors.begin(), tensors.end(), [&](const auto& named) {
    return match_key(pattern, named.first).has_value();
  });
}

const Signature* find_signature(
    const std::map<std::string, at::Tensor>& tensors) {
  const auto* it = std::find_if(
      kSignatures.begin(), kSignatures.end(), [&](const Signature& signature) {
        return any_key_matches(tensors, signature.key);
      });
  return it == kSignatures.end() ? nullptr : it;
}

bool any_key_begins_with(const std::map<std::string, at::Tensor>& tensors,
                         const std::string& prefix) {
  const auto it = tensors.lower_bound(prefix);
  return it != tensors.end() && it->first.starts_with(prefix);
}

[[noreturn]] void reject(const std::string& path, const std::string& why) {
  throw Error(ErrorCode::kWeights,
              path + ": not a checkpoint this package runs: " + why + ".");
}

// A layout of a vision foundation model: `key` is in every file that has it.
// The first whose key stands behind one of the prefixes is the file's.
struct FoundationLayout {
  std::string_view key;
  Naming naming;
  Family family;
  KeyMap key_map;
};

std::vector<FoundationLayout> foundation_layouts() {
  constexpr auto kDino = Family::kDino, kDino2 = Family::kDino2,
                 kSam = Family::kSam;
  constexpr auto kOriginal = Naming::kOriginal, kTimm = Naming::kTimm,
                 kTransformers = Naming::kTransformers;
  const bool v5 = true, gated = true;
  return {
      {"blocks.#.mlp.lin1.weight", kOriginal, kSam, sam_key_map()},
      {"blocks.#.attn.rel_pos_h", kTimm, kSam, timm_sam_key_map()},
      {"layers.#.attn.rel_pos_h",
       kTransformers,
       kSam,
       transformers_sam_key_map()},
      {"reg_token", kTimm, kDino2, timm_registers_key_map()},
      {"blocks.#.mlp.w12.weight", kOriginal, kDino2, vit_key_map(gated)},
      {"blocks.#.ls1.gamma", kOriginal, kDino2, vit_key_map(!gated)},
      {"encoder.layer.#.mlp.gate_proj.weight",
       kTransformers,
       kDino2,
       transformers_dinov2_key_map(v5, gated)},
      {"encoder.layer.#.attention.q_proj.weight",
       kTransformers,
       kDino2,
       transformers_dinov2_key_map(v5, !gated)},
      {"encoder.layer.#.mlp.weights_in.weight",
       kTransformers,
       kDino2,
       transformers_dinov2_key_map(!v5, gated)},
      {"encoder.layer.#.layer_scale1.lambda1",
       kTransformers,
       kDino2,
       transformers_dinov2_key_map(!v5, !gated)},
      {"layers.#.attention.q_proj.weight",
       kTransformers,
       kDino,
       transformers_vit_key_map(v5)},
      {"encoder.layer.#.attention.attention.query.weight",
       kTransformers,
       kDino,
       transformers_vit_key_map(!v5)},
      {"blocks.#.attn.qkv.weight", kOriginal, kDino, vit_key_map(!gated)},
  };
}

// In front of every key of the encoder: nothing, or what whole models have.
constexpr std::array<std::string_view, 7> kPrefixes{"",
                                                    "image_encoder.",
                                                    "vision_encoder.",
                                                    "vit.",
                                                    "dinov2.",
                                                    "dinov2_with_registers.",
                                                    "backbone."};

Layout foundation_layout(const std::map<std::string, at::Tensor>& tensors,
                         const std::string& path) {
  for (const FoundationLayout& layout : foundation_layouts()) {
    for (const std::string_view prefix : kPrefixes) {
      const std::string key = std::string(prefix).append(layout.key);
      if (!any_key_matches(tensors, key)) continue;
      return {
          layout.naming, layout.family, layout.key_map, std::string(prefix)};
    }
  }
  reject(
      path,
      std::string(any_key_begins_with(tensors, "layer.") ? kDino3 : kOtherVit));
}

}  // namespace

Layout detect_layout(const std::map<std::string, at::Tensor>& tensors,
                     const std::string& path) {
  const Signature* found = find_signature(tensors);
  if (found == nullptr) {
    reject(path,
           tensors.empty()
               ? "it holds no tensors"
               : "none of its " + std::to_string(tensors.size()) +
                     " tensors has a name of OpenAI, OpenCLIP, Hugging Face "
                     "CLIP, EVA02-CLIP, DINO, DINOv2 or SAM (the first is " +
                     in_quotes(tensors.begin()->first) + ")");
  }
  const KeyMap clip_map = any_key_begins_with(tensors, "text.")
                              ? custom_text_key_map()
                              : openai_key_map();
  switch (found->verdict) {
    case Verdict::kHuggingFace:
      return {Naming::kHuggingFace, Family::kPlain, hugging_face_key_map(), ""};
    case Verdict::kEva:
      return {Naming::kClip, Family::kEva, clip_map, ""};
    case Verdict::kPlain:
      return {Naming::kClip, Family::kPlain, clip_map, ""};
    case Verdict::kBareEva:
      return {Naming::kBareTower, Family::kEva, bare_tower_key_map(), ""};
    case Verdict::kBarePlain:
      if (any_key_begins_with(tensors, "layer1.")) {
        reject(path, std::string(kResNet));
      }
      return {Naming::kBareTower, Family::kPlain, bare_tower_key_map(), ""};
    case Verdict::kDetector: {
      constexpr std::string_view kPrefix = "backbone.";
      std::map<std::string, at::Tensor> tower;
      for (const auto& [key, tensor] : tensors) {
        if (key.starts_with("backbone.visual.")) {
          tower.emplace(key.substr(kPrefix.size()), tensor);
        }
      }
      const Layout inner = detect_layout(tower, path);
      return {Naming::kDetector, inner.family, detector_key_map(), ""};
    }
    case Verdict::kFoundation:
      return foundation_layout(tensors, path);
    case Verdict::kRejected:
      break;
  }
  reject(path, std::string(found->reason));
}

}  // namespace declip
