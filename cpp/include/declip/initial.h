#pragma once

#include <cstdint>
#include <string>

#include "declip/checkpoint.h"
#include "declip/config.h"

namespace declip {

/// How a new image tower begins.
enum class Start {
  kRandom,
  /// Plain tower: what small towers otherwise spend their first thousand steps
  /// on. Patches are seen as whitened DCT coefficients of three opponent
  /// colours, positions are sines and cosines of row and column (as in MoCo v3,
  /// arXiv:2104.02057), and every q projection equals its k projection, so that
  /// attention begins between tokens that are alike or near (compare mimetic
  /// initialisation, arXiv:2305.09828).
  kStructured,
};

/// Throws Error(kInvalidArg) for a name that is neither 'random' nor
/// 'structured'.
Start start_from(const std::string& name);

/// A model that has learnt nothing, to train from scratch: every tensor of
/// `config` in float32, drawn from normal distributions as OpenCLIP does for
/// the plain tower and the text tower and EVA-CLIP for its own. The logit scale
/// begins at ln(1 / 0.07). The same seed gives the same weights.
/// Throws Error(kInvalidArg) for sizes that cannot be, and for kStructured
/// with EVA or with a width that is no multiple of 4.
Checkpoint initial_checkpoint(const ModelConfig& config,
                              uint64_t seed,
                              Start start = Start::kRandom);

/// The same as files, in open_clip's layout: see Trainer::export_checkpoint().
void write_initial_checkpoint(const std::string& path,
                              const ModelConfig& config,
                              uint64_t seed,
                              Start start = Start::kRandom);

}  // namespace declip
