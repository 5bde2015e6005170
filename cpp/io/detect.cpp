#include "io/detect.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "declip/error.h"
#include "io/text.h"

namespace declip {
namespace {

enum class Verdict {
  kHuggingFace,
  kEva,
  kPlain,
  kBareEva,
  kBarePlain,
  kDetector,
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
    "it is a vision foundation model (MAE), which has no text space";
constexpr std::string_view kDino2 =
    "it is a vision foundation model (DINOv2), which has no text space";
constexpr std::string_view kSam =
    "it is a vision foundation model (SAM), which has no text space";
constexpr std::string_view kDino =
    "it is a vision foundation model (DINO, MAE or another plain ViT), which "
    "has no text space";

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
    Signature{"*register_tokens", Verdict::kRejected, kDino2},
    Signature{"*blocks.#.ls1.gamma", Verdict::kRejected, kDino2},
    Signature{"*layer.#.layer_scale1.lambda1", Verdict::kRejected, kDino2},
    Signature{"*image_encoder.neck.*", Verdict::kRejected, kSam},
    Signature{"*blocks.#.attn.rel_pos_h", Verdict::kRejected, kSam},
    Signature{"*vision_encoder.neck.*", Verdict::kRejected, kSam},
    Signature{"*blocks.#.attn.qkv.weight", Verdict::kRejected, kDino},
    Signature{
        "*layer.#.attention.attention.query.weight", Verdict::kRejected, kDino},
};

const Signature* find_signature(
    const std::map<std::string, at::Tensor>& tensors) {
  const auto* it = std::find_if(
      kSignatures.begin(), kSignatures.end(), [&](const Signature& signature) {
        return std::any_of(
            tensors.begin(), tensors.end(), [&](const auto& named) {
              return match_key(signature.key, named.first).has_value();
            });
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
              path + ": not a CLIP checkpoint this package runs: " + why + ".");
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
                     "CLIP or EVA02-CLIP (the first is " +
                     in_quotes(tensors.begin()->first) + ")");
  }
  const KeyMap clip_map = any_key_begins_with(tensors, "text.")
                              ? custom_text_key_map()
                              : openai_key_map();
  switch (found->verdict) {
    case Verdict::kHuggingFace:
      return {Naming::kHuggingFace, Family::kPlain, hugging_face_key_map()};
    case Verdict::kEva:
      return {Naming::kClip, Family::kEva, clip_map};
    case Verdict::kPlain:
      return {Naming::kClip, Family::kPlain, clip_map};
    case Verdict::kBareEva:
      return {Naming::kBareTower, Family::kEva, bare_tower_key_map()};
    case Verdict::kBarePlain:
      if (any_key_begins_with(tensors, "layer1.")) {
        reject(path, std::string(kResNet));
      }
      return {Naming::kBareTower, Family::kPlain, bare_tower_key_map()};
    case Verdict::kDetector: {
      constexpr std::string_view kPrefix = "backbone.";
      std::map<std::string, at::Tensor> tower;
      for (const auto& [key, tensor] : tensors) {
        if (key.starts_with("backbone.visual.")) {
          tower.emplace(key.substr(kPrefix.size()), tensor);
        }
      }
      const Layout inner = detect_layout(tower, path);
      return {Naming::kDetector, inner.family, detector_key_map()};
    }
    case Verdict::kRejected:
      break;
  }
  reject(path, std::string(found->reason));
}

}  // namespace declip
