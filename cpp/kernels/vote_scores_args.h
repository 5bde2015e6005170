#pragma once

#include <cstdint>

#include "kernels/cuda/twin.h"

namespace declip {

struct VoteScoresArgs {
  const float* cosines = nullptr;       // [P, W]
  const float* votes = nullptr;         // [P, W]
  const int64_t* word_class = nullptr;  // [W], or null: word i is class i
  const float* shares = nullptr;        // [C]
  int64_t rows = 0;                     // P
  int64_t words = 0;                    // W
  int64_t classes = 0;                  // C
  float temperature = 0;
  float vote_temperature = 0;
  float* out = nullptr;  // [P, C]
};

DECLIP_TWINS(vote_scores, (const VoteScoresArgs& args), (args))

}  // namespace declip
