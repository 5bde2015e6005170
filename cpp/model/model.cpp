#include "declip/model.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <cmath>

#include "checkpoint/family.h"
#include "declip/memory.h"
#include "files/mapped_file.h"
#include "kernels/cpu/level.h"
#include "kernels/cuda/twin.h"
#include "kernels/mask_pool.h"
#include "kernels/roi_align.h"
#include "model/device.h"
#include "model/encoder.h"
#include "model/graphs.h"
#include "model/lazy_text_tower.h"
#include "model/proxy.h"
#include "model/recipe.h"

namespace declip {
namespace {

std::string shape_text(const at::Tensor& t) {
  std::string text = "[";
  for (int64_t i = 0; i < t.dim(); ++i) {
    text += (i ? ", " : "") + std::to_string(t.size(i));
  }
  return text + "]";
}

/// The tensors whose names begin with `prefix`.
std::map<std::string, at::Tensor> tower_of(const Checkpoint& checkpoint,
                                           const std::string& prefix) {
  std::map<std::string, at::Tensor> tensors;
  for (const auto& [name, tensor] : checkpoint.tensors) {
    if (name.rfind(prefix, 0) == 0) tensors.emplace(name, tensor);
  }
  return tensors;
}

/// Everything that changes what a dense pass does, but for ProxyCLIP's
/// features.
std::string pass_key(const at::Tensor& image,
                     const DenseOptions& options,
                     bool normalize) {
  std::string key = shape_text(image) + dense_mode_name(options.mode);
  const auto add = [&key](const auto& value) {
    key.append(" ").append(std::to_string(value));
  };
  const auto add_choice = [&](const auto& choice) {
    add(choice ? static_cast<int>(*choice) : -1);
  };
  add_choice(options.positions);
  add_choice(options.residual);
  add_choice(options.feed_forward);
  for (const int64_t layer : options.layers) add(layer);
  add(options.self_attention);
  add(options.gaussian_std);
  add(options.neighbours_only);
  add(normalize);
  return key;
}

at::Tensor batch_index(const RegionOptions& options, int64_t regions) {
  return options.image_index.empty()
             ? at::zeros({regions}, at::kLong)
             : at::tensor(options.image_index, at::kLong);
}

/// Masks [K, H, W] of a picture that was fitted into the grid's square by its
/// long side: resized the same way, nothing where the padding is. Sides round
/// half to even, as the evaluation's Python does.
at::Tensor padded_grid_masks(const at::Tensor& masks, int64_t h, int64_t w) {
  const double scale =
      static_cast<double>(std::max(h, w)) /
      static_cast<double>(std::max(masks.size(1), masks.size(2)));
  const auto side = [&](int64_t length, int64_t limit) {
    const auto scaled = static_cast<int64_t>(
        std::nearbyint(static_cast<double>(length) * scale));
    return std::clamp<int64_t>(scaled, 1, limit);
  };
  const int64_t mh = side(masks.size(1), h), mw = side(masks.size(2), w);
  return at::constant_pad_nd(
      resize_masks_bicubic(masks, mh, mw), {0, w - mw, 0, h - mh}, 0);
}

}  // namespace

at::Tensor l2_normalize(const at::Tensor& x, int64_t dim) {
  return x / x.norm(2, {dim}, true).clamp_min(1e-12);
}

CheckpointInfo describe(const Checkpoint& checkpoint) {
  CheckpointInfo info;
  info.path = checkpoint.path;
  info.format = checkpoint.format;
  info.tokenizer = checkpoint.tokenizer;
  info.stored_dtype = checkpoint.stored_dtype;
  info.config = checkpoint.config;
  const FamilySpec& family = *info.config.family;
  info.family = family.name;
  info.text_space = family.text != nullptr;
  info.swiglu = family.has_swiglu(info.config);
  info.epoch = checkpoint.epoch;
  info.dense_mode = checkpoint.dense_mode;
  if (family.dense_modes != nullptr) {
    const auto modes = family.dense_modes();
    info.dense_modes.assign(modes.begin(), modes.end());
  }
  info.license = checkpoint.license;
  info.notes = checkpoint.notes;
  for (const auto& [name, tensor] : checkpoint.tensors) {
    info.parameters += tensor.numel();
    ++info.tensors;
  }
  const auto scale = checkpoint.tensors.find("logit_scale");
  if (scale != checkpoint.tensors.end()) {
    info.logit_scale = std::exp(scale->second.to(at::kDouble).item<double>());
  }
  const auto bias = checkpoint.tensors.find("logit_bias");
  if (bias != checkpoint.tensors.end()) {
    info.logit_bias = bias->second.to(at::kDouble).item<double>();
  }
  return info;
}

Model::~Model() = default;

std::shared_ptr<const Model> Model::load(const std::string& path,
                                         const LoadOptions& options,
                                         const Call& call) {
  const c10::InferenceMode guard;
  const auto placement = place(options.device, options.dtype);
  const auto checkpoint =
      load_checkpoint(path, options.overrides, options.families);
  call.check();

  Numerics numerics;
  numerics.fused = !options.eager &&
                   (placement.device.is_cuda() || placement.dtype != at::kHalf);
  numerics.dtype = placement.dtype;
  numerics.int8 = placement.int8 && numerics.fused;

  const auto visual = tower_of(checkpoint, "visual.");
  const Weights weights(visual,
                        placement.device,
                        numerics.stream(),
                        call,
                        checkpoint.check_finite);
  auto model = std::shared_ptr<Model>(new Model());
  model->info_ = describe(checkpoint);
  const auto& config = model->info_.config;
  if (config.text) {
    model->text_ =
        std::make_unique<LazyTextTower>(*config.text,
                                        tower_of(checkpoint, "text."),
                                        placement.device,
                                        numerics,
                                        checkpoint.check_finite,
                                        checkpoint.files);
  }
  model->encoder_ = config.family->make_encoder(config, weights, numerics);
  const auto modes = model->encoder_->info().dense_modes;
  model->info_.dense_modes.assign(modes.begin(), modes.end());
  model->dtype_ = placement.dtype;
  model->int8_ = placement.int8;
  model->device_ = placement.device;
  if constexpr (cuda::kBuilt) {
    if (placement.device.is_cuda() && options.cuda_graphs)
      model->graphs_ = make_graphs();
  }
  model->device_reason_ = placement.reason;
  model->files_ = checkpoint.files;
  check_files(model->files_);
  give_back_memory();  // what reading and converting the weights took
  return model;
}

std::string Model::dtype() const {
  if (int8_) return "int8";
  switch (dtype_) {
    case at::kHalf:
      return "float16";
    case at::kBFloat16:
      return "bfloat16";
    default:
      return "float32";
  }
}

std::string Model::text_fingerprint() const {
  return text_ ? text_->fingerprint() : "";
}

std::string Model::engine() const {
  const auto& numerics = encoder_->numerics();
  if (!numerics.fused) return "eager: " + Linear::describe(numerics);
  if (device_.is_cuda()) {
    return std::string("fused: CUDA kernels, LibTorch's linear layer") +
           (graphs_ ? ", graphs" : "");
  }
  return std::string("fused: ") + cpu::level_name(cpu::level()) + " kernels, " +
         Linear::describe(numerics);
}

void Model::check_text_space() const {
  if (info_.text_space) return;
  throw Error(
      ErrorCode::kWeights,
      info_.path + " is a vision foundation model (" + info_.family +
          ") and has no text tower, nor one of its family: its features "
          "cannot be compared with words. Load a CLIP checkpoint for "
          "that, and give it this one as proxy: { model } with method "
          "'proxyclip'.");
}

void Model::check_image(const at::Tensor& image) const {
  if (!image.defined() || image.dim() != 4 || image.size(0) < 1 ||
      image.size(1) != 3 || !at::isFloatingType(image.scalar_type())) {
    throw Error(
        ErrorCode::kInvalidArg,
        "The image tensor must be float [B, 3, H, W], received " +
            (image.defined() ? std::string(at::toString(image.scalar_type())) +
                                   " " + shape_text(image)
                             : std::string("nothing")) +
            ".");
  }
  const int64_t patch = info_.config.vision.patch;
  if (image.size(2) < patch || image.size(3) < patch) {
    throw Error(ErrorCode::kInvalidArg,
                "The image must be at least " + std::to_string(patch) +
                    " pixels (one patch) high and wide, received " +
                    shape_text(image) + ".");
  }
}

at::Tensor Model::usable(const at::Tensor& features) const {
  check_files(files_);
  if (features.numel() == 0) return features;
  const auto [low, high] = at::aminmax(features);
  if (std::isfinite((high - low).item<float>())) return features;
  throw Error(ErrorCode::kWeights,
              info_.path +
                  ": its features of this input are not finite numbers (NaN or "
                  "infinity), so nothing can be told from them. " +
                  (dtype_ == at::kHalf
                       ? "Numbers above 65504 do not fit into float16: load "
                         "the model with dtype 'bfloat16' or 'float32'."
                       : "Its weights make numbers that are too large, or the "
                         "input was not finite itself: check both."));
}

at::Tensor Model::encode_text(const at::Tensor& tokens,
                              bool normalize,
                              const Call& call) const {
  const c10::InferenceMode guard;
  check_text_space();
  if (!text_) {
    throw Error(ErrorCode::kWeights,
                info_.path +
                    " holds a vision tower only. Pass text features made with "
                    "another checkpoint of the same family.");
  }
  if (tokens.dim() != 2 || !at::isIntegralType(tokens.scalar_type(), false)) {
    throw Error(ErrorCode::kInvalidArg,
                "tokens must be an int32 or int64 tensor [T, L], received " +
                    std::string(at::toString(tokens.scalar_type())) + " " +
                    shape_text(tokens) + ".");
  }
  const auto features = text_->get(call)
                            .encode(tokens.to(at::kCPU, at::kLong), call)
                            .to(at::kFloat);
  return usable(normalize ? l2_normalize(features, 1) : features);
}

at::Tensor Model::encode_words(const at::Tensor& tokens,
                               int64_t templates,
                               const Call& call) const {
  const c10::InferenceMode guard;
  if (templates < 1 || tokens.dim() != 2 || tokens.size(0) % templates != 0) {
    throw Error(ErrorCode::kInvalidArg,
                "tokens must have a multiple of `templates` rows.");
  }
  const auto prompts = encode_text(tokens, true, call);
  return l2_normalize(prompts.unflatten(0, {-1, templates}).mean(1), 1);
}

at::Tensor Model::prepared(const at::Tensor& image) const {
  check_image(image);
  return upload(image, device_).to(encoder_->numerics().stream());
}

at::Tensor Model::encode_image(const at::Tensor& image,
                               const ImageOptions& options,
                               const Call& call) const {
  const c10::InferenceMode guard;
  const auto features =
      encoder_->class_features(prepared(image), options.positions, call)
          .to(at::kFloat);
  return usable(options.normalize ? l2_normalize(features, 1) : features);
}

DenseOptions Model::with_proxy(const DenseOptions& options,
                               const at::Tensor& image,
                               const Call& call) const {
  encoder_->check_mode(options.mode);
  auto out = options;
  if (!encoder_->info().dense_modes.empty() &&
      recipe_of(options.mode).needs_proxy() &&
      !options.proxy_features.defined() && options.proxy_model) {
    out.proxy_features =
        proxy_features(*options.proxy_model, image, info_.config.pixels, call);
  }
  return out;
}

at::Tensor Model::encode_dense(const at::Tensor& image,
                               const DenseOptions& options,
                               bool normalize,
                               const Call& call) const {
  const c10::InferenceMode guard;
  const auto x = prepared(image);
  const auto dense = with_proxy(options, image, call);
  const auto pass = [&](const at::Tensor& in, const Call& pass_call) {
    const auto features =
        encoder_->patches(in, dense, pass_call).to(at::kFloat);
    return normalize ? l2_normalize(features, 1) : features;
  };
  // No graph can read a number back.
  if (!graphs_ || recipe_of(dense.mode).needs_proxy()) {
    return usable(pass(x, call));
  }
  call.check();
  return usable(
      graphs_->run(pass_key(x, dense, normalize), x, [&](const at::Tensor& in) {
        return pass(in, Call());
      }));
}

Stages Model::encode_stages(const at::Tensor& image,
                            const StageOptions& options,
                            const Call& call) const {
  const c10::InferenceMode guard;
  const auto x = prepared(image);
  auto wanted = options;
  wanted.dense = with_proxy(options.dense, image, call);
  auto stages = encoder_->stages(x, wanted, call);
  for (auto& stage : stages.blocks) {
    stage.map = stage.map.to(at::kFloat);
    stage.prefix = stage.prefix.to(at::kFloat);
  }
  if (stages.features.defined()) {
    stages.features = usable(stages.features.to(at::kFloat));
  }
  return stages;
}

at::Tensor Model::region_map(const at::Tensor& image,
                             const RegionOptions& options,
                             int64_t regions,
                             const Call& call) const {
  if (!options.image_index.empty() &&
      static_cast<int64_t>(options.image_index.size()) != regions) {
    throw Error(ErrorCode::kInvalidArg,
                "imageIndex must have one entry per region (" +
                    std::to_string(regions) + "), received " +
                    std::to_string(options.image_index.size()) + ".");
  }
  for (const int64_t index : options.image_index) {
    if (index < 0 || index >= image.size(0)) {
      throw Error(ErrorCode::kInvalidArg,
                  "imageIndex must be 0.." + std::to_string(image.size(0) - 1) +
                      " (the batch), received " + std::to_string(index) + ".");
    }
  }
  const bool before = options.normalize_before_pooling.value_or(
      encoder_->info().pools_unit_patches);
  return encode_dense(image, options.dense, before, call);
}

at::Tensor Model::encode_boxes(const at::Tensor& image,
                               const at::Tensor& boxes,
                               const RegionOptions& options,
                               const Call& call) const {
  const c10::InferenceMode guard;
  check_image(image);
  if (boxes.dim() != 2 || boxes.size(1) != 4) {
    throw Error(ErrorCode::kInvalidArg,
                "boxes must be [K, 4] (x1, y1, x2, y2 in pixels), received " +
                    shape_text(boxes) + ".");
  }
  if (!boxes.to(at::kFloat).isfinite().all().item<bool>()) {
    throw Error(ErrorCode::kInvalidArg, "boxes must be finite numbers.");
  }
  const auto map = region_map(image, options, boxes.size(0), call);
  // pixels -> 0..1 of the whole picture -> feature grid, as the papers' code.
  // In double: the picture as a whole must not come out longer than the grid,
  // which RoIAlign would give one sample more.
  const auto sides = [](const at::Tensor& x) {
    const auto h = static_cast<double>(x.size(2));
    const auto w = static_cast<double>(x.size(3));
    return at::tensor({w, h, w, h}, at::kDouble);
  };
  const auto on_grid =
      boxes.to(at::kCPU, at::kDouble) * sides(map) / sides(image);
  const auto pooled = roi_align(map,
                                on_grid.to(at::kFloat),
                                batch_index(options, boxes.size(0)),
                                /*scale_y=*/1,
                                /*scale_x=*/1)
                          .flatten(1);
  return options.normalize ? l2_normalize(pooled, 1) : pooled;
}

at::Tensor Model::encode_masks(const at::Tensor& image,
                               const at::Tensor& masks,
                               const RegionOptions& options,
                               const Call& call) const {
  const c10::InferenceMode guard;
  check_image(image);
  if (masks.dim() != 3) {
    throw Error(ErrorCode::kInvalidArg,
                "masks must be [K, h, w] on the patch grid or [K, H, W] in "
                "pixels, received " +
                    shape_text(masks) + ".");
  }
  const auto map = region_map(image, options, masks.size(0), call);
  const int64_t h = map.size(2), w = map.size(3);
  at::Tensor grid_masks;
  if (options.padded_masks && masks.size(1) > 0 && masks.size(2) > 0) {
    grid_masks = padded_grid_masks(masks.to(at::kCPU), h, w);
  } else if (masks.size(1) == h && masks.size(2) == w) {
    grid_masks = masks.to(at::kCPU).ne(0);
  } else if (masks.size(1) == image.size(2) && masks.size(2) == image.size(3)) {
    grid_masks = resize_masks_bicubic(masks.to(at::kCPU), h, w);
  } else {
    throw Error(ErrorCode::kInvalidArg,
                "masks must lie on the patch grid (" + std::to_string(h) +
                    " x " + std::to_string(w) + ") or on the image's pixels (" +
                    std::to_string(image.size(2)) + " x " +
                    std::to_string(image.size(3)) + "), received " +
                    shape_text(masks) + ".");
  }
  const auto pooled =
      mask_pool(map, grid_masks, batch_index(options, masks.size(0)));
  return options.normalize ? l2_normalize(pooled, 1) : pooled;
}

}  // namespace declip
