#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "declip/call.h"
#include "declip/cat_seg.h"
#include "declip/checkpoint.h"
#include "declip/config.h"
#include "declip/dense.h"
#include "declip/detector.h"
#include "declip/mask_decoder.h"
#include "declip/regions.h"

namespace declip {

class Graphs;
struct CatSegFile;
struct DetectorFile;
template <class File, class Head>
class LazyHead;
class LazyTextTower;
class VisionEncoder;

struct LoadOptions {
  ConfigOverrides overrides;
  Families families = all_families();
  std::string device = "auto";  // 'auto', 'cpu', 'cuda', 'cuda:1'
  // 'auto', 'float32', 'bfloat16', 'float16', or 'int8': linear layers of 8
  // bits, the rest in float32 (CPUs with VNNI)
  std::string dtype = "auto";
  bool eager = false;        // LibTorch's operators only, to compare with
  bool cuda_graphs = false;  // passes over windows are recorded and replayed
};

/// What a checkpoint is, without its weights.
struct CheckpointInfo {
  std::string path, format, stored_dtype;
  std::string family;       // its name: 'clip', 'eva', 'dino' ...
  bool text_space = false;  // features may be compared with texts
  TokenizerKind tokenizer = TokenizerKind::kNone;
  bool swiglu = false;  // the MLPs of the image tower are SwiGLU
  ModelConfig config;
  int64_t parameters = 0;
  int64_t tensors = 0;
  std::optional<double> logit_scale;  // exp of the stored value
  std::optional<double> logit_bias;   // SigLIP's
  std::optional<int64_t> epoch;
  std::optional<std::string> dense_mode, license;
  /// Those that the model has; none of a foundation model.
  std::vector<DenseMode> dense_modes;
  /// SAM's prompt encoder and mask decoder, where the file has them.
  std::optional<MaskDecoderConfig> mask_decoder;
  /// F-ViT's heads, where the file has them.
  std::optional<DetectorConfig> detector;
  /// CAT-Seg's head, where the file has one.
  std::optional<CatSegConfig> cat_seg;
  std::vector<std::string> notes;
};

CheckpointInfo describe(const Checkpoint& checkpoint);

struct ImageOptions {
  bool normalize = true;
  Positions positions = Positions::kSize;
};

/// Parts of a picture as pictures of their own.
struct CropOptions {
  double scale = 1;  // enlarges boxes about their centre, within the picture
  bool normalize = true;
};

/// A loaded model. Immutable: calls may overlap and share it. The text tower is
/// made at the first call that needs it, from the file, which stays mapped:
/// pictures, and words whose features were saved, do without.
class Model {
 public:
  /// Throws Error(kWeights), Error(kIo), Error(kDevice), Error(kAborted).
  static std::shared_ptr<const Model> load(const std::string& path,
                                           const LoadOptions& options,
                                           const Call& call);
  ~Model();

  const CheckpointInfo& info() const { return info_; }
  /// Throws Error(kWeights) for vision foundation models: there are no texts in
  /// the space of their features.
  void check_text_space() const;
  /// 'float32', 'bfloat16', 'float16' or 'int8'.
  std::string dtype() const;
  /// Bytes of a weight in memory.
  int64_t weight_bytes() const {
    return int8_ ? 1 : static_cast<int64_t>(c10::elementSize(dtype_));
  }
  at::Device device() const { return device_; }
  const std::string& device_reason() const { return device_reason_; }
  /// Of the text tower's weights; empty without one.
  std::string text_fingerprint() const;
  /// What the layers run on, in words.
  std::string engine() const;

  /// The image tower, for what needs more of it than the calls below give.
  const VisionEncoder& encoder() const { return *encoder_; }

  // All results are float32, on the model's device. Images are normalised
  // [B, 3, H, W] on any device. Of a vision foundation model, encode_image()
  // gives the class token after the final norm and encode_dense() the patches;
  // positions and dense options mean nothing there.

  /// tokens [T, L] int32 or int64 -> [T, E].
  at::Tensor encode_text(const at::Tensor& tokens,
                         bool normalize,
                         const Call& call) const;
  /// Prompt ensemble: tokens [Q * templates, L]; every prompt is normalised,
  /// averaged over its word's templates, normalised again -> [Q, E].
  at::Tensor encode_words(const at::Tensor& tokens,
                          int64_t templates,
                          const Call& call) const;
  /// -> [B, E].
  at::Tensor encode_image(const at::Tensor& image,
                          const ImageOptions& options,
                          const Call& call) const;
  /// -> [B, E, h, w].
  at::Tensor encode_dense(const at::Tensor& image,
                          const DenseOptions& options,
                          bool normalize,
                          const Call& call) const;
  /// Tokens after any blocks, and patch features, in one pass.
  /// Throws Error(kInvalidArg) for blocks that the tower does not have.
  Stages encode_stages(const at::Tensor& image,
                       const StageOptions& options,
                       const Call& call) const;
  /// What pool_boxes() and pool_masks() take: [B, E, h, w] as encode_dense().
  /// Patches are of unit length if `unit_patches` says so. Default: true for
  /// the plain tower (CLIPSelf, DeCLIP), false for EVA (DeCLIP) and foundation
  /// models; CLIPSelf's EVA code sets it.
  at::Tensor encode_region_map(const at::Tensor& image,
                               const DenseOptions& options,
                               std::optional<bool> unit_patches,
                               const Call& call) const;
  /// Parts of a picture, each fitted into the model's square with black around
  /// it and embedded as encode_image() does, some at a time: -> [K, E].
  /// rgb is uint8 [H, W, 3]; see crop_region().
  at::Tensor encode_crops(const at::Tensor& rgb,
                          const std::vector<PixelBox>& boxes,
                          const CropOptions& options,
                          const Call& call) const;

  /// SAM's, made at its first use.
  /// Throws Error(kWeights) that names what to load where there is none.
  const MaskDecoder& mask_decoder(const Call& call) const;

  /// F-ViT's heads, made at their first use.
  /// Throws Error(kWeights) that names what to load where there are none.
  const Detector& detector(const Call& call) const;

  /// CAT-Seg's head, made at its first use.
  /// Throws Error(kWeights) that names what to load where there is none.
  const CatSeg& cat_seg(const Call& call) const;

  /// Throws Error(kInvalidArg) unless `image` is float [B, 3, H, W].
  void check_image(const at::Tensor& image) const;
  /// How many go through the towers at a time: enough to keep matrix products
  /// at their best, few enough to stay near the cache.
  int64_t tokens_per_pass() const;

 private:
  Model() = default;
  /// `image` as the encoder takes it.
  at::Tensor prepared(const at::Tensor& image) const;
  /// `options` with ProxyCLIP's features, where the mode needs them and another
  /// model makes them.
  DenseOptions with_proxy(const DenseOptions& options,
                          const at::Tensor& image,
                          const Call& call) const;
  /// `features` as they came. Throws Error(kWeights) if they are not finite,
  /// Error(kIo) if the weights' file is no longer whole.
  at::Tensor usable(const at::Tensor& features) const;

  CheckpointInfo info_;
  std::unique_ptr<const VisionEncoder> encoder_;
  std::unique_ptr<LazyTextTower> text_;  // null for vision-only files
  std::unique_ptr<LazyHead<MaskDecoderFile, MaskDecoder>>
      masks_;                // null without one
  std::string masks_fault_;  // why there is none, if the file tells
  std::unique_ptr<LazyHead<DetectorFile, Detector>> detector_;  // as masks_
  std::string detector_fault_;
  std::unique_ptr<LazyHead<CatSegFile, CatSeg>> cat_seg_;  // as masks_
  std::string cat_seg_fault_;
  std::unique_ptr<Graphs> graphs_;  // null unless passes are recorded
  at::ScalarType dtype_ = at::kFloat;
  bool int8_ = false;
  at::Device device_ = at::kCPU;
  std::string device_reason_;
  std::vector<std::weak_ptr<const MappedFile>> files_;
};

/// x / max(|x|, 1e-12) along `dim`.
at::Tensor l2_normalize(const at::Tensor& x, int64_t dim);

}  // namespace declip
