#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "checkpoint/family.h"

namespace declip {

/// Whose names a file's prompt encoder and mask decoder have.
enum class SamNames { kOriginal, kTransformers };

/// Fills `out.mask_decoder`, or says in `out.mask_decoder_fault` what is wrong
/// with an incomplete one, whose encoder can be used all the same. A file
/// without any, such as timm's, is left as it is.
///
/// told_heads  of the configuration beside the weights
///
/// The tensors leave `source.weights.unused`. Names, for messages as for
/// layers: `prompts.*` and `masks.*`, as the tables in the source have them.
///
/// Throws Error(kWeights) for tensors that SAM's decoder does not have: other
/// models of its kin would give other masks. Throws Error(kInvalidArg) for
/// config.decoderHeads that does not fit.
void read_mask_decoder(const CheckpointSource& source,
                       SamNames names,
                       std::optional<int64_t> told_heads,
                       Checkpoint& out);

}  // namespace declip
