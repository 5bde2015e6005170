// quantize: a row is read once and kept in the first-level cache while its
// largest value is looked for; 1 byte per value is written.
// dequantize: 4 bytes read per value (8 with a residual), 2 or 4 written; an
// exponential with an activation.

#include "kernels/quantize.h"

#include <ATen/Parallel.h>
#include <ATen/cpu/vec/vec.h>

#include <cmath>
#include <vector>

#include "kernels/activation_math.h"
#include "kernels/bfloat16_math.h"

namespace declip::cpu::DECLIP_CPU_LEVEL {
namespace {

using Vec = at::vec::Vectorized<float>;

float largest_magnitude(const float* row, int64_t width) {
  constexpr int64_t kStep = Vec::size();
  Vec largest(0.0f);
  int64_t i = 0;
  for (; i + kStep <= width; i += kStep) {
    largest = at::vec::maximum(largest, Vec::loadu(row + i).abs());
  }
  float lanes[kStep];
  largest.store(lanes);
  float result = 0.0f;
  for (const float lane : lanes) result = lane > result ? lane : result;
  for (; i < width; ++i) {
    result = std::fabs(row[i]) > result ? std::fabs(row[i]) : result;
  }
  return result;
}

template <typename Activation>
void dequantize_row(const DequantizeArgs& args,
                    int64_t r,
                    float* __restrict row,
                    Activation&& activation) {
  const float* __restrict x = args.x + r * args.width;
  const float scale = args.scales[r];
  if (args.bias) {
    const float* __restrict bias = args.bias;
    for (int64_t i = 0; i < args.width; ++i) {
      row[i] = activation(scale * x[i] + bias[i]);
    }
  } else {
    for (int64_t i = 0; i < args.width; ++i) row[i] = activation(scale * x[i]);
  }
  if (args.residual) {
    const float* __restrict residual = args.residual + r * args.width;
    for (int64_t i = 0; i < args.width; ++i) row[i] += residual[i];
  }
}

}  // namespace

void quantize_rows(const QuantizeArgs& args) {
  const int64_t width = args.width;
  at::parallel_for(0, args.rows, 16, [&](int64_t begin, int64_t end) {
    std::vector<float> buffer(width);
    for (int64_t r = begin; r < end; ++r) {
      const float* row = static_cast<const float*>(args.x) + r * width;
      if (args.bfloat16) {
        const auto* bits = static_cast<const uint16_t*>(args.x) + r * width;
        float* __restrict values = buffer.data();
        for (int64_t i = 0; i < width; ++i) values[i] = from_bfloat16(bits[i]);
        row = values;
      }
      const float largest = largest_magnitude(row, width);
      const float scale = largest > 0.0f ? largest / 127.0f : 1.0f;
      const float factor = 1.0f / scale;
      args.scales[r] = scale;
      uint8_t* __restrict out = args.values + r * width;
      for (int64_t i = 0; i < width; ++i) {
        // 128.5: truncation rounds to nearest, as the sum is positive.
        out[i] = static_cast<uint8_t>(
            static_cast<int32_t>(row[i] * factor + 128.5f));
      }
    }
  });
}

void dequantize_rows(const DequantizeArgs& args) {
  const int64_t width = args.width;
  at::parallel_for(0, args.rows, 16, [&](int64_t begin, int64_t end) {
    std::vector<float> buffer(width);
    for (int64_t r = begin; r < end; ++r) {
      float* row = args.bfloat16 ? buffer.data()
                                 : static_cast<float*>(args.out) + r * width;
      switch (args.epilogue) {
        case Epilogue::kSilu:
          dequantize_row(args, r, row, [](float x) { return silu(x); });
          break;
        case Epilogue::kGelu:
          dequantize_row(args, r, row, [](float x) { return gelu(x); });
          break;
        case Epilogue::kGeluTanh:
          dequantize_row(args, r, row, [](float x) { return gelu_tanh(x); });
          break;
        case Epilogue::kRelu:
          dequantize_row(args, r, row, [](float x) { return relu(x); });
          break;
        default:
          dequantize_row(args, r, row, [](float x) { return x; });
      }
      if (!args.bfloat16) continue;
      uint16_t* __restrict out = static_cast<uint16_t*>(args.out) + r * width;
      const float* __restrict values = row;
      for (int64_t i = 0; i < width; ++i) out[i] = to_bfloat16(values[i]);
    }
  });
}

}  // namespace declip::cpu::DECLIP_CPU_LEVEL
