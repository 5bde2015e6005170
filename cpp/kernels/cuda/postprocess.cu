// The steps are described in cpu/postprocess.cpp. One thread per pixel; all are
// bound by the bytes they read and write, but for counting, which adds up in
// shared memory where the classes fit, so that a block goes to each global
// counter once.

#include "kernels/cuda/cuda_common.cuh"
#include "kernels/pamr_math.h"
#include "kernels/postprocess_args.h"
#include "kernels/postprocess_math.h"

namespace declip::cuda::DECLIP_CUDA_TARGET {
namespace {

constexpr int kSharedClasses = 1024;
constexpr int64_t kPixelsPerThread = 16;  // of the counting kernel

using Counter = unsigned long long;

template <typename... Parameters, typename... Arguments>
void for_pixels(const char* name,
                void (*kernel)(Parameters...),
                int64_t pixels,
                Stream stream,
                const Arguments&... arguments) {
  launch(name,
         kernel,
         blocks_for(pixels),
         dim3(kItemBlock, 1, 1),
         stream,
         arguments...);
}

__global__ void add_word_at(const float* plane,
                            float scale,
                            int32_t label,
                            WordState state) {
  const int64_t i = item_index();
  if (i >= state.pixels) return;
  const WordScore score = add_score(
      {state.best[i], state.sum[i], state.label[i]}, plane[i], label, scale);
  state.best[i] = score.best;
  state.sum[i] = score.sum;
  state.label[i] = score.label;
}

__global__ void add_left_out_at(const float* plane,
                                float scale,
                                WordState state) {
  const int64_t i = item_index();
  if (i < state.pixels)
    state.sum[i] += left_out_share(plane[i], state.best[i], scale);
}

/// Bits of floats that are not negative are in the floats' order.
__global__ void largest_probability_at(const float* plane,
                                       float scale,
                                       WordState state,
                                       float* largest) {
  const int64_t i = item_index();
  if (i >= state.pixels) return;
  const float probability =
      score_probability(plane[i], state.best[i], state.sum[i], scale);
  if (probability > *largest) {
    atomicMax(reinterpret_cast<int*>(largest), __float_as_int(probability));
  }
}

__global__ void add_maximum_at(const float* plane,
                               int64_t pixels,
                               float* maximum) {
  const int64_t i = item_index();
  if (i < pixels && plane[i] > maximum[i]) maximum[i] = plane[i];
}

__global__ void add_class_at(const float* plane,
                             int32_t label,
                             ClassRanks ranks) {
  const int64_t i = item_index();
  if (i >= ranks.pixels) return;
  float logit = plane[i];
  auto number = static_cast<uint16_t>(label);
  // Most classes are below the last rank of a pixel.
  if (!(logit > ranks.logit[(kRanks - 1) * ranks.pixels + i])) return;
  for (int64_t r = 0; r < kRanks; ++r) {
    insert_rank(ranks.logit[r * ranks.pixels + i],
                ranks.label[r * ranks.pixels + i],
                logit,
                number);
  }
}

__global__ void choose_kept_at(ClassRanks ranks,
                               const uint8_t* keep,
                               float* chosen,
                               int32_t* labels,
                               int64_t* open) {
  const int64_t i = item_index();
  if (i >= ranks.pixels) return;
  if (!choose_rank(ranks, i, keep, chosen[i], labels[i])) {
    atomicAdd(reinterpret_cast<Counter*>(open), Counter{1});
  }
}

__global__ void take_larger_at(const float* plane,
                               int32_t label,
                               int64_t pixels,
                               float* chosen,
                               int32_t* labels) {
  const int64_t i = item_index();
  if (i >= pixels || !(plane[i] > chosen[i])) return;
  chosen[i] = plane[i];
  labels[i] = label;
}

__global__ void class_probability_at(const float* plane,
                                     float scale,
                                     WordState state,
                                     float* probability) {
  const int64_t i = item_index();
  if (i >= state.pixels) return;
  probability[i] =
      score_probability(plane[i], state.best[i], state.sum[i], scale);
}

__global__ void certainty_at(WordState state, uint8_t* certainty) {
  const int64_t i = item_index();
  if (i < state.pixels) certainty[i] = code_certainty(state.sum[i]);
}

__global__ void threshold_at(const float* chosen,
                             float scale,
                             float threshold,
                             int32_t background,
                             WordState state) {
  const int64_t i = item_index();
  if (i >= state.pixels) return;
  const float probability =
      score_probability(chosen[i], state.best[i], state.sum[i], scale);
  if (probability < threshold) state.label[i] = background;
}

/// A block counts kItemBlock * kPixelsPerThread pixels.
__global__ void count_at(const int32_t* labels,
                         int64_t pixels,
                         int64_t classes,
                         int64_t* counts) {
  __shared__ unsigned own[kSharedClasses];
  const bool shared = classes <= kSharedClasses;
  for (int64_t c = threadIdx.x; shared && c < classes; c += kItemBlock)
    own[c] = 0;
  __syncthreads();
  const int64_t first =
      static_cast<int64_t>(blockIdx.x) * kItemBlock * kPixelsPerThread +
      threadIdx.x;
  for (int64_t n = 0; n < kPixelsPerThread; ++n) {
    const int64_t i = first + n * kItemBlock;
    if (i >= pixels) break;
    if (shared) {
      atomicAdd(own + labels[i], 1u);
    } else {
      atomicAdd(reinterpret_cast<Counter*>(counts) + labels[i], Counter{1});
    }
  }
  __syncthreads();
  for (int64_t c = threadIdx.x; shared && c < classes; c += kItemBlock) {
    if (own[c] != 0)
      atomicAdd(reinterpret_cast<Counter*>(counts) + c, Counter{own[c]});
  }
}

/// The largest label of 3 x 3 pixels, or the smallest.
__global__ void filter_at(const int32_t* in,
                          int64_t height,
                          int64_t width,
                          bool largest,
                          int32_t* out) {
  const int64_t i = item_index();
  if (i >= height * width) return;
  int32_t picked = in[i];
  for (int64_t dy = -1; dy <= 1; ++dy) {
    const int64_t y = clamp_index(i / width + dy, height);
    for (int64_t dx = -1; dx <= 1; ++dx) {
      const int32_t other = in[y * width + clamp_index(i % width + dx, width)];
      picked = (other > picked) == largest ? other : picked;
    }
  }
  out[i] = picked;
}

}  // namespace

void add_word(const float* plane,
              float scale,
              int32_t label,
              const WordState& state,
              Stream stream) {
  for_pixels("add_word",
             add_word_at,
             state.pixels,
             stream,
             plane,
             scale,
             label,
             state);
}

void add_left_out(const float* plane,
                  float scale,
                  const WordState& state,
                  Stream stream) {
  for_pixels("add_left_out",
             add_left_out_at,
             state.pixels,
             stream,
             plane,
             scale,
             state);
}

void largest_probability(const float* plane,
                         float scale,
                         const WordState& state,
                         float* largest,
                         Stream stream) {
  for_pixels("largest_probability",
             largest_probability_at,
             state.pixels,
             stream,
             plane,
             scale,
             state,
             largest);
}

void add_maximum(const float* plane,
                 int64_t pixels,
                 float* maximum,
                 Stream stream) {
  for_pixels(
      "add_maximum", add_maximum_at, pixels, stream, plane, pixels, maximum);
}

void add_class(const float* plane,
               int32_t label,
               const ClassRanks& ranks,
               Stream stream) {
  for_pixels(
      "add_class", add_class_at, ranks.pixels, stream, plane, label, ranks);
}

void choose_kept(const ClassRanks& ranks,
                 const uint8_t* keep,
                 float* chosen,
                 int32_t* labels,
                 int64_t* open,
                 Stream stream) {
  for_pixels("choose_kept",
             choose_kept_at,
             ranks.pixels,
             stream,
             ranks,
             keep,
             chosen,
             labels,
             open);
}

void label_certainty(const WordState& state,
                     uint8_t* certainty,
                     Stream stream) {
  for_pixels(
      "label_certainty", certainty_at, state.pixels, stream, state, certainty);
}

void take_larger(const float* plane,
                 int32_t label,
                 int64_t pixels,
                 float* chosen,
                 int32_t* labels,
                 Stream stream) {
  for_pixels("take_larger",
             take_larger_at,
             pixels,
             stream,
             plane,
             label,
             pixels,
             chosen,
             labels);
}

void class_probability(const float* plane,
                       float scale,
                       const WordState& state,
                       float* probability,
                       Stream stream) {
  for_pixels("class_probability",
             class_probability_at,
             state.pixels,
             stream,
             plane,
             scale,
             state,
             probability);
}

void threshold_labels(const float* chosen,
                      float scale,
                      float threshold,
                      int32_t background,
                      const WordState& state,
                      Stream stream) {
  for_pixels("threshold_labels",
             threshold_at,
             state.pixels,
             stream,
             chosen,
             scale,
             threshold,
             background,
             state);
}

void count_labels(const int32_t* labels,
                  int64_t pixels,
                  int64_t classes,
                  int64_t* counts,
                  Stream stream) {
  for_pixels("count_labels",
             count_at,
             (pixels + kPixelsPerThread - 1) / kPixelsPerThread,
             stream,
             labels,
             pixels,
             classes,
             counts);
}

void dilate_labels(const int32_t* in,
                   int64_t height,
                   int64_t width,
                   int32_t* out,
                   Stream stream) {
  for_pixels("dilate_labels",
             filter_at,
             height * width,
             stream,
             in,
             height,
             width,
             true,
             out);
}

void erode_labels(const int32_t* in,
                  int64_t height,
                  int64_t width,
                  int32_t* out,
                  Stream stream) {
  for_pixels("erode_labels",
             filter_at,
             height * width,
             stream,
             in,
             height,
             width,
             false,
             out);
}

}  // namespace declip::cuda::DECLIP_CUDA_TARGET
