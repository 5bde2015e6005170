#pragma once

#include <optional>
#include <string>

#include "declip/config.h"

namespace declip {

/// What transformers' image processor beside the weights does with a picture.
struct ProcessorConfig {
  PixelStats pixels;  // rescale_factor included
  Preprocess preprocess;
};

/// Reads preprocessor_config.json of a folder, or the image processor in
/// processor_config.json; nothing if there is neither.
///
/// usual  statistics where the file has none
///
/// Throws Error(kWeights) naming file, field and value for what cannot be done
/// here: other filters than bicubic and bilinear, pictures that are not square
/// in the end, processors with rules of their own.
std::optional<ProcessorConfig> read_processor_config(const std::string& folder,
                                                     const PixelStats& usual);

/// The statistics alone, of a model that pictures as a whole have no features
/// of.
std::optional<PixelStats> read_processor_pixels(const std::string& folder);

}  // namespace declip
