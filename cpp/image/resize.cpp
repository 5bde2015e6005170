#include "declip/resize.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <string>
#include <vector>

#include "declip/error.h"

namespace declip {
namespace {

constexpr int64_t kChannels = 3;
constexpr int64_t kRowGrain = 16;  // rows that are worth a thread

at::Tensor new_rgb(Size size) {
  return at::empty({size.height, size.width, kChannels}, at::kByte);
}

// --- OpenCV's INTER_LINEAR for 8-bit pixels (modules/imgproc/src/resize.cpp)
// ---

constexpr int kLinearScale = 1 << 11;  // INTER_RESIZE_COEF_SCALE

/// The two source positions of an output position and their weights.
struct LinearTap {
  int64_t first;
  int64_t second;
  int weight_first;
  int weight_second;
};

std::vector<LinearTap> linear_taps(int64_t in, int64_t out, bool columns) {
  const double inverse = static_cast<double>(out) / static_cast<double>(in);
  const double scale = 1.0 / inverse;  // not in / out: the quotient's rounding
  std::vector<LinearTap> taps(out);
  for (int64_t i = 0; i < out; ++i) {
    float fraction = static_cast<float>((i + 0.5) * scale - 0.5);
    int64_t first = static_cast<int64_t>(std::floor(fraction));
    fraction -= static_cast<float>(first);
    // OpenCV moves outside columns to the edge with weight 1, but clamps rows
    // and keeps their two weights, which differ in the last bits.
    if (columns && (first < 0 || first >= in - 1)) {
      first = std::clamp<int64_t>(first, 0, in - 1);
      fraction = 0;
    }
    taps[i] = {std::clamp<int64_t>(first, 0, in - 1),
               std::clamp<int64_t>(first + 1, 0, in - 1),
               static_cast<int>(std::lrint((1.0f - fraction) * kLinearScale)),
               static_cast<int>(std::lrint(fraction * kLinearScale))};
  }
  return taps;
}

/// Pixels of 1 (grey), 3 or 4 interleaved channels, of which RGB is wanted.
struct Interleaved {
  const uint8_t* data = nullptr;
  int64_t width = 0;
  int64_t channels = kChannels;

  const uint8_t* row(int64_t y) const { return data + y * width * channels; }
  /// From a pixel's first channel to its channel c.
  int64_t offset(int64_t c) const { return channels == 1 ? 0 : c; }
};

/// One source row resized along its columns: values times 2^11.
void linear_row(const Interleaved& source,
                int64_t y,
                const std::vector<LinearTap>& columns,
                int* out) {
  const uint8_t* row = source.row(y);
  for (const LinearTap& tap : columns) {
    const uint8_t* first = row + tap.first * source.channels;
    const uint8_t* second = row + tap.second * source.channels;
    for (int64_t c = 0; c < kChannels; ++c) {
      *out++ = first[source.offset(c)] * tap.weight_first +
               second[source.offset(c)] * tap.weight_second;
    }
  }
}

/// Exactly half in both directions: mean of 2x2 pixels (INTER_AREA).
void halve(const Interleaved& source, uint8_t* out, Size to) {
  const int64_t next = source.channels;
  for (int64_t y = 0; y < to.height; ++y) {
    const uint8_t* a = source.row(2 * y);
    const uint8_t* b = source.row(2 * y + 1);
    for (int64_t x = 0; x < to.width; ++x, a += 2 * next, b += 2 * next) {
      for (int64_t c = 0; c < kChannels; ++c) {
        const int64_t at = source.offset(c);
        *out++ = static_cast<uint8_t>(
            (a[at] + a[at + next] + b[at] + b[at + next] + 2) >> 2);
      }
    }
  }
}

at::Tensor resize_linear(const Interleaved& source, Size from, Size to) {
  auto result = new_rgb(to);
  uint8_t* out = result.mutable_data_ptr<uint8_t>();
  if (from.height == 2 * to.height && from.width == 2 * to.width) {
    halve(source, out, to);
    return result;
  }
  const auto columns = linear_taps(from.width, to.width, true);
  const auto rows = linear_taps(from.height, to.height, false);
  const int64_t stride = to.width * kChannels;
  at::parallel_for(0, to.height, kRowGrain, [&](int64_t begin, int64_t end) {
    std::vector<int> upper(stride), lower(stride);
    int64_t upper_row = -1, lower_row = -1;  // source rows held in the buffers
    for (int64_t y = begin; y < end; ++y) {
      const LinearTap& tap = rows[y];
      if (upper_row != tap.first && lower_row == tap.first) {
        std::swap(upper, lower);
        std::swap(upper_row, lower_row);
      }
      if (upper_row != tap.first) {
        linear_row(source, tap.first, columns, upper.data());
        upper_row = tap.first;
      }
      if (lower_row != tap.second) {
        linear_row(source, tap.second, columns, lower.data());
        lower_row = tap.second;
      }
      for (int64_t i = 0; i < stride; ++i) {
        out[y * stride + i] = static_cast<uint8_t>(
            (((tap.weight_first * (upper[i] >> 4)) >> 16) +
             ((tap.weight_second * (lower[i] >> 4)) >> 16) + 2) >>
            2);
      }
    }
  });
  return result;
}

// --- Pillow's resampling for 8-bit pixels (src/libImaging/Resample.c) ---

constexpr int kPillowBits = 32 - 8 - 2;

double bicubic(double x) {
  constexpr double a = -0.5;
  x = std::abs(x);
  if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
  if (x < 2.0) return (((x - 5) * x + 8) * x - 4) * a;
  return 0.0;
}

double triangle(double x) {
  x = std::abs(x);
  return x < 1.0 ? 1.0 - x : 0.0;
}

/// Weights of one axis: output i is the sum of `length[i]` inputs from
/// `start[i]` on, weighted by weights[i * stride + k] / 2^22.
struct PillowTaps {
  int64_t stride = 0;
  std::vector<int64_t> start;
  std::vector<int64_t> length;
  std::vector<int> weights;
};

PillowTaps pillow_taps(int64_t in, int64_t out, PillowFilter filter) {
  const bool cubic = filter == PillowFilter::kBicubic;
  const double scale = static_cast<double>(in) / static_cast<double>(out);
  const double filter_scale = std::max(scale, 1.0);
  const double support = (cubic ? 2.0 : 1.0) * filter_scale;
  const double inverse = 1.0 / filter_scale;

  PillowTaps taps;
  taps.stride = static_cast<int64_t>(std::ceil(support)) * 2 + 1;
  taps.start.resize(out);
  taps.length.resize(out);
  taps.weights.assign(out * taps.stride, 0);
  std::vector<double> row(taps.stride);
  for (int64_t i = 0; i < out; ++i) {
    const double center = (i + 0.5) * scale;
    const auto first =
        std::max<int64_t>(static_cast<int64_t>(center - support + 0.5), 0);
    const auto last =
        std::min<int64_t>(static_cast<int64_t>(center + support + 0.5), in);
    double sum = 0;
    for (int64_t k = 0; k < last - first; ++k) {
      const double x = (k + first - center + 0.5) * inverse;
      row[k] = cubic ? bicubic(x) : triangle(x);
      sum += row[k];
    }
    for (int64_t k = 0; k < last - first; ++k) {
      const double weight = sum != 0 ? row[k] / sum : row[k];
      taps.weights[i * taps.stride + k] = static_cast<int>(
          (weight < 0 ? -0.5 : 0.5) + weight * (1 << kPillowBits));
    }
    taps.start[i] = first;
    taps.length[i] = last - first;
  }
  return taps;
}

uint8_t pillow_byte(int sum) {
  return static_cast<uint8_t>(std::clamp(sum >> kPillowBits, 0, 255));
}

at::Tensor pillow_columns(const at::Tensor& in,
                          int64_t width,
                          PillowFilter filter) {
  const int64_t in_width = in.size(1);
  if (in_width == width) return in;
  const PillowTaps taps = pillow_taps(in_width, width, filter);
  auto out = new_rgb({in.size(0), width});
  const uint8_t* source = in.const_data_ptr<uint8_t>();
  uint8_t* target = out.mutable_data_ptr<uint8_t>();
  at::parallel_for(0, in.size(0), kRowGrain, [&](int64_t begin, int64_t end) {
    for (int64_t y = begin; y < end; ++y) {
      uint8_t* pixel = target + y * width * kChannels;
      for (int64_t x = 0; x < width; ++x, pixel += kChannels) {
        const uint8_t* p = source + (y * in_width + taps.start[x]) * kChannels;
        const int* weight = taps.weights.data() + x * taps.stride;
        int sum[kChannels];
        std::fill_n(sum, kChannels, 1 << (kPillowBits - 1));
        for (int64_t k = 0; k < taps.length[x]; ++k, p += kChannels) {
          for (int64_t c = 0; c < kChannels; ++c) sum[c] += p[c] * weight[k];
        }
        for (int64_t c = 0; c < kChannels; ++c) pixel[c] = pillow_byte(sum[c]);
      }
    }
  });
  return out;
}

at::Tensor pillow_rows(const at::Tensor& in,
                       int64_t height,
                       PillowFilter filter) {
  if (in.size(0) == height) return in;
  const PillowTaps taps = pillow_taps(in.size(0), height, filter);
  const int64_t stride = in.size(1) * kChannels;
  auto out = new_rgb({height, in.size(1)});
  const uint8_t* source = in.const_data_ptr<uint8_t>();
  uint8_t* target = out.mutable_data_ptr<uint8_t>();
  at::parallel_for(0, height, kRowGrain, [&](int64_t begin, int64_t end) {
    std::vector<int> sums(stride);
    for (int64_t y = begin; y < end; ++y) {
      std::fill(sums.begin(), sums.end(), 1 << (kPillowBits - 1));
      for (int64_t k = 0; k < taps.length[y]; ++k) {
        const uint8_t* row = source + (taps.start[y] + k) * stride;
        const int weight = taps.weights[y * taps.stride + k];
        for (int64_t i = 0; i < stride; ++i) sums[i] += row[i] * weight;
      }
      uint8_t* row = target + y * stride;
      for (int64_t i = 0; i < stride; ++i) row[i] = pillow_byte(sums[i]);
    }
  });
  return out;
}

// --- Sizes and normalisation ---

/// Python's round(): halves go to the even neighbour.
int64_t round_half_even(double x) { return std::llrint(x); }

/// torchvision's Resize(short side): the long side is cut, not rounded.
Size short_side_size(Size size, int64_t side) {
  const bool wide = size.width > size.height;
  const int64_t shorter = wide ? size.height : size.width;
  const int64_t longer = wide ? size.width : size.height;
  const auto scaled = static_cast<int64_t>(static_cast<double>(side * longer) /
                                           static_cast<double>(shorter));
  return wide ? Size{side, scaled} : Size{scaled, side};
}

Size long_side_size(Size size, int64_t side) {
  const double scale = static_cast<double>(side) /
                       static_cast<double>(std::max(size.height, size.width));
  return {std::max<int64_t>(round_half_even(size.height * scale), 1),
          std::max<int64_t>(round_half_even(size.width * scale), 1)};
}

/// timm's ResizeKeepRatio for the long side.
Size longest_side_size(Size size, int64_t side) {
  const double ratio = std::max(static_cast<double>(size.height) / side,
                                static_cast<double>(size.width) / side);
  return {std::max<int64_t>(round_half_even(size.height / ratio), 1),
          std::max<int64_t>(round_half_even(size.width / ratio), 1)};
}

/// SigLIP 2 NaFlex's: the picture scaled as far as its whole patches are no
/// more than `most`, both sides rounded up to a patch. The scale is found by
/// halving 1e-6..100 down to 1e-5, as transformers has it, since what a side
/// rounds up to depends on it.
Size patches_size(Size size, int64_t most, int64_t patch) {
  const auto patches = [&](int64_t length, double scale) {
    const double scaled = static_cast<double>(length) * scale;
    return std::max<int64_t>(
        static_cast<int64_t>(std::ceil(scaled / static_cast<double>(patch))),
        1);
  };
  double low = 1e-6, high = 100;
  while (high - low >= 1e-5) {
    const double scale = (low + high) / 2;
    const bool fits =
        patches(size.height, scale) <= most / patches(size.width, scale);
    (fits ? low : high) = scale;
  }
  return {patches(size.height, low) * patch, patches(size.width, low) * patch};
}

Size resized_size(Size size, const Preprocess& how, int64_t side) {
  switch (how.resize) {
    case Preprocess::Resize::kNone:
      return size;
    case Preprocess::Resize::kShortest:
      return short_side_size(size, side);
    case Preprocess::Resize::kLongest:
      return longest_side_size(size, side);
    case Preprocess::Resize::kPatches:
      return patches_size(size, how.max_patches, how.patch_side);
    case Preprocess::Resize::kSquash:
      break;
  }
  return {side, side};
}

/// Where `side` pixels lie on an axis of `length`, or the other way round.
struct Middle {
  int64_t from = 0;  // first pixel of the picture
  int64_t to = 0;    // its place in the result
  int64_t count = 0;
};

Middle middle_of(int64_t length, int64_t side, bool rounds) {
  if (length <= side) return {0, (side - length) / 2, length};
  const int64_t beyond = length - side;
  return {rounds ? round_half_even(beyond / 2.0) : beyond / 2, 0, side};
}

/// The middle of [H, W, 3] bytes, or all of it with `fill` around.
at::Tensor middle_square(const at::Tensor& pixels,
                         int64_t side,
                         const Preprocess& how) {
  auto out = at::empty({side, side, kChannels}, at::kByte);
  for (int64_t c = 0; c < kChannels; ++c) {
    out.select(2, c).fill_(how.fill[static_cast<size_t>(c)]);
  }
  const Middle y = middle_of(pixels.size(0), side, how.crop_rounds);
  const Middle x = middle_of(pixels.size(1), side, how.crop_rounds);
  out.narrow(0, y.to, y.count)
      .narrow(1, x.to, x.count)
      .copy_(pixels.narrow(0, y.from, y.count).narrow(1, x.from, x.count));
  return out;
}

/// (float(pixel) / divisor - mean) / std, bytes [H, W, 3] -> [1, 3, H, W].
at::Tensor normalize(const at::Tensor& rgb,
                     float divisor,
                     const std::array<double, 3>& mean,
                     const std::array<double, 3>& std) {
  if (rgb.dim() != 3 || rgb.size(2) != kChannels ||
      rgb.scalar_type() != at::kByte) {
    throw Error(ErrorCode::kInvalidArg,
                "pixels must be uint8 [H, W, 3], received " +
                    std::string(c10::toString(rgb.scalar_type())) + " with " +
                    std::to_string(rgb.dim()) + " dimensions.");
  }
  const auto in = rgb.contiguous();
  const int64_t height = in.size(0), width = in.size(1);
  auto out = at::empty({1, kChannels, height, width}, at::kFloat);
  for (int64_t c = 0; c < kChannels; ++c) {
    // 256 possible values: the table divides as the reference does.
    std::array<float, 256> table;
    for (int value = 0; value < 256; ++value) {
      table[value] =
          (static_cast<float>(value) / divisor - static_cast<float>(mean[c])) /
          static_cast<float>(std[c]);
    }
    const uint8_t* source = in.const_data_ptr<uint8_t>() + c;
    float* target = out.mutable_data_ptr<float>() + c * height * width;
    at::parallel_for(0, height, kRowGrain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin * width; i < end * width; ++i) {
        target[i] = table[source[i * kChannels]];
      }
    });
  }
  return out;
}

void check_pixels(const at::Tensor& pixels) {
  const int64_t channels = pixels.dim() == 3 ? pixels.size(2) : 0;
  if (pixels.scalar_type() != at::kByte || !pixels.is_cpu() ||
      (channels != 1 && channels != 3 && channels != 4)) {
    throw Error(ErrorCode::kInvalidArg,
                "Pixels must be uint8 [H, W, C] with 1, 3 or 4 channels.");
  }
  check_size({pixels.size(0), pixels.size(1)}, "The picture");
}

}  // namespace

Size keep_ratio_size(Size size,
                     int64_t short_side,
                     int64_t max_long,
                     bool enlarge) {
  check_size(size, "The picture");
  if (short_side < 1 || max_long < 1) {
    throw Error(ErrorCode::kInvalidArg,
                "shortSide must be at least 1 pixel, received " +
                    std::to_string(short_side) + ".");
  }
  const auto shorter = static_cast<double>(std::min(size.height, size.width));
  const auto longer = static_cast<double>(std::max(size.height, size.width));
  const double factor = std::min(max_long / longer, short_side / shorter);
  if (!enlarge && factor >= 1) return size;
  const Size to{
      std::max<int64_t>(static_cast<int64_t>(size.height * factor + 0.5), 1),
      std::max<int64_t>(static_cast<int64_t>(size.width * factor + 0.5), 1)};
  check_size(to, "The resized picture");
  return to;
}

at::Tensor rgb_pixels(const at::Tensor& pixels) {
  check_pixels(pixels);
  const auto rgb = pixels.size(2) == 1 ? pixels.expand({-1, -1, kChannels})
                                       : pixels.slice(2, 0, kChannels);
  return rgb.contiguous();
}

at::Tensor resize_linear_u8(const uint8_t* rgb, Size from, Size to) {
  check_size(from, "The picture");
  check_size(to, "The resized picture");
  if (from != to) return resize_linear({rgb, from.width}, from, to);
  auto copy = new_rgb(to);
  std::copy_n(rgb,
              from.height * from.width * kChannels,
              copy.mutable_data_ptr<uint8_t>());
  return copy;
}

at::Tensor resize_linear_u8(const at::Tensor& pixels, Size to) {
  check_pixels(pixels);
  check_size(to, "The resized picture");
  const Size from{pixels.size(0), pixels.size(1)};
  if (from == to) return rgb_pixels(pixels);
  const auto rows = pixels.contiguous();
  return resize_linear(
      {rows.const_data_ptr<uint8_t>(), from.width, rows.size(2)}, from, to);
}

at::Tensor resize_pillow(const uint8_t* rgb,
                         Size from,
                         Size to,
                         PillowFilter filter) {
  check_size(from, "The picture");
  check_size(to, "The resized picture");
  const auto in = at::from_blob(const_cast<uint8_t*>(rgb),
                                {from.height, from.width, kChannels},
                                at::kByte);
  if (from == to) return in.clone();
  // Pillow's exception for pictures more than 100 times as tall as wide.
  if (from.height > from.width * 100 && to.height < from.height) {
    return pillow_columns(pillow_rows(in, to.height, filter), to.width, filter);
  }
  check_size({from.height, to.width}, "The picture between the two passes");
  return pillow_rows(pillow_columns(in, to.width, filter), to.height, filter);
}

at::Tensor normalize_mmcv(const at::Tensor& rgb,
                          const std::array<double, 3>& mean,
                          const std::array<double, 3>& std) {
  return normalize(rgb, 1.0f, mean, std);
}

at::Tensor normalize_unit(const at::Tensor& rgb,
                          const std::array<double, 3>& mean,
                          const std::array<double, 3>& std) {
  return normalize(rgb, 255.0f, mean, std);
}

at::Tensor preprocess(const uint8_t* rgb,
                      Size from,
                      Fit fit,
                      int64_t side,
                      const std::array<double, 3>& mean,
                      const std::array<double, 3>& std) {
  check_size(from, "The picture");
  if (side < 1 || side > 16384) {
    throw Error(ErrorCode::kInvalidArg,
                "size must be 1 to 16384 pixels, received " +
                    std::to_string(side) + ".");
  }
  const Size square{side, side};
  at::Tensor pixels;
  switch (fit) {
    case Fit::kCrop:
      return preprocess(rgb, from, Preprocess{}, side, {mean, std});
    case Fit::kSquash:
      pixels = resize_pillow(rgb, from, square, PillowFilter::kBilinear);
      break;
    case Fit::kPad:
    case Fit::kPadAround: {
      const Size size = long_side_size(from, side);
      const bool around = fit == Fit::kPadAround;
      pixels = at::zeros({side, side, kChannels}, at::kByte);
      pixels.narrow(0, around ? (side - size.height) / 2 : 0, size.height)
          .narrow(1, around ? (side - size.width) / 2 : 0, size.width)
          .copy_(resize_pillow(rgb, from, size, PillowFilter::kBicubic));
      break;
    }
  }
  return normalize_unit(pixels, mean, std);
}

at::Tensor preprocess(const uint8_t* rgb,
                      Size from,
                      const Preprocess& how,
                      int64_t side,
                      const PixelStats& pixels) {
  check_size(from, "The picture");
  const Size to = resized_size(from, how, how.side > 0 ? how.side : side);
  const auto filter =
      how.bicubic ? PillowFilter::kBicubic : PillowFilter::kBilinear;
  auto picture = resize_pillow(rgb, from, to, filter);
  if (how.crop) {
    picture =
        middle_square(picture, how.crop_side > 0 ? how.crop_side : side, how);
  }
  return normalize_unit(picture, pixels.mean, pixels.std);
}

}  // namespace declip
