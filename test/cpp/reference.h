#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "declip/pipeline.h"
#include "image/windows.h"

/// Every kernel once more as plain loops in double precision, written from the
/// papers' definitions and sharing no code with the kernels. For tests and
/// benches only.
namespace declip::reference {

/// A stack of planes, row-major.
struct Planes {
  int64_t count = 0;
  int64_t height = 0;
  int64_t width = 0;
  std::vector<double> data;

  Planes(int64_t n, int64_t h, int64_t w)
      : count(n), height(h), width(w), data(n * h * w) {}
  double& at(int64_t n, int64_t y, int64_t x) {
    return data[(n * height + y) * width + x];
  }
  double at(int64_t n, int64_t y, int64_t x) const {
    return data[(n * height + y) * width + x];
  }
  /// Nearest pixel inside the plane.
  double clamped(int64_t n, int64_t y, int64_t x) const {
    return at(n,
              std::clamp<int64_t>(y, 0, height - 1),
              std::clamp<int64_t>(x, 0, width - 1));
  }
  /// Bilinear sample at real coordinates, which are clamped to the plane.
  double sample(int64_t n, double y, double x) const {
    y = std::clamp(y, 0.0, static_cast<double>(height - 1));
    x = std::clamp(x, 0.0, static_cast<double>(width - 1));
    const auto y0 = static_cast<int64_t>(y);
    const auto x0 = static_cast<int64_t>(x);
    const double fy = y - y0, fx = x - x0;
    return (1 - fy) *
               ((1 - fx) * clamped(n, y0, x0) + fx * clamped(n, y0, x0 + 1)) +
           fy * ((1 - fx) * clamped(n, y0 + 1, x0) +
                 fx * clamped(n, y0 + 1, x0 + 1));
  }
};

/// Bilinear resize with half-pixel centres.
inline Planes resize(const Planes& in, int64_t height, int64_t width) {
  Planes out(in.count, height, width);
  for (int64_t n = 0; n < in.count; ++n) {
    for (int64_t y = 0; y < height; ++y) {
      for (int64_t x = 0; x < width; ++x) {
        out.at(n, y, x) = in.sample(n,
                                    (y + 0.5) * in.height / height - 0.5,
                                    (x + 0.5) * in.width / width - 0.5);
      }
    }
  }
  return out;
}

/// Mean of the windows at every pixel; low[i] holds the planes of window i.
inline Planes blend_windows(const std::vector<Planes>& low,
                            const WindowPlan& plan) {
  Planes sum(low[0].count, plan.height, plan.width);
  std::vector<int64_t> windows(plan.height * plan.width);
  for (int64_t i = 0; i < plan.size(); ++i) {
    const Window window = plan[i];
    const Planes up = resize(low[i], plan.padded_height(), plan.padded_width());
    for (int64_t y = window.y1; y < window.y2; ++y) {
      for (int64_t x = window.x1; x < window.x2; ++x) {
        ++windows[y * plan.width + x];
        for (int64_t n = 0; n < sum.count; ++n) {
          sum.at(n, y, x) += up.at(n,
                                   y - window.y1 + plan.padding.top,
                                   x - window.x1 + plan.padding.left);
        }
      }
    }
  }
  for (size_t i = 0; i < sum.data.size(); ++i)
    sum.data[i] /= windows[i % windows.size()];
  return sum;
}

/// PAMR of planes in the image's size; image has three planes.
inline Planes pamr(const Planes& image,
                   Planes planes,
                   int64_t iterations,
                   const std::vector<int64_t>& dilations) {
  const int64_t height = image.height, width = image.width;
  const auto count = static_cast<int64_t>(8 * dilations.size());
  std::vector<double> weights(height * width * count);
  for (int64_t y = 0; y < height; ++y) {
    for (int64_t x = 0; x < width; ++x) {
      double* weight = weights.data() + (y * width + x) * count;
      for (int64_t c = 0; c < 3; ++c) {
        std::vector<double> all, neighbours;
        for (const int64_t r : dilations) {
          for (int64_t dy = -1; dy <= 1; ++dy) {
            for (int64_t dx = -1; dx <= 1; ++dx) {
              all.push_back(image.clamped(c, y + dy * r, x + dx * r));
              if (dy != 0 || dx != 0) neighbours.push_back(all.back());
            }
          }
        }
        double mean = 0, squares = 0;
        for (const double v : all) mean += v / static_cast<double>(all.size());
        for (const double v : all) squares += (v - mean) * (v - mean);
        const double std =
            std::sqrt(squares / static_cast<double>(all.size() - 1));
        for (int64_t p = 0; p < count; ++p) {
          weight[p] -= std::abs(image.at(c, y, x) - neighbours[p]) /
                       (1e-8 + 0.1 * std) / 3;
        }
      }
      const double peak = *std::max_element(weight, weight + count);
      double total = 0;
      for (int64_t p = 0; p < count; ++p)
        total += weight[p] = std::exp(weight[p] - peak);
      for (int64_t p = 0; p < count; ++p) weight[p] /= total;
    }
  }
  for (int64_t i = 0; i < iterations; ++i) {
    const Planes before = planes;
    for (int64_t n = 0; n < planes.count; ++n) {
      for (int64_t y = 0; y < height; ++y) {
        for (int64_t x = 0; x < width; ++x) {
          const double* weight = weights.data() + (y * width + x) * count;
          double sum = 0;
          for (const int64_t r : dilations) {
            for (int64_t dy = -1; dy <= 1; ++dy) {
              for (int64_t dx = -1; dx <= 1; ++dx) {
                if (dy == 0 && dx == 0) continue;
                sum += *weight++ * before.clamped(n, y + dy * r, x + dx * r);
              }
            }
          }
          planes.at(n, y, x) = sum;
        }
      }
    }
  }
  return planes;
}

/// Labels and class probabilities of the steps in their published order.
struct Labelled {
  std::vector<int64_t> labels;
  Planes probabilities;  // after the area filter
  Planes logits;         // largest per class
};

inline Labelled postprocess(const Planes& logits,
                            const std::vector<int64_t>& word_class,
                            const PostOptions& options) {
  const int64_t words = logits.count;
  const int64_t pixels = logits.height * logits.width;
  const int64_t classes =
      *std::max_element(word_class.begin(), word_class.end()) + 1;
  Labelled result{std::vector<int64_t>(pixels),
                  Planes(classes, logits.height, logits.width),
                  Planes(classes, logits.height, logits.width)};
  auto& probabilities = result.probabilities.data;
  std::fill(result.logits.data.begin(), result.logits.data.end(), -1e30);
  std::vector<double> of_words(words * pixels);
  for (int64_t i = 0; i < pixels; ++i) {
    double peak = -1e30, total = 0;
    for (int64_t q = 0; q < words; ++q) {
      peak = std::max(peak, logits.data[q * pixels + i] * options.logit_scale);
    }
    for (int64_t q = 0; q < words; ++q) {
      total +=
          std::exp(logits.data[q * pixels + i] * options.logit_scale - peak);
    }
    for (int64_t q = 0; q < words; ++q) {
      const double z = logits.data[q * pixels + i];
      of_words[q * pixels + i] =
          std::exp(z * options.logit_scale - peak) / total;
    }
  }
  std::vector<bool> left(words), has_words(classes);
  for (int64_t q = 0; q < words; ++q) {
    const auto* first = of_words.data() + q * pixels;
    left[q] =
        word_class[q] == options.background ||
        *std::max_element(first, first + pixels) >= options.word_threshold;
    if (left[q]) has_words[word_class[q]] = true;
  }
  for (int64_t q = 0; q < words; ++q) {
    for (int64_t i = 0; i < pixels; ++i) {
      const int64_t at = word_class[q] * pixels + i;
      if (left[q]) {
        probabilities[at] =
            std::max(probabilities[at], of_words[q * pixels + i]);
      }
      if (left[q] || !has_words[word_class[q]]) {
        result.logits.data[at] =
            std::max(result.logits.data[at], logits.data[q * pixels + i]);
      }
    }
  }
  const auto argmax = [&](int64_t i) {
    int64_t best = 0;
    for (int64_t c = 1; c < classes; ++c) {
      if (probabilities[c * pixels + i] > probabilities[best * pixels + i])
        best = c;
    }
    return best;
  };
  if (options.area_threshold > 0) {
    std::vector<int64_t> counts(classes);
    for (int64_t i = 0; i < pixels; ++i) ++counts[argmax(i)];
    int64_t foreground = 0;
    for (int64_t c = 0; c < classes; ++c)
      foreground += c == options.background ? 0 : counts[c];
    for (int64_t c = 0; c < classes; ++c) {
      if (c == options.background ||
          counts[c] > options.area_threshold * foreground)
        continue;
      for (int64_t i = 0; i < pixels; ++i) probabilities[c * pixels + i] = 0;
    }
  }
  for (int64_t i = 0; i < pixels; ++i) {
    const int64_t best = argmax(i);
    const bool sure =
        probabilities[best * pixels + i] >= options.prob_threshold;
    result.labels[i] = sure ? best : std::max<int64_t>(options.background, 0);
  }
  if (!options.closing) return result;
  for (const bool dilate : {true, false}) {
    const auto before = result.labels;
    for (int64_t y = 0; y < logits.height; ++y) {
      for (int64_t x = 0; x < logits.width; ++x) {
        int64_t& label = result.labels[y * logits.width + x];
        for (int64_t v = std::max<int64_t>(y - 1, 0);
             v <= std::min(y + 1, logits.height - 1);
             ++v) {
          for (int64_t u = std::max<int64_t>(x - 1, 0);
               u <= std::min(x + 1, logits.width - 1);
               ++u) {
            const int64_t other = before[v * logits.width + u];
            label = dilate ? std::max(label, other) : std::min(label, other);
          }
        }
      }
    }
  }
  return result;
}

/// RoIAlign of one box x1, y1, x2, y2 in patches: bins [count, height, width].
inline Planes roi_align(const Planes& features,
                        const std::vector<double>& box,
                        int64_t height,
                        int64_t width) {
  Planes out(features.count, height, width);
  const double bin_h = (box[3] - box[1]) / height;
  const double bin_w = (box[2] - box[0]) / width;
  const auto rows = static_cast<int64_t>(std::ceil(bin_h));
  const auto columns = static_cast<int64_t>(std::ceil(bin_w));
  for (int64_t c = 0; c < features.count; ++c) {
    for (int64_t ph = 0; ph < height; ++ph) {
      for (int64_t pw = 0; pw < width; ++pw) {
        double sum = 0;
        for (int64_t i = 0; i < rows; ++i) {
          for (int64_t j = 0; j < columns; ++j) {
            const double y =
                box[1] - 0.5 + ph * bin_h + (i + 0.5) * bin_h / rows;
            const double x =
                box[0] - 0.5 + pw * bin_w + (j + 0.5) * bin_w / columns;
            const bool outside =
                y < -1 || y > features.height || x < -1 || x > features.width;
            sum += outside ? 0 : features.sample(c, y, x);
          }
        }
        out.at(c, ph, pw) = sum / std::max<int64_t>(rows * columns, 1);
      }
    }
  }
  return out;
}

/// Mean of each plane under a mask of the same size.
inline std::vector<double> mask_pool(const Planes& features,
                                     const std::vector<double>& mask) {
  std::vector<double> out(features.count);
  double area = 1e-12;
  for (const double m : mask) area += m;
  for (int64_t c = 0; c < features.count; ++c) {
    for (size_t i = 0; i < mask.size(); ++i) {
      out[c] += features.data[c * mask.size() + i] * mask[i] / area;
    }
  }
  return out;
}

}  // namespace declip::reference
