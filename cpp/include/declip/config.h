#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace declip {

/// What a family's models compute and how its files are told and read
/// (cpp/checkpoint/family.h, cpp/families).
struct FamilySpec;

/// A family of this package by its name, 'clip' for one.
/// Throws Error(kInvalidArg) for any other name.
const FamilySpec& family_named(const std::string& name);

/// Of the MLP; EVA's is SwiGLU. kGelu is the exact (erf) one, kGeluTanh its
/// approximation by tanh.
enum class Activation { kQuickGelu, kGelu, kGeluTanh, kRelu };

/// Which of a text's positions its embedding is made of.
enum class TextPool {
  kEnd,    // the end token, see TextConfig::eot_token
  kFirst,  // position 0
  kLast,   // the last position of the context, padding or not
  kMean,   // the mean of all positions but padding
};

/// Shape of a vision tower. `grid` = image_size / patch at training time.
struct VisionConfig {
  int64_t image_size = 0;
  int64_t patch = 0;
  int64_t grid = 0;
  int64_t width = 0;
  int64_t layers = 0;
  int64_t heads = 0;
  int64_t mlp_hidden = 0;
  int64_t embed_dim = 0;
  Activation activation = Activation::kQuickGelu;  // not for EVA
  double layer_norm_eps = 1e-5;                    // 1e-6 for EVA
  bool class_token = true;                         // in front of the patches
  /// SigLIP 2 NaFlex, trained on pictures of their own shapes: positions are
  /// resized bilinearly with antialias.
  bool any_shape = false;
  // CLIP's plain tower only, as open_clip's configurations have it.
  bool norm_before_blocks = true;
  /// The picture's embedding is the mean of its patches, not the class token.
  bool mean_of_patches = false;
  bool norm_after_mean = false;  // the final norm is the mean's
};

/// An attention pooling head: one learned query over the tokens, then an MLP.
/// SigLIP and PE-Core have it in place of a class token's projection.
struct PoolingHeadConfig {
  int64_t heads = 0;
  int64_t mlp_hidden = 0;
  Activation activation = Activation::kGelu;
};

/// Shape of a text tower. All families share the graph; the defaults are
/// CLIP's.
struct TextConfig {
  int64_t width = 0;
  int64_t layers = 0;
  int64_t heads = 0;
  int64_t context = 0;
  int64_t vocab = 0;
  int64_t embed_dim = 0;
  Activation activation = Activation::kQuickGelu;
  double layer_norm_eps = 1e-5;
  /// Token whose first occurrence is pooled; -1: the largest id (argmax).
  int64_t eot_token = -1;
  TextPool pool = TextPool::kEnd;
  bool causal = true;
  /// Padding that no position attends to and no mean counts; -1: padding takes
  /// part like any other token.
  int64_t pad_token = -1;
  /// What rows shorter than the context are filled up with where padding takes
  /// part: SigLIP's towers always see the whole context.
  int64_t fill_token = 0;
  double embedding_scale = 1;  // of the token embeddings
};

/// What VisionConfig does not say of a vision foundation model. `embed_dim` is
/// the channels of its features: `width`, or those of SAM's neck.
struct FoundationConfig {
  int64_t registers = 0;       // DINOv2, 3: tokens beside the class token
  bool class_position = true;  // the positional table has a row for it
  bool gated_mlp = false;      // DINOv2 g: SwiGLU
  int64_t window = 0;  // SAM: tokens along a side of an attention window
  std::vector<bool> global_blocks;  // SAM: blocks that attend to everything
};

/// Pixel statistics on the 0..1 scale.
struct PixelStats {
  std::array<double, 3> mean{0.48145466, 0.4578275, 0.40821073};
  std::array<double, 3> std{0.26862954, 0.26130258, 0.27577711};
};

/// How the picture as a whole becomes a tower's input: what a checkpoint's
/// configuration says, and CLIP's own way without one. Lengths in pixels, 0 for
/// the tower's image_size.
struct Preprocess {
  enum class Resize {
    kNone,      // its own size
    kShortest,  // short side to `side`
    kLongest,   // long side to `side`
    kSquash,    // both sides to `side`
    kPatches,   // its shape, as large as `max_patches` whole patches allow
  };
  Resize resize = Resize::kShortest;
  int64_t side = 0;
  bool bicubic = true;  // or bilinear; Pillow's, both antialiased
  /// Then the middle `crop_side` x `crop_side`, with `fill` around what is
  /// smaller. Without, the picture must be square by now, but for kPatches.
  bool crop = true;
  int64_t crop_side = 0;
  /// Half a pixel at the upper left of the middle: rounded to even as
  /// torchvision does, or cut as transformers does.
  bool crop_rounds = true;
  std::array<uint8_t, 3> fill{0, 0, 0};
  /// Of kPatches; a patch has `patch_side` x `patch_side` pixels.
  int64_t max_patches = 0;
  int64_t patch_side = 0;
};

/// ImageNet's, which every vision foundation model here was trained with.
inline constexpr PixelStats kImageNetPixels{{0.485, 0.456, 0.406},
                                            {0.229, 0.224, 0.225}};

struct ModelConfig {
  const FamilySpec* family = nullptr;  // one of a list that outlives the model
  VisionConfig vision;
  std::optional<PoolingHeadConfig> pooling_head;
  FoundationConfig foundation;     // vision foundation models only
  std::optional<TextConfig> text;  // absent: vision-only file
  PixelStats pixels;
  Preprocess preprocess;
};

/// What weights cannot tell, given by the caller (`loadModel(..., {config})`).
struct ConfigOverrides {
  /// What the checkpoint is called where its path does not say, such as the hub
  /// repository of a cached download. DeCLIP's names hold the dense mode.
  std::optional<std::string> name;
  std::optional<int64_t> head_width;
  std::optional<int64_t> text_heads;
  std::optional<int64_t> decoder_heads;  // of SAM's mask decoder
  std::optional<Activation> activation;
  std::optional<Activation> text_activation;
  std::optional<double> layer_norm_eps;
  std::optional<PixelStats> pixels;
};

}  // namespace declip
