#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace declip {

/// Matches `key` against `pattern`, where '#' stands for one or more digits and
/// '*' for any text, and returns what they stood for; nothing on a mismatch.
std::optional<std::vector<std::string>> match_key(std::string_view pattern,
                                                  std::string_view key);

/// `pattern` with its '#' and '*' replaced by `parts`, in order.
std::string fill_key(std::string_view pattern,
                     std::span<const std::string> parts);

/// What a tensor goes through on its way to the internal naming.
enum class Transform {
  kNone,
  kTranspose,  // [E,D] weight of a linear layer -> [D,E] right factor
  kQuery,      // rows 0..D of a fused in_proj
  kKey,        // rows D..2D
  kValue,      // rows 2D..3D
  kGate,       // first half of the rows of a fused SwiGLU
  kUp,         // second half
  kDrop,       // recomputed or not needed
};

/// `source` becomes `internal`; both have the same '#' and '*'.
struct KeyRule {
  std::string_view source;
  std::string_view internal;
  Transform transform = Transform::kNone;
};

/// Rules of one checkpoint family; the first that matches a key applies.
using KeyMap = std::span<const KeyRule>;

/// OpenAI, and OpenCLIP or EVA-CLIP with the text keys at the top level.
KeyMap openai_key_map();
/// OpenCLIP and EVA-CLIP with the text keys under `text.` ("custom text").
KeyMap custom_text_key_map();
/// Hugging Face CLIPModel.
KeyMap hugging_face_key_map();
/// A vision tower without the `visual.` prefix.
KeyMap bare_tower_key_map();
/// The vision tower inside an F-ViT detector of MMDetection.
KeyMap detector_key_map();

// Vision foundation models: keys without what the whole file has in front of
// them (Layout::prefix).

/// DINO and DINOv2, original and timm; `gated`: DINOv2 g of the original.
KeyMap vit_key_map(bool gated);
/// timm's DINOv2 with registers.
KeyMap timm_registers_key_map();
/// transformers' ViTModel, by version of its module names.
KeyMap transformers_vit_key_map(bool version5);
/// transformers' Dinov2Model and Dinov2WithRegistersModel.
KeyMap transformers_dinov2_key_map(bool version5, bool gated);
/// SAM's image encoder.
KeyMap sam_key_map();
KeyMap timm_sam_key_map();
KeyMap transformers_sam_key_map();

/// The name that `internal` would have in a file of this family, for messages;
/// `internal` itself if no rule yields it.
std::string source_key(KeyMap map, std::string_view internal);

}  // namespace declip
