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
#include "model/device.h"
#include "model/encoder.h"
#include "model/graphs.h"
#include "model/lazy_head.h"
#include "model/lazy_text_tower.h"
#include "model/proxy.h"
#include "model/recipe.h"

namespace declip {
namespace {

/// Activations of one pass through the tower, in bytes.
constexpr int64_t kPassBytes = int64_t{32} << 20;
/// The same on CUDA, where a pass has to fill the whole device; not measured.
constexpr int64_t kCudaPassBytes = int64_t{256} << 20;
/// What a block holds per token and channel at its widest point: the stream,
/// the norm's result, the hidden layer.
constexpr int64_t kValuesPerChannel = 10;

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
  const auto& scclip = options.scclip;
  for (const int64_t number : {scclip.middle_block,
                               scclip.early_block,
                               scclip.first_fused,
                               scclip.last_fused,
                               scclip.neighbours}) {
    add(number);
  }
  add(scclip.class_weight.value_or(-1));
  add(scclip.threshold);
  add(scclip.gain);
  add(scclip.anomalous_share);
  add(normalize);
  return key;
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
  if (checkpoint.mask_decoder) {
    info.mask_decoder = checkpoint.mask_decoder->config;
    for (const auto& [name, tensor] : checkpoint.mask_decoder->tensors) {
      // The position code's directions are drawn, not learnt.
      if (name != "prompts.directions") info.parameters += tensor.numel();
      ++info.tensors;
    }
  }
  if (checkpoint.detector) {
    info.detector = checkpoint.detector->config;
    for (const auto& [name, tensor] : checkpoint.detector->tensors) {
      // What batch norms have counted is not learnt, nor are words.
      if (name.find(".running_") == std::string::npos &&
          !name.ends_with("num_batches_tracked") &&
          !name.ends_with("all_embeddings")) {
        info.parameters += tensor.numel();
      }
      ++info.tensors;
    }
  }
  if (checkpoint.cat_seg) {
    info.cat_seg = checkpoint.cat_seg->config;
    for (const auto& [name, tensor] : checkpoint.cat_seg->tensors) {
      info.parameters += tensor.numel();
      ++info.tensors;
    }
  }
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
  if (checkpoint.mask_decoder) {
    // Position codes lose their place in 16 bits, and the decoder is small.
    Numerics exact = numerics;
    exact.dtype = at::kFloat;
    exact.int8 = false;
    model->masks_ = std::make_unique<LazyHead<MaskDecoderFile, MaskDecoder>>(
        checkpoint.mask_decoder, placement.device, exact, checkpoint.files);
  }
  if (checkpoint.detector) {
    model->detector_ =
        std::make_unique<LazyHead<DetectorFile, Detector>>(checkpoint.detector,
                                                           placement.device,
                                                           numerics.ends(),
                                                           checkpoint.files);
  }
  model->detector_fault_ = checkpoint.detector_fault;
  if (checkpoint.cat_seg) {
    model->cat_seg_ =
        std::make_unique<LazyHead<CatSegFile, CatSeg>>(checkpoint.cat_seg,
                                                       placement.device,
                                                       numerics.ends(),
                                                       checkpoint.files);
  }
  model->cat_seg_fault_ = checkpoint.cat_seg_fault;
  model->masks_fault_ = checkpoint.mask_decoder_fault;
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

const MaskDecoder& Model::mask_decoder(const Call& call) const {
  if (masks_) return masks_->get(call);
  throw Error(
      ErrorCode::kWeights,
      info_.path +
          (info_.family != "sam"
               ? " is no SAM (" + info_.family +
                     "), which alone makes masks of points and boxes"
           : masks_fault_.empty()
               ? std::string(
                     " holds SAM's image encoder alone, as timm's files do")
               : " holds a mask decoder that is not whole: " + masks_fault_) +
          ". Load a file with SAM's prompt encoder and mask decoder: "
          "sam_vit_b_01ec64.pth, sam_vit_l_0b3195.pth or sam_vit_h_4b8939.pth "
          "of its authors, or facebook/sam-vit-base, -large or -huge.");
}

const Detector& Model::detector(const Call& call) const {
  if (detector_) return detector_->get(call);
  throw Error(
      ErrorCode::kWeights,
      info_.path +
          (detector_fault_.empty()
               ? " has no detector's heads"
               : " holds heads that are not whole: " + detector_fault_) +
          ". Load an F-ViT checkpoint, such as "
          "fvit_eva_vitb16_ovcoco_clipself_proposals.pth, or train "
          "heads with objective 'fvit'.");
}

const CatSeg& Model::cat_seg(const Call& call) const {
  if (cat_seg_) return cat_seg_->get(call);
  throw Error(
      ErrorCode::kWeights,
      info_.path +
          (cat_seg_fault_.empty()
               ? " has no CAT-Seg head"
               : " holds a CAT-Seg head that is not whole: " + cat_seg_fault_) +
          ". Load a CAT-Seg checkpoint, such as model_base.pth, or train one "
          "with objective 'cat-seg'.");
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
    out.proxy_features = proxy_features(*options.proxy_model,
                                        image,
                                        info_.config.pixels,
                                        options.proxy_part,
                                        call);
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

at::Tensor Model::encode_region_map(const at::Tensor& image,
                                    const DenseOptions& options,
                                    std::optional<bool> unit_patches,
                                    const Call& call) const {
  const bool unit = unit_patches.value_or(encoder_->info().pools_unit_patches);
  return encode_dense(image, options, unit, call);
}

int64_t Model::tokens_per_pass() const {
  const int64_t per_token = kValuesPerChannel * info_.config.vision.width * 4;
  return (device_.is_cuda() ? kCudaPassBytes : kPassBytes) / per_token;
}

at::Tensor Model::encode_crops(const at::Tensor& rgb,
                               const std::vector<PixelBox>& boxes,
                               const CropOptions& options,
                               const Call& call) const {
  const c10::InferenceMode guard;
  const auto& config = info_.config;
  const int64_t side = config.vision.image_size;
  const int64_t grid = side / config.vision.patch;
  const Size picture{rgb.size(0), rgb.size(1)};
  const auto count = static_cast<int64_t>(boxes.size());
  const int64_t batch =
      std::max<int64_t>(1, tokens_per_pass() / (1 + grid * grid));
  std::vector<at::Tensor> features;
  for (int64_t first = 0; first < count; first += batch) {
    const int64_t last = std::min(first + batch, count);
    std::vector<at::Tensor> crops;
    for (int64_t k = first; k < last; ++k) {
      call.check();
      const auto& box = boxes[static_cast<size_t>(k)];
      crops.push_back(crop_region(rgb.const_data_ptr<uint8_t>(),
                                  picture,
                                  enlarged_box(box, options.scale, picture),
                                  side,
                                  config.pixels.mean,
                                  config.pixels.std));
    }
    features.push_back(
        encode_image(at::cat(crops), {.normalize = options.normalize}, call));
    call.report(Step::kEncode, last, count);
  }
  if (features.empty()) return at::empty({0, config.vision.embed_dim});
  return at::cat(features);
}

}  // namespace declip
