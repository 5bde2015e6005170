#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "declip/call.h"
#include "declip/rle.h"
#include "declip/size.h"

namespace declip {

class Model;

/// What weights tell of a SAM's prompt encoder and mask decoder, but for the
/// heads. Sizes in channels unless said.
struct MaskDecoderConfig {
  int64_t embed_dim = 0;  // C: of the picture's features and all tokens
  int64_t grid = 0;       // G: features along a side
  int64_t side = 0;       // S: pixels along a side of the network's square
  int64_t layers = 0;     // of the two-way transformer
  int64_t heads = 8;
  int64_t masks = 0;        // masks of a prompt: one, and those of `multimask`
  int64_t mask_hidden = 0;  // of a mask prompt before the last convolution
};

/// A picture as SAM has seen it, for any number of prompts. `encode_for_masks`
/// and MaskDecoder::prepare() make it; its tensors are float32 on the model's
/// device.
struct SamImage {
  at::Tensor embedding;  // [C, G, G], what the neck gave
  Size input;            // of the resized picture in the square, h x w
  Size picture;          // of the picture as it came, H x W

  // Of prompts without a mask, the same for all: rows are places of the grid.
  at::Tensor image;      // [G * G, C]: features and the "no mask" embedding
  at::Tensor placed;     // the same and their position codes
  at::Tensor keys;       // [G * G, C']: layer 0, what tokens look at
  at::Tensor values;     // [G * G, C']
  at::Tensor questions;  // [G * G, C']: layer 0, what places ask the tokens

  int64_t bytes() const;
};

/// Prompts of one picture, B of them. Coordinates in pixels of the picture, x
/// before y, (0, 0) is its upper left corner. All are on the CPU.
struct MaskPrompts {
  /// float64 [B, N, 2], or undefined.
  at::Tensor points;
  /// int64 [B, N]: 1 inside, 0 outside, -1 no point. Others count as points
  /// without a meaning, as in the authors' code.
  at::Tensor labels;
  /// float64 [B, 4]: x1, y1, x2, y2; or undefined.
  at::Tensor boxes;
  /// float32 [B, 1, 4G, 4G]: logits that an earlier call gave; or undefined.
  at::Tensor masks;

  /// How many prompts they are; 1 without any.
  int64_t count() const;
};

/// Masks of B prompts, M of each: mask 0 alone, then those of `multimask`.
struct MaskLogits {
  at::Tensor low_res;  // float32 [B, M, 4G, 4G], above 0 is inside
  at::Tensor iou;      // float32 [B, M]: predicted overlap with the true mask
};

/// Which masks of a prompt are wanted.
enum class MaskChoice {
  kSingle,  // mask 0
  kMulti,   // masks 1..M-1
  kAll,
  /// One of each: that of 1..M-1 with the highest predicted overlap where a
  /// prompt is ambiguous (no mask and no box, and one point or none), else mask
  /// 0. What the authors recommend; masks_at() alone.
  kBest,
};

/// SAM's prompt encoder and mask decoder. Immutable: calls may overlap.
/// Kirillov et al., arXiv:2304.02643, appendix A.
class MaskDecoder {
 public:
  virtual ~MaskDecoder() = default;

  const MaskDecoderConfig& config() const { return config_; }

  /// What all prompts of a picture share: embedding [C, G, G] or [1, C, G, G]
  /// on the decoder's device.
  virtual SamImage prepare(const at::Tensor& embedding,
                           Size input,
                           Size picture) const = 0;

  /// Prompts go through a few at a time, so that memory stays bounded: some
  /// 30 MB with the published sizes, beside the result. Results are on the
  /// decoder's device.
  /// Throws Error(kInvalidArg) for prompts that do not fit each other or the
  /// model, Error(kAborted).
  virtual MaskLogits decode(const SamImage& image,
                            const MaskPrompts& prompts,
                            MaskChoice choice,
                            const Call& call) const = 0;

 protected:
  explicit MaskDecoder(const MaskDecoderConfig& config) : config_(config) {}
  MaskDecoderConfig config_;
};

/// The picture within the square: its longer side becomes `side`, rounded half
/// up. Throws Error(kInvalidArg) where a side would have no pixels.
Size sam_input_size(Size picture, int64_t side);

/// Pixels [H, W, 1 | 3 | 4] as SAM's encoder takes them, float32
/// [1, 3, S, S]: Pillow's bilinear filter, normalised, zeros at the right and
/// below. `pixels` of the model's configuration.
at::Tensor sam_input(const at::Tensor& pixels, const Model& model);

/// The picture through the encoder, and what its prompts share.
/// Throws Error(kWeights) where the model has no mask decoder.
SamImage encode_for_masks(const Model& model,
                          const at::Tensor& pixels,
                          const Call& call);

/// Logits of one mask, float32 [4G, 4G], in the size of the picture: resized to
/// the square, cut, resized once more. float32 [H, W] on the same device.
at::Tensor full_size_logits(const at::Tensor& low_res,
                            const SamImage& image,
                            int64_t side);

/// The mask that the authors' exported model answers with: of up to two tokens
/// (points, padding, corners of boxes) that of 1..M-1 with the highest `iou`,
/// the first of equals; of more, mask 0. iou float32 [M] on the CPU.
int64_t choose_mask(const at::Tensor& iou, int64_t tokens);

/// What masks_at() gives of every prompt.
struct MaskAnswer {
  std::vector<Rle> masks;  // [B * M], prompt after prompt
  at::Tensor low_res;      // float32 [B, M, 4G, 4G] on the CPU
  at::Tensor iou;          // float32 [B, M] on the CPU
};

/// Masks of prompts in the size of the picture, logits above 0.
MaskAnswer masks_at(const Model& model,
                    const SamImage& image,
                    const MaskPrompts& prompts,
                    MaskChoice choice,
                    const Call& call);

}  // namespace declip
