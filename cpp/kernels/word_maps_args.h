#pragma once

#include <cstdint>

#include "kernels/cpu/level.h"

namespace declip {

// CAT-Seg's aggregation (Cho et al., arXiv:2303.11797) on maps of words. A map
// has `places` rows of `stride` floats: its channels, rounded up to
// kWordVector and filled up with zeros. CPU alone.

/// Columns of a packed panel, and what channels and heads are rounded up to.
constexpr int64_t kWordPanel = 32, kWordVector = 16;

/// y = x W^T + b with W packed by pack_panels().
struct PanelLayer {
  const void* panels =
      nullptr;  // float32 or bfloat16, as the kernel's name says
  const float* bias = nullptr;  // [out]; null: none
  int64_t in = 0, out = 0;      // multiples of kWordVector
};

struct WordNorm {
  const float* weight = nullptr;  // [stride], zeros behind the channels
  const float* bias = nullptr;
};

struct WordShape {
  int64_t images = 0, words = 0;  // maps are images x words
  int64_t places = 0;
  int64_t channels = 0, stride = 0;
  int64_t heads = 0;
  int64_t width = 0, wide = 0;  // of a head, and rounded up
  int64_t hidden = 0;           // of the two layers behind attention
  float eps = 1e-5f;
};

/// One of a layer's two blocks of attention within windows of places.
struct WordSpaceBlock {
  WordNorm norm1, norm2;
  PanelLayer qkv;  // queries scaled; out = 3 heads wide
  PanelLayer proj, fc1, fc2;
  const float* guide = nullptr;  // [images, places, 2 heads wide]: what
                                 // guidance and biases add to queries and keys
  int64_t shift = 0;
};

struct WordSpaceArgs {
  WordShape shape;
  int64_t side = 0, window = 0;  // places = side^2, window divides side
  WordSpaceBlock blocks[2];
  float* x = nullptr;  // [images, words, places, stride], changed
};

/// Linear attention over words at every place.
struct WordClassArgs {
  WordShape shape;
  WordNorm norm1, norm2;
  PanelLayer qkv, fc1, fc2;
  const float* guide = nullptr;  // [images, words, 2 heads wide], as above
  /// What the words that only fill up add to the sums of keys times values
  /// [heads, width, wide] and of keys [heads, wide].
  const float* more_products = nullptr;
  const float* more_keys = nullptr;
  const float* x = nullptr;  // [images, words, places, stride]
  /// The same: attention's input and what it adds, and `x` once more if
  /// `again`. May be x.
  float* out = nullptr;
  bool again = true;
};

/// Convolution of the costs, stride 1, zeros around.
struct WordCostArgs {
  int64_t maps = 0, prompts = 0, side = 0, kernel = 0;
  int64_t stride = 0;
  PanelLayer layer;             // float32, in = prompts kernel^2, rounded up
  const float* cost = nullptr;  // [maps, prompts, side^2]
  float* x = nullptr;           // [maps, side^2, stride]
};

/// Group norm in groups of kWordVector channels, then ReLU, of one map.
struct WordNormArgs {
  int64_t side = 0;      // of the result
  int64_t phases = 1;    // 4: x has a quarter of the places, with the values of
                         // the four that each becomes one after the other
  int64_t channels = 0;  // a multiple of kWordVector
  const float* x = nullptr;       // [places / phases, phases, channels]
  const float* addend = nullptr;  // [places, channels], or null
  const float* weight = nullptr;  // [channels]
  const float* bias = nullptr;
  float eps = 1e-5f;
  float* out = nullptr;  // [places, channels]; may be x with one phase
};

/// Convolution of 3 x 3 places to one channel, of one map.
struct WordLogitArgs {
  int64_t side = 0, channels = 0;  // a multiple of kWordVector
  const float* x = nullptr;        // [places, channels]
  const float* weight = nullptr;   // [9, channels]
  float bias = 0.0f;
  float* out = nullptr;  // [places]
};

namespace cpu {
DECLIP_CPU_TWIN(void, word_norm, (const WordNormArgs& args), (args))
DECLIP_CPU_TWIN(void, word_logit, (const WordLogitArgs& args), (args))
DECLIP_CPU_TWIN(void, word_space, (const WordSpaceArgs& args), (args))
DECLIP_CPU_TWIN(void, word_class, (const WordClassArgs& args), (args))
DECLIP_CPU_TWIN(void, word_cost, (const WordCostArgs& args), (args))

#if defined(__x86_64__) && defined(__GNUC__)
// With products in bfloat16, whose instructions few processors have.
namespace avx512 {
DECLIP_WEAK void word_space_bfloat16(const WordSpaceArgs& args);
DECLIP_WEAK void word_class_bfloat16(const WordClassArgs& args);
}  // namespace avx512
#endif
}  // namespace cpu

}  // namespace declip
