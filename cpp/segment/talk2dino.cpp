#include "segment/talk2dino.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>

#include "declip/error.h"
#include "declip/model.h"
#include "families/dino_encoder.h"
#include "kernels/pamr.h"
#include "kernels/postprocess.h"
#include "kernels/resize_plane.h"

namespace declip {
namespace {

/// Least length that a vector is divided by, as in the authors' code.
constexpr double kLeastLength = 1e-6;
/// Planes of the resized picture that are made together, in bytes: the weights
/// of PAMR are made anew for each such group.
constexpr int64_t kGroupBytes = int64_t{64} << 20;

at::Tensor of_unit_length(const at::Tensor& x, int64_t dim) {
  return x / x.norm(2, {dim}, true).clamp_min(kLeastLength);
}

const Dino& dino_of(const Model& model) {
  const auto* dino = dynamic_cast<const Dino*>(&model.encoder());
  if (dino != nullptr) return *dino;
  throw Error(ErrorCode::kInvalidArg,
              "Method 'talk2dino' compares words with the patches of a DINOv2, "
              "received a model of family '" +
                  model.info().family +
                  "'. Give a DINOv2 with registers as model, and a CLIP as "
                  "text: { model, projection }.");
}

int64_t whole_patches(int64_t side, int64_t patch) {
  return std::max<int64_t>(1, (side + patch / 2) / patch) * patch;
}

at::Tensor of_bytes(const at::Tensor& image,
                    const PixelStats& stats,
                    bool is_bytes) {
  const auto channel = [&](const std::array<double, 3>& unit) {
    return at::tensor({unit[0], unit[1], unit[2]}, image.options())
               .view({1, 3, 1, 1}) *
           255;
  };
  const auto rgb = image * channel(stats.std) + channel(stats.mean);
  return (is_bytes ? rgb.round() : rgb).contiguous();
}

/// b of the authors' paper, section "background cleaning": where the heads look
/// that look at what is like the word. text [Q, C] -> [nW, Q, N].
at::Tensor looked_at(const Talk2DinoWindows& windows, const at::Tensor& text) {
  const auto heads =
      at::softmax(at::matmul(text, windows.head_features.transpose(1, 2)), -1);
  return at::softmax(at::matmul(heads, windows.class_logits), -1);
}

/// scores [nW, Q, N] -> the same, cleaned. Least and largest values are those
/// of a window and all words together.
at::Tensor cleaned(const at::Tensor& scores,
                   const at::Tensor& looked,
                   double weight) {
  const auto least = [](const at::Tensor& x) { return x.amin({1, 2}, true); };
  const auto most = [](const at::Tensor& x) { return x.amax({1, 2}, true); };
  const auto low = least(looked), high = most(looked);
  // Divided by the largest, not by the range, as the authors' code does.
  const auto scaled = (looked - low) / at::maximum(high, high - low) *
                          (most(scores) - least(scores)) +
                      least(scores);
  return (scores + scaled * weight) / (1 + weight);
}

/// Makes the planes of words in the resized picture, some at a time.
class Talk2DinoPlanes {
 public:
  /// low  [nW, Q, h, w], scores of words on the patch grid
  Talk2DinoPlanes(const Talk2DinoWindows& windows,
                  const at::Tensor& low,
                  const PostOptions& post)
      : windows_(windows), low_(low), post_(post) {
    const WindowPlan& plan = windows.plan;
    covers_ = at::zeros({plan.height, plan.width}, low.options());
    for (int64_t i = 0; i < plan.size(); ++i) part(covers_, plan[i]).add_(1);
  }

  int64_t together() const {
    return std::max<int64_t>(
        kPamrPlanes, kGroupBytes / std::max<int64_t>(1, covers_.numel() * 4));
  }

  /// [words.size(), Hr, Wr]
  at::Tensor make(const std::vector<int64_t>& words, const Call& call) const {
    const WindowPlan& plan = windows_.plan;
    const auto count = static_cast<int64_t>(words.size());
    const auto chosen =
        low_.index_select(1, at::tensor(words, at::kLong).to(low_.device()));
    const auto sum =
        at::zeros({count, plan.height, plan.width}, low_.options());
    for (int64_t i = 0; i < plan.size(); ++i) {
      call.check();
      const auto maps =
          at::upsample_bilinear2d(chosen.narrow(0, i, 1),
                                  {plan.window_height, plan.window_width},
                                  /*align_corners=*/true)[0]
              .contiguous();
      if (post_.pamr_iterations > 0) refine(maps, plan[i], call);
      part(sum, plan[i]).add_(maps);
    }
    return sum.div_(covers_);
  }

 private:
  static at::Tensor part(const at::Tensor& planes, const Window& window) {
    return planes.narrow(-2, window.y1, window.y2 - window.y1)
        .narrow(-1, window.x1, window.x2 - window.x1);
  }

  void refine(const at::Tensor& maps,
              const Window& window,
              const Call& call) const {
    const auto affinity = pamr_affinity(part(windows_.rgb, window).contiguous(),
                                        post_.pamr_dilations);
    for (int64_t q = 0; q < maps.size(0); q += kPamrPlanes) {
      const int64_t count = std::min(kPamrPlanes, maps.size(0) - q);
      pamr_apply(affinity,
                 maps.narrow(0, q, count),
                 count,
                 post_.pamr_iterations,
                 call);
    }
  }

  const Talk2DinoWindows& windows_;
  at::Tensor low_;
  const PostOptions& post_;
  at::Tensor covers_;  // windows over every pixel
};

/// The words that are looked for: all but those of the background.
std::vector<int64_t> foreground(const std::vector<int64_t>& word_class,
                                int64_t background) {
  std::vector<int64_t> words;
  for (size_t q = 0; q < word_class.size(); ++q) {
    if (word_class[q] != background) words.push_back(static_cast<int64_t>(q));
  }
  return words;
}

}  // namespace

int64_t Talk2DinoWindows::bytes() const {
  return static_cast<int64_t>(features.nbytes() + class_logits.nbytes() +
                              head_features.nbytes());
}

void check_talk2dino(const Model& model) { dino_of(model); }

Talk2DinoWindows talk2dino_windows(const Model& model,
                                   const at::Tensor& image,
                                   bool is_bytes,
                                   int64_t window,
                                   int64_t stride,
                                   const Talk2DinoOptions& options,
                                   const Call& call) {
  const Dino& dino = dino_of(model);
  const auto& config = model.info().config;
  Talk2DinoWindows out;
  out.options = options;
  out.plan = plan_windows(image.size(2), image.size(3), window, stride);
  out.rgb = of_bytes(image, config.pixels, is_bytes);
  const WindowPlan& plan = out.plan;
  const int64_t patch = config.vision.patch;
  const int64_t height =
      whole_patches(window > 0 ? window : plan.height, patch);
  const int64_t width = whole_patches(window > 0 ? window : plan.width, patch);
  const int64_t tokens = 1 + height / patch * (width / patch);
  const int64_t batch = std::max<int64_t>(1, model.tokens_per_pass() / tokens);
  std::vector<at::Tensor> features, logits, heads;
  for (int64_t first = 0; first < plan.size(); first += batch) {
    const int64_t last = std::min(first + batch, plan.size());
    auto x = cut_windows(image, plan, first, last);
    if (x.size(2) != height || x.size(3) != width) {
      x = at::_upsample_bilinear2d_aa(
          x, {height, width}, /*align_corners=*/false);
    }
    const auto seen =
        dino.watched(x.to(model.encoder().numerics().stream()), call);
    const auto flat = seen.features.to(at::kFloat).flatten(2);  // [b, C, N]
    const auto a = seen.class_logits.to(at::kFloat) * options.class_scale;
    heads.push_back(
        of_unit_length(at::matmul(a, flat.transpose(1, 2)) / flat.size(2), -1));
    features.push_back(
        of_unit_length(flat, 1).unflatten(2, {height / patch, width / patch}));
    logits.push_back(a);
    call.report(Step::kEncode, last, plan.size());
  }
  out.features = at::cat(features);
  out.class_logits = at::cat(logits);
  out.head_features = at::cat(heads);
  const auto [low, high] = at::aminmax(out.features);
  if (!std::isfinite((high - low).item<float>())) {
    throw Error(ErrorCode::kWeights,
                model.info().path +
                    ": its features of this picture are not finite numbers "
                    "(NaN or infinity). Load it with dtype 'float32', or check "
                    "its weights.");
  }
  return out;
}

at::Tensor talk2dino_scores(const Talk2DinoWindows& windows,
                            const at::Tensor& text) {
  const auto& f = windows.features;
  const auto words = of_unit_length(text.to(f.options()), -1);
  auto scores = at::sigmoid(at::matmul(words, f.flatten(2)));  // [nW, Q, N]
  if (windows.options.clean) {
    scores = cleaned(
        scores, looked_at(windows, words), windows.options.clean_weight);
  }
  return scores.unflatten(2, {f.size(2), f.size(3)}).contiguous();
}

Segmentation talk2dino_labels(const Talk2DinoWindows& windows,
                              const at::Tensor& text,
                              const std::vector<int64_t>& word_class,
                              const PostOptions& post,
                              Size size,
                              const Call& call) {
  if (static_cast<int64_t>(word_class.size()) != text.size(0)) {
    throw Error(ErrorCode::kInvalidArg,
                "wordClass must have one entry per word (" +
                    std::to_string(text.size(0)) + "), received " +
                    std::to_string(word_class.size()) + ".");
  }
  const auto words = foreground(word_class, post.background);
  if (words.empty()) {
    throw Error(ErrorCode::kInvalidArg,
                "Method 'talk2dino' needs a class beside the background.");
  }
  if (post.word_threshold > 0) {
    throw Error(ErrorCode::kInvalidArg,
                "wordThreshold does not go with method 'talk2dino', whose "
                "background has a score of its own. Leave it out.");
  }
  check_size(size, "The picture");
  const auto device = windows.features.device();
  const auto low = talk2dino_scores(
      windows,
      text.to(device).index_select(0, at::tensor(words, at::kLong).to(device)));
  // Of every word its place in `low`, -1 for the background's.
  std::vector<int64_t> place(word_class.size(), -1);
  for (size_t i = 0; i < words.size(); ++i) {
    place[static_cast<size_t>(words[i])] = static_cast<int64_t>(i);
  }
  PostOptions own = post;  // the background has a score of its own
  own.prob_threshold = 0;
  Postprocess postprocess(word_class, own, size.height, size.width, device);
  const Talk2DinoPlanes source(windows, low, post);
  const auto plane = at::empty({size.height, size.width}, low.options());
  const auto each_plane = [&](const std::vector<int64_t>& chosen, auto&& take) {
    const auto total = static_cast<int64_t>(chosen.size());
    const int64_t together = source.together();
    for (int64_t first = 0; first < total; first += together) {
      const int64_t last = std::min(first + together, total);
      std::vector<int64_t> places;
      for (int64_t k = first; k < last; ++k) {
        const int64_t at = place[static_cast<size_t>(chosen[k])];
        if (at >= 0) places.push_back(at);
      }
      const auto planes =
          places.empty() ? at::Tensor() : source.make(places, call);
      int64_t next = 0;
      for (int64_t k = first; k < last; ++k) {
        call.check();
        if (place[static_cast<size_t>(chosen[k])] < 0) {
          plane.fill_(post.prob_threshold);
        } else {
          resize_plane(planes[next++], plane);
        }
        take(chosen[k], plane);
        call.report(Step::kPixels, k + 1, total);
      }
    }
  };
  each_plane(postprocess.order(),
             [&](int64_t, const at::Tensor& made) { postprocess.add(made); });
  each_plane(postprocess.missing(), [&](int64_t word, const at::Tensor& made) {
    postprocess.add_missing(word, made);
  });
  return postprocess.finish();
}

}  // namespace declip
