#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "declip/config.h"

namespace declip {

/// What config.json of one of timm's repositories says of a ViT whose sizes the
/// tensors tell.
struct TimmConfig {
  std::string path;          // of the file, for messages
  std::string architecture;  // 'eva02_base_patch16_clip_224'
  std::string tag;           // of the weights: 'merged2b'; may be empty
  std::string global_pool;   // 'token', 'avg', 'map'; empty if it is not said
  std::optional<int64_t> heads;
  int64_t image_size = 0;  // a square's side; 0 if it is not said
  PixelStats pixels;
  Preprocess preprocess;
};

/// Reads config.json of a folder of timm's; nothing if there is none, or if it
/// is another program's.
///
/// usual  statistics where the file has none
///
/// Throws Error(kWeights) naming file, field and value for what changes the
/// model's results and is not done here.
std::optional<TimmConfig> read_timm_config(const std::string& folder,
                                           const PixelStats& usual);

}  // namespace declip
