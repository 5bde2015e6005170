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

/// The name that `internal` would have in a file of this family, for messages;
/// `internal` itself if no rule yields it.
std::string source_key(KeyMap map, std::string_view internal);

}  // namespace declip
