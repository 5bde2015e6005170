#include "declip/encoded_image.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "declip/model.h"
#include "declip/resize.h"
#include "image/region_map.h"
#include "image/windows.h"
#include "model/device.h"
#include "model/picture_features.h"
#include "model/recipe.h"
#include "segment/aggregate.h"
#include "segment/bank_support.h"
#include "segment/cat_seg_input.h"
#include "segment/cat_seg_planes.h"
#include "segment/cat_seg_view.h"
#include "segment/image_engineering.h"
#include "segment/labels.h"
#include "segment/peaks.h"
#include "segment/picture_proxy.h"
#include "segment/plane_source.h"
#include "segment/talk2dino.h"
#include "segment/vote.h"

namespace declip {

struct EncodedImage::State {
  Size size;           // of the picture as it came
  at::Tensor regions;  // int32 of that size on the CPU, or undefined
  bool smallest_abstains = false;  // see vote_in_regions()
  // On the model's device:
  at::Tensor image;     // normalised, resized [1, 3, Hr, Wr], for PAMR
  int64_t windows = 0;  // that went through the tower
  WindowPlan plan;      // of the maps in `features`
  at::Tensor features;  // float32 [nW, E, h, w], see encode_windows()
  std::optional<Talk2DinoWindows> talk2dino;  // shares `features`
  std::optional<BankSupport> support;
  std::optional<CatSegView> cat_seg;  // then there are no `features`

  /// What a bank adds to the scores of words.
  std::optional<ScoreShare> score_share(const at::Tensor& text) const {
    if (!support) return {};
    return bank_scores(*support, text);
  }
};

namespace {

/// Statistics on the 0..255 scale. CLIP's own are rounded to three decimals, as
/// the papers' framework has them in its configuration files.
std::array<double, 3> byte_scale(const std::array<double, 3>& unit) {
  std::array<double, 3> scaled{};
  std::transform(unit.begin(), unit.end(), scaled.begin(), [](double v) {
    return std::round(v * 255.0 * 1000.0) / 1000.0;
  });
  return scaled;
}

WindowPlan plan_of(Size image, const EncodeOptions& options) {
  return plan_windows(image.height,
                      image.width,
                      options.window,
                      options.stride,
                      options.pad_to);
}

at::Tensor load_image(const Model& model,
                      const Picture& picture,
                      const EncodeOptions& options) {
  if (picture.normalised.defined()) {
    model.check_image(picture.normalised);
    if (picture.normalised.size(0) != 1) {
      throw Error(ErrorCode::kInvalidArg,
                  "One picture at a time: the image tensor must be "
                  "[1, 3, H, W], received a batch of " +
                      std::to_string(picture.normalised.size(0)) + ".");
    }
    return upload(picture.normalised.to(at::kFloat), model.device())
        .contiguous();
  }
  const Size from{picture.pixels.size(0), picture.pixels.size(1)};
  const Size to = picture.size ? from : working_size(from, options);
  const int64_t patch = model.info().config.vision.patch;
  if (to.height < patch || to.width < patch) {
    throw Error(
        ErrorCode::kInvalidArg,
        "The picture would be " + std::to_string(to.width) + " x " +
            std::to_string(to.height) + " pixels, less than one patch (" +
            std::to_string(patch) +
            "). Pass a larger `shortSide`, or crop very long pictures.");
  }
  const auto& stats = model.info().config.pixels;
  return upload(normalize_mmcv(resize_linear_u8(picture.pixels, to),
                               byte_scale(stats.mean),
                               byte_scale(stats.std)),
                model.device());
}

/// Pixels 0..255 as detectron2 reads a picture: float32 [1, 3, H, W].
at::Tensor load_pixels(const Model& model,
                       const Picture& picture,
                       const EncodeOptions& options) {
  const auto rgb = picture.size
                       ? rgb_pixels(picture.pixels)
                       : resize_to_working_size(picture.pixels, options);
  return upload(rgb.permute({2, 0, 1}).unsqueeze(0).to(at::kFloat),
                model.device())
      .contiguous();
}

at::Tensor normal_pixels(const Model& model, const at::Tensor& pixels) {
  const auto& stats = model.info().config.pixels;
  const auto three = [&](const std::array<double, 3>& unit) {
    auto out = at::empty({1, 3, 1, 1}, at::kFloat);
    for (size_t c = 0; c < 3; ++c) {
      out[0][static_cast<int64_t>(c)].fill_(unit[c] * 255.0);
    }
    return out.to(pixels.device());
  };
  return (pixels - three(stats.mean)).div_(three(stats.std));
}

void check_text(const at::Tensor& text, int64_t width) {
  if (text.dim() == 2 && text.size(0) >= 1 && text.size(1) == width) return;
  throw Error(ErrorCode::kInvalidArg,
              "Text features must be [words, " + std::to_string(width) +
                  "], as this model's vision tower makes them.");
}

/// Patch features of a batch of windows under the picture's options: unit ones
/// unless windows are joined first.
class WindowEncoder {
 public:
  /// Without `unit` the features are as the tower makes them.
  WindowEncoder(const Model& model,
                const EncodeOptions& options,
                const WindowPlan& plan,
                const at::Tensor& whole,
                bool unit)
      : model_(model),
        options_(options),
        plan_(plan),
        whole_(whole),
        unit_(unit) {}

  /// Copies of each window that go through the tower.
  int64_t copies() const { return options_.augment ? 5 : 1; }

  /// x [b, 3, H, W], windows first..first+b of the plan -> [b, E, h, w].
  ///
  /// With image engineering, ITACLIP averages the features of the original, the
  /// grey and the blurred window (weight `augment_weight`) and, separately, the
  /// logits of the two flipped ones, flipped back. Logits are linear in the
  /// features, so the five are combined here, once, before any word is known.
  /// Aydin et al., arXiv:2411.12044, section 3.1.
  at::Tensor encode(const at::Tensor& x,
                    int64_t first,
                    const Call& call) const {
    if (!options_.augment) return features(x, first, 1, call);
    const auto copies = at::cat({x,
                                 grey_copy(x),
                                 blurred_copy(x),
                                 flip_vertical(x),
                                 flip_horizontal(x)});
    const auto f = features(copies, first, 5, call).chunk(5, 0);
    const double weight = options_.augment_weight;
    const auto upright = (f[0] + f[1] + f[2]) * (weight / 3.0);
    const auto flipped =
        (flip_vertical(f[3]) + flip_horizontal(f[4])) * ((1.0 - weight) / 2.0);
    return upright + flipped;
  }

 private:
  at::Tensor features(const at::Tensor& x,
                      int64_t first,
                      int64_t copies,
                      const Call& call) const {
    auto dense = options_.dense;
    const int64_t windows = x.size(0) / copies;
    if (recipe_of(dense.mode).attention == Attention::kRegions &&
        options_.regions.defined()) {
      dense.regions =
          cut_regions(options_.regions, plan_, first, first + windows);
    }
    if (whole_.defined()) {
      const int64_t patch = model_.info().config.vision.patch;
      dense.proxy_features = window_proxy(whole_,
                                          plan_,
                                          first,
                                          first + windows,
                                          {2 * (plan_.padded_height() / patch),
                                           2 * (plan_.padded_width() / patch)});
    } else if (dense.proxy_features.defined()) {
      dense.proxy_features =
          dense.proxy_features.slice(0, first, first + windows);
    }
    return model_.encode_dense(x, dense, unit_, call);
  }

  const Model& model_;
  const EncodeOptions& options_;
  const WindowPlan& plan_;
  at::Tensor whole_;  // features of the whole picture, if windows share them
  bool unit_;
};

void check_proxy(const EncodeOptions& options, int64_t windows) {
  const auto& features = options.dense.proxy_features;
  if (!recipe_of(options.dense.mode).needs_proxy()) return;
  const bool made = !features.defined() && options.dense.proxy_model;
  if (!made && (!features.defined() || features.dim() != 4 ||
                features.size(0) != windows)) {
    throw Error(
        ErrorCode::kInvalidArg,
        std::string("Dense mode '") + dense_mode_name(options.dense.mode) +
            "' needs proxy.model, or proxy.features with one map per window, "
            "row by row: [" +
            std::to_string(windows) +
            ", C, Hv, Wv]. Pass window 0 for a single pass over the "
            "whole picture.");
  }
  if (options.augment) {
    throw Error(ErrorCode::kInvalidArg,
                std::string("augment does not go with dense mode '") +
                    dense_mode_name(options.dense.mode) +
                    "', whose features belong to the unchanged windows.");
  }
}

/// Those of the foundation model that sees the whole picture; else undefined.
at::Tensor features_of_whole(const Model& model,
                             const Picture& picture,
                             const EncodeOptions& options,
                             const Call& call) {
  if (!options.proxy_sees_picture) return {};
  if (!recipe_of(options.dense.mode).needs_proxy() ||
      !options.dense.proxy_model) {
    throw Error(ErrorCode::kInvalidArg,
                "proxy.sees 'picture' needs proxy.model and a dense mode that "
                "compares its features.");
  }
  return picture_features(
      *options.dense.proxy_model, picture, model.info().config.pixels, call);
}

at::Tensor encode_windows(const Model& model,
                          const at::Tensor& image,
                          const WindowPlan& plan,
                          const EncodeOptions& options,
                          const at::Tensor& whole,
                          const Call& call,
                          bool unit = true) {
  const WindowEncoder encoder(model, options, plan, whole, unit);
  const int64_t patch = model.info().config.vision.patch;
  const int64_t tokens =
      (1 + plan.padded_height() / patch * (plan.padded_width() / patch)) *
      encoder.copies();
  const int64_t batch =
      recipe_of(options.dense.mode).one_window_per_pass
          ? 1
          : std::max<int64_t>(1, model.tokens_per_pass() / tokens);
  at::Tensor features;
  for (int64_t first = 0; first < plan.size(); first += batch) {
    const int64_t last = std::min(first + batch, plan.size());
    const auto part =
        encoder.encode(cut_windows(image, plan, first, last), first, call);
    if (!features.defined()) {
      auto shape = part.sizes().vec();
      shape[0] = plan.size();
      features = at::empty(shape, part.options());
    }
    features.slice(0, first, last).copy_(part);
    call.report(Step::kEncode, last, plan.size());
  }
  return features;
}

}  // namespace

at::Tensor region_values(const Model& model,
                         const Picture& picture,
                         const EncodeOptions& options,
                         const RegionRows& regions,
                         const Call& call) {
  if (options.cat_seg) {
    throw Error(ErrorCode::kInvalidArg,
                "A bank is made of patch features, which method 'cat-seg' "
                "does not compare with words. Take another method.");
  }
  const auto image = load_image(model, picture, options);
  const auto plan = plan_of({image.size(2), image.size(3)}, options);
  check_proxy(options, plan.size());
  const auto features =
      encode_windows(model,
                     image,
                     plan,
                     options,
                     features_of_whole(model, picture, options, call),
                     call,
                     /*unit=*/false);
  return mean_planes(
      PlaneSource(features.contiguous(),
                  plan,
                  {regions.index.size(0), regions.index.size(1)}),
      regions,
      call);
}

Size working_size(Size picture, const EncodeOptions& options) {
  if (options.short_side == 0) return picture;
  if (options.cat_seg) {
    return cat_seg_size(
        picture, options.short_side, options.long_side, options.enlarge);
  }
  return keep_ratio_size(
      picture, options.short_side, options.long_side, options.enlarge);
}

at::Tensor resize_to_working_size(const at::Tensor& pixels,
                                  const EncodeOptions& options) {
  const Size to = working_size({pixels.size(0), pixels.size(1)}, options);
  if (!options.cat_seg) return resize_linear_u8(pixels, to);
  const auto rgb = rgb_pixels(pixels);
  return resize_pillow(rgb.const_data_ptr<uint8_t>(),
                       {rgb.size(0), rgb.size(1)},
                       to,
                       PillowFilter::kBilinear);
}

int64_t count_windows(Size picture, const EncodeOptions& options) {
  if (options.cat_seg) return count_cat_seg_inputs(*options.cat_seg);
  return plan_of(aggregate_size(working_size(picture, options), options),
                 options)
      .size();
}

EncodedImage::EncodedImage(std::unique_ptr<State> state)
    : state_(std::move(state)) {}
EncodedImage::~EncodedImage() = default;

std::shared_ptr<const EncodedImage> EncodedImage::encode(
    const Model& model,
    const Picture& picture,
    const EncodeOptions& options,
    const Call& call) {
  const c10::InferenceMode guard;
  if (options.talk2dino) {
    check_talk2dino(model);
  } else {
    model.check_text_space();
  }
  if (!(options.augment_weight >= 0 && options.augment_weight <= 1)) {
    throw Error(ErrorCode::kInvalidArg, "augmentWeight must be 0..1.");
  }
  auto state = std::make_unique<State>();
  // CAT-Seg's head takes pixels as they are, and normalises what it cut.
  const auto pixels = options.cat_seg && !picture.normalised.defined()
                          ? load_pixels(model, picture, options)
                          : at::Tensor();
  state->image = pixels.defined() ? normal_pixels(model, pixels)
                                  : load_image(model, picture, options);
  state->size = picture.normalised.defined()
                    ? Size{state->image.size(2), state->image.size(3)}
                    : picture.size.value_or(
                          Size{picture.pixels.size(0), picture.pixels.size(1)});
  if (options.regions.defined()) {
    check_regions(options.regions, state->size);
    state->regions = options.regions.to(at::kCPU);
    state->smallest_abstains = options.dense.corrclip.smallest_is_unsegmented;
  }
  if (options.cat_seg) {
    const bool normalised = !pixels.defined();
    state->cat_seg.emplace(see_with_cat_seg(
        model, normalised ? state->image : pixels, normalised, options, call));
    state->windows = state->cat_seg->geometry().inputs();
    return std::shared_ptr<const EncodedImage>(
        new EncodedImage(std::move(state)));
  }
  if (options.talk2dino) {
    if (aggregates(options)) {
      throw Error(
          ErrorCode::kInvalidArg,
          "aggregate does not go with method 'talk2dino', whose windows "
          "are joined as its authors do. Leave one of them out.");
    }
    state->talk2dino = talk2dino_windows(model,
                                         state->image,
                                         picture.pixels.defined(),
                                         options.window,
                                         options.stride,
                                         *options.talk2dino,
                                         call);
    state->plan = state->talk2dino->plan;
    state->windows = state->plan.size();
    state->features = state->talk2dino->features;
    state->image = state->talk2dino->rgb;
    return std::shared_ptr<const EncodedImage>(
        new EncodedImage(std::move(state)));
  }
  state->image = resize_to_aggregate(state->image, options);
  state->plan = plan_of({state->image.size(2), state->image.size(3)}, options);
  state->plan.whole = options.window == 0 &&
                      !recipe_of(options.dense.mode).resizes_to_resized_picture;
  state->windows = state->plan.size();
  check_proxy(options, state->windows);
  if (aggregates(options) && !recipe_of(options.dense.mode).needs_proxy()) {
    check_cells(state->plan, options, model.info().config.vision.patch);
  }
  const auto whole = features_of_whole(model, picture, options, call);
  state->features = encode_windows(model,
                                   state->image,
                                   state->plan,
                                   options,
                                   whole,
                                   call,
                                   /*unit=*/!aggregates(options));
  if (options.bank) {
    const Size resized{state->image.size(2), state->image.size(3)};
    state->support =
        bank_support(model, picture, options, resized, whole, call);
  }
  if (aggregates(options)) {
    state->features =
        aggregate_windows(state->features, state->plan, options, call);
  }
  return std::shared_ptr<const EncodedImage>(
      new EncodedImage(std::move(state)));
}

int64_t EncodedImage::height() const { return state_->size.height; }
int64_t EncodedImage::width() const { return state_->size.width; }
int64_t EncodedImage::windows() const { return state_->windows; }
int64_t EncodedImage::bytes() const {
  const auto& regions = state_->regions;
  const auto own = state_->cat_seg ? state_->cat_seg->bytes()
                   : state_->talk2dino
                       ? state_->talk2dino->bytes()
                       : static_cast<int64_t>(state_->features.nbytes());
  return own + static_cast<int64_t>(state_->image.nbytes() +
                                    (regions.defined() ? regions.nbytes() : 0));
}

double EncodedImage::operations(int64_t words) const {
  if (state_->cat_seg) return state_->cat_seg->operations(words);
  return static_cast<double>(bytes()) / 2 * static_cast<double>(words);
}

at::Tensor EncodedImage::window_logits(const at::Tensor& text) const {
  const auto& f = state_->features;
  // With a bank of two encoders the second one's words may stand beside.
  const auto* support = state_->support ? &*state_->support : nullptr;
  if (support && support->values.size() > 1 && text.dim() == 2 &&
      text.size(1) == f.size(1) + support->values[1].size(1)) {
    return window_logits(text.narrow(1, 0, f.size(1)));
  }
  check_text(text, f.size(1));
  return at::matmul(text.to(f.options()), f.flatten(2))
      .unflatten(2, {f.size(2), f.size(3)})
      .contiguous();  // (nW, Q, h, w)
}

Segmentation EncodedImage::segment(const at::Tensor& text,
                                   const std::vector<int64_t>& word_class,
                                   const PostOptions& options,
                                   const Call& call) const {
  const c10::InferenceMode guard;
  if (options.vote && !state_->regions.defined()) {
    throw Error(ErrorCode::kInvalidArg,
                "refine: 'vote' needs regions; encode the picture with masks.");
  }
  if (options.independent && !state_->cat_seg) {
    throw Error(ErrorCode::kInvalidArg,
                "post.independent needs scores that are probabilities, as a "
                "CAT-Seg head makes them; cosines of patches are none.");
  }
  auto result = [&] {
    if (state_->cat_seg) {
      PostOptions own = options;
      own.independent = true;
      return labels_from_planes(
          state_->cat_seg->planes(text, state_->size, call),
          state_->image,
          word_class,
          own,
          call);
    }
    if (!state_->talk2dino) {
      const auto low = window_logits(text);
      const auto share = state_->score_share(text);
      return labels_from_windows(low,
                                 state_->plan,
                                 state_->image,
                                 word_class,
                                 options,
                                 state_->size,
                                 call,
                                 share ? &*share : nullptr);
    }
    check_text(text, state_->features.size(1));
    return talk2dino_labels(
        *state_->talk2dino, text, word_class, options, state_->size, call);
  }();
  if (options.vote) {
    vote_in_regions(state_->regions, state_->smallest_abstains, result, call);
  }
  return result;
}

at::Tensor EncodedImage::similarity(const at::Tensor& text,
                                    const Call& call) const {
  const c10::InferenceMode guard;
  if (state_->cat_seg) {
    return all_planes(state_->cat_seg->planes(text, state_->size, call), call)
        .to(at::kCPU);
  }
  const auto low = window_logits(text);
  const auto share = state_->score_share(text);
  return planes_from_windows(
             low, state_->plan, state_->size, call, share ? &*share : nullptr)
      .to(at::kCPU);
}

namespace {

/// Peaks of every plane, looked for in the planes' size.
std::vector<Peak> peaks_of_planes(const WordPlanes& source,
                                  Size picture,
                                  const PeakOptions& options,
                                  const Call& call) {
  const Size size = source.size();
  const auto plane = at::empty({size.height, size.width}, source.options());
  at::Tensor scratch;
  std::vector<Peak> all;
  for (int64_t k = 0; k < source.words(); ++k) {
    call.check();
    source.write(k, {0, size.height}, plane, scratch);
    for (auto peak : find_peaks(plane, picture, options)) {
      peak.text = k;
      all.push_back(peak);
    }
  }
  return all;
}

}  // namespace

std::vector<Peak> EncodedImage::peaks(const at::Tensor& text,
                                      const PeakOptions& options,
                                      const Call& call) const {
  const c10::InferenceMode guard;
  PeakOptions own = options;
  if (state_->cat_seg) {
    const auto& geometry = state_->cat_seg->geometry();
    if (own.min_distance < 0) {
      own.min_distance = 2 * state_->cat_seg->patch(state_->size.width);
    }
    // As fine as windows are blended, or as the one map is.
    const int64_t map = 4 * state_->cat_seg->maps().features.size(2);
    const Size working =
        geometry.sliding ? Size{geometry.canvas.height, geometry.canvas.width}
                         : Size{map, map};
    return peaks_of_planes(
        state_->cat_seg->planes(text, working, call), state_->size, own, call);
  }
  const auto& plan = state_->plan;
  const auto low = window_logits(text);
  const Size working{plan.height, plan.width};
  const auto share = state_->score_share(text);
  if (own.min_distance < 0) {
    const double patch = static_cast<double>(plan.padded_width()) /
                         static_cast<double>(low.size(3));
    own.min_distance = 2 * patch * static_cast<double>(state_->size.width) /
                       static_cast<double>(plan.width);
  }
  return peaks_of_planes(
      PlaneSource(low, plan, working, share ? &*share : nullptr),
      state_->size,
      own,
      call);
}

}  // namespace declip
