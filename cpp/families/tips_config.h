#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "declip/config.h"

namespace declip {

/// What config.json says of a TIPSv2. Missing fields have the defaults of
/// transformers' Tipsv2Config.
struct TipsConfig {
  bool found = false;  // there is such a file
  std::optional<int64_t> vision_heads, text_heads;
  int64_t context = 64;
  int64_t pad_token = 0;
  double vision_eps = 1e-6, text_eps = 1e-5;
  bool scaled_embedding = true;  // by the square root of the text width
  double temperature = 0.005065968260169029;  // cosines are divided by it
};

/// Reads config.json in `folder`, in transformers' form (vision_config and
/// text_config) or in that of the authors' repositories, which is flat.
///
/// notes  gets what was assumed or ignored
///
/// Throws Error(kWeights) naming file, field, value and what is expected for
/// what would change results and is not run here.
TipsConfig read_tips_config(const std::string& folder,
                            std::vector<std::string>& notes);

}  // namespace declip
