#include "model/picture_features.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "checkpoint/family.h"
#include "declip/error.h"
#include "declip/model.h"
#include "declip/resize.h"
#include "model/device.h"

namespace declip {
namespace {

at::Tensor channels_of(const std::array<double, 3>& values,
                       const at::Tensor& like) {
  return at::tensor(at::ArrayRef<double>(values), at::kDouble)
      .to(like.device(), at::kFloat)
      .view({1, 3, 1, 1});
}

at::Tensor normalised_picture(const Model& model,
                              const Picture& picture,
                              const PixelStats& pixels) {
  const auto& own = model.info().config.pixels;
  if (!picture.normalised.defined()) {
    if (picture.size &&
        *picture.size != Size{picture.pixels.size(0), picture.pixels.size(1)}) {
      throw Error(ErrorCode::kInvalidArg,
                  "Features of the whole picture need its pixels in its own "
                  "size.");
    }
    return upload(normalize_unit(rgb_pixels(picture.pixels), own.mean, own.std),
                  model.device());
  }
  const auto image = upload(picture.normalised.to(at::kFloat), model.device());
  const auto unit =
      image * channels_of(pixels.std, image) + channels_of(pixels.mean, image);
  return (unit - channels_of(own.mean, image)) / channels_of(own.std, image);
}

/// Most patches of a picture: attention takes their square.
constexpr double kMostPatches = 16384;

/// The size in whole patches that a picture is brought to.
Size whole_patches(Size size, int64_t patch) {
  const auto side = static_cast<double>(patch);
  const double height = static_cast<double>(size.height) / side;
  const double width = static_cast<double>(size.width) / side;
  const double shrink =
      std::min(1.0, std::sqrt(kMostPatches / (height * width)));
  const auto whole = [&](double patches) {
    return std::max<int64_t>(1, std::llrint(patches * shrink)) * patch;
  };
  return {whole(height), whole(width)};
}

DenseOptions own_mode(const CheckpointInfo& info) {
  DenseOptions dense;
  if (!info.text_space) return dense;
  if (info.dense_mode) {
    dense.mode = dense_mode_from(*info.dense_mode);
  } else if (std::find(info.dense_modes.begin(),
                       info.dense_modes.end(),
                       DenseMode::kNaClip) != info.dense_modes.end()) {
    dense.mode = DenseMode::kNaClip;
  }
  return dense;
}

/// Where a pixel lies between two patches along a side.
struct Between {
  int64_t first, second;
  double weight;  // of the second
};

std::vector<Between> between_of(int64_t pixels, int64_t patches) {
  std::vector<Between> out(static_cast<size_t>(pixels));
  const double scale =
      static_cast<double>(patches) / static_cast<double>(pixels);
  for (int64_t i = 0; i < pixels; ++i) {
    const double at =
        std::max(0.0, (static_cast<double>(i) + 0.5) * scale - 0.5);
    const auto first = std::min(static_cast<int64_t>(at), patches - 1);
    out[static_cast<size_t>(i)] = {first,
                                   std::min(first + 1, patches - 1),
                                   at - static_cast<double>(first)};
  }
  return out;
}

/// A patch by its row and column.
struct Patch {
  int64_t y, x;
};

/// What a region takes of the four patches around some of its pixels.
struct Share {
  int64_t region;
  std::array<Patch, 4> patches;
  std::array<double, 4> weights{};
};

/// Pixels start..end of a side that lie between the same two patches.
struct Stretch {
  int64_t begin, end;
};

std::vector<Stretch> stretches_of(const std::vector<Between>& places) {
  std::vector<Stretch> out;
  for (size_t i = 0; i < places.size(); ++i) {
    if (i == 0 || places[i].first != places[i - 1].first) {
      out.push_back({static_cast<int64_t>(i), static_cast<int64_t>(i)});
    }
    out.back().end = static_cast<int64_t>(i) + 1;
  }
  return out;
}

/// The products of every patch with itself and with its neighbours to the
/// right, below, and below on both diagonals.
class PatchProducts {
 public:
  explicit PatchProducts(const at::Tensor& rows /* double [h, w, C] */)
      : width_(rows.size(1)),
        maps_{shifted(rows, 0, 0),
              shifted(rows, 0, 1),
              shifted(rows, 1, 0),
              shifted(rows, 1, 1),
              shifted(rows, 1, -1)} {}

  /// Of a patch and itself or one of those neighbours, in either order.
  double of(Patch a, Patch b) const {
    if (b.y < a.y || (b.y == a.y && b.x < a.x)) std::swap(a, b);
    const int64_t down = b.y - a.y, right = b.x - a.x;
    const size_t map = right < 0 ? 4 : static_cast<size_t>(2 * down + right);
    return maps_[map].const_data_ptr<double>()[a.y * width_ + a.x];
  }

 private:
  static at::Tensor shifted(const at::Tensor& rows,
                            int64_t down,
                            int64_t right) {
    const int64_t h = rows.size(0) - down;
    const int64_t w = rows.size(1) - std::abs(right);
    auto out = at::zeros({rows.size(0), rows.size(1)}, at::kDouble);
    if (h <= 0 || w <= 0) return out;
    const int64_t x = std::max<int64_t>(-right, 0);
    out.narrow(0, 0, h).narrow(1, x, w).copy_(
        (rows.narrow(0, 0, h).narrow(1, x, w) *
         rows.narrow(0, down, h).narrow(1, x + right, w))
            .sum(2));
    return out;
  }

  int64_t width_;
  std::array<at::Tensor, 5> maps_;
};

}  // namespace

at::Tensor picture_features(const Model& model,
                            const Picture& picture,
                            const PixelStats& pixels,
                            const Call& call) {
  const auto& config = model.info().config;
  auto image = normalised_picture(model, picture, pixels);
  const Size own{image.size(2), image.size(3)};
  const int64_t native = config.vision.image_size;
  const Size to = config.family->proxies_native_size
                      ? Size{native, native}
                      : whole_patches(own, config.vision.patch);
  if (to != own) {
    image = at::upsample_bilinear2d(
        image, {to.height, to.width}, /*align_corners=*/false);
  }
  return model
      .encode_dense(image, own_mode(model.info()), /*normalize=*/false, call)
      .squeeze(0);
}

at::Tensor mean_unit_features(const at::Tensor& features,
                              const at::Tensor& index,
                              int64_t regions) {
  if (features.dim() != 3 || index.dim() != 2 ||
      index.scalar_type() != at::kInt || !index.is_cpu()) {
    throw Error(ErrorCode::kInternal,
                "mean_unit_features() takes features [C, h, w] and regions "
                "int32 [H, W].");
  }
  const auto map = index.contiguous();
  const int64_t channels = features.size(0);
  const auto rows = features.to(at::kCPU, at::kDouble)
                        .permute({1, 2, 0})
                        .contiguous();  // (h, w, C)
  const int64_t grid_width = features.size(2);
  const auto ys = between_of(map.size(0), features.size(1));
  const auto xs = between_of(map.size(1), grid_width);
  const PatchProducts products(rows);

  std::vector<Share> shares;
  std::vector<double> areas(static_cast<size_t>(regions));
  const int32_t* place = map.const_data_ptr<int32_t>();
  std::vector<int64_t> last(static_cast<size_t>(regions), -1);
  for (const auto& down : stretches_of(ys)) {
    for (const auto& across : stretches_of(xs)) {
      const auto& y0 = ys[static_cast<size_t>(down.begin)];
      const auto& x0 = xs[static_cast<size_t>(across.begin)];
      const std::array<Patch, 4> corners{Patch{y0.first, x0.first},
                                         Patch{y0.first, x0.second},
                                         Patch{y0.second, x0.first},
                                         Patch{y0.second, x0.second}};
      double gram[4][4];
      for (size_t a = 0; a < 4; ++a) {
        for (size_t b = a; b < 4; ++b) {
          gram[a][b] = gram[b][a] = products.of(corners[a], corners[b]);
        }
      }
      const auto first_here = static_cast<int64_t>(shares.size());
      for (int64_t y = down.begin; y < down.end; ++y) {
        const double v = ys[static_cast<size_t>(y)].weight;
        for (int64_t x = across.begin; x < across.end; ++x) {
          const int32_t region = place[y * map.size(1) + x];
          if (region < 0) continue;
          const double u = xs[static_cast<size_t>(x)].weight;
          const std::array<double, 4> w{
              (1 - v) * (1 - u), (1 - v) * u, v * (1 - u), v * u};
          double square = 0;
          for (size_t a = 0; a < 4; ++a) {
            for (size_t b = 0; b < 4; ++b) square += w[a] * w[b] * gram[a][b];
          }
          const double scale =
              1 / std::max(std::sqrt(std::max(square, 0.0)), 1e-12);
          auto& known = last[static_cast<size_t>(region)];
          if (known < first_here) {
            known = static_cast<int64_t>(shares.size());
            shares.push_back({region, corners});
          }
          auto& share = shares[static_cast<size_t>(known)];
          for (size_t a = 0; a < 4; ++a) share.weights[a] += w[a] * scale;
          areas[static_cast<size_t>(region)] += 1;
        }
      }
    }
  }

  // Channels in parallel: every sum runs in one order, whatever the threads.
  auto sums = at::zeros({regions, channels}, at::kDouble);
  double* out = sums.mutable_data_ptr<double>();
  const double* source = rows.const_data_ptr<double>();
  at::parallel_for(0, channels, 64, [&](int64_t begin, int64_t end) {
    for (const auto& share : shares) {
      double* target = out + share.region * channels;
      for (size_t a = 0; a < 4; ++a) {
        const auto [y, x] = share.patches[a];
        const double* from = source + (y * grid_width + x) * channels;
        for (int64_t c = begin; c < end; ++c) {
          target[c] += share.weights[a] * from[c];
        }
      }
    }
  });
  for (int64_t r = 0; r < regions; ++r) {
    const double area = std::max(areas[static_cast<size_t>(r)], 1.0);
    for (int64_t c = 0; c < channels; ++c) out[r * channels + c] /= area;
  }
  return sums.to(at::kFloat);
}

}  // namespace declip
