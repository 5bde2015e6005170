#pragma once

#include <cstdint>
#include <string>

namespace declip::bench {

/// Shape of a CLIP in OpenAI's layout. Heads are 64 wide, MLPs four times as
/// wide as the tower, the text tower has 12 layers.
struct ClipShape {
  std::string name;
  int64_t image = 224, patch = 16;  // pixels
  int64_t width = 768, layers = 12, embed = 512;
  int64_t text_width = 512, text_layers = 12;

  int64_t tokens() const { return 1 + (image / patch) * (image / patch); }
  /// Operations of one picture's way through the image tower, a multiplication
  /// and an addition as two.
  double flops() const;
};

/// 'vit-b-16', 'vit-l-14', or 'tiny' to try things out.
ClipShape clip_shape(const std::string& name);

/// Writes it with random weights, the same for the same shape, so scaled that
/// activations keep their size and attention is far from uniform.
void write_random_checkpoint(const ClipShape& shape, const std::string& path);

}  // namespace declip::bench
