#pragma once

#include <cstdint>
#include <vector>

#include "declip/call.h"
#include "declip/pipeline.h"
#include "segment/word_planes.h"

namespace declip {

/// Labels a picture in bands of rows, on the CPU and without PAMR. A band goes
/// through all words while it is in the cache of the thread that has it, so
/// that no plane of floats has more rows than a band. Of the whole picture
/// there are the labels, kRanks + 1 bytes per pixel with an area filter, and
/// the scores that `post` asks for. The labels are those of Postprocess.
Segmentation label_in_bands(const WordPlanes& source,
                            const std::vector<int64_t>& word_class,
                            const PostOptions& post,
                            const Call& call);

}  // namespace declip
