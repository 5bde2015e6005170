#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "declip/config.h"

namespace declip {

/// Families of checkpoints, in the order in which a file is compared with them.
using Families = std::span<const FamilySpec* const>;

/// Those of this package.
Families all_families();

/// Which tokenizer makes a checkpoint's texts.
enum class TokenizerKind {
  kNone,      // features of no text space
  kOpenAi,    // CLIP's vocabulary; special tokens as OpenAI spells them
  kOpenClip,  // the same vocabulary; special tokens as open_clip spells them
  kFolder,    // the files beside the weights, CLIP's vocabulary without them
  kSiglip,    // the folder's, cleaned as transformers does for SigLIP
  kSiglip2,   // the folder's, lower-cased as SigLIP 2 was trained
  kOpenClipFolder,  // the folder's, as open_clip_config.json says (text_cfg)
  kXlmV,            // the folder's, as MetaCLIP 2 has it
  kTips,            // the folder's, as TIPSv2 has it
};

class MappedFile;
struct CatSegFile;
struct DetectorFile;
struct MaskDecoderFile;

/// A checkpoint in the package's own naming (docs/architecture.md): towers
/// under `visual.` and `text.`, plus `logit_scale`. Tensors keep the dtype they
/// have in the file; tensors of safetensors files alias the memory map, which
/// lives as long as any of them.
struct Checkpoint {
  std::string path;
  std::string format;  // for people: 'openai-jit', 'openai', 'open_clip',
                       // 'huggingface', 'eva-clip', 'trainer'
                       // (DeCLIP/CLIPSelf epoch file)...
  TokenizerKind tokenizer = TokenizerKind::kNone;
  ModelConfig config;
  std::map<std::string, at::Tensor> tensors;
  /// What belongs to no tower, such as a detector's heads, as the file has it.
  std::map<std::string, at::Tensor> others;
  /// SAM's prompt encoder and mask decoder (checkpoint/family.h); none where
  /// the file has none.
  std::shared_ptr<const MaskDecoderFile> mask_decoder;
  /// Of a file whose mask decoder is not whole: what is wrong with it.
  std::string mask_decoder_fault;
  /// A detector's heads (checkpoint/family.h); none where the file has none.
  std::shared_ptr<const DetectorFile> detector;
  /// Of a file whose heads are not whole: what is wrong with them.
  std::string detector_fault;
  /// CAT-Seg's head (checkpoint/family.h); none where the file has none.
  std::shared_ptr<const CatSegFile> cat_seg;
  /// Of a file whose head is not whole: what is wrong with it.
  std::string cat_seg_fault;
  /// Names that a file gives the classes of its heads: `CLASSES` of
  /// mmdetection's `meta`.
  std::vector<std::string> class_names;
  std::string stored_dtype;      // 'float16', 'float32', 'bfloat16' or 'mixed'
  std::optional<int64_t> epoch;  // trainer files
  std::optional<std::string> dense_mode;  // from the file's name (DeCLIP)
  std::optional<std::string> license;     // from safetensors metadata
  std::vector<std::string> notes;  // assumptions a reader should know, e.g.
                                   // "activation assumed quick_gelu"
  /// Throws Error(kWeights) that calls a tensor by its name in the file if it
  /// holds NaN or infinity. Tensors are looked at when they are used, not
  /// while the file is opened.
  std::function<void(const std::string& name, const at::Tensor&)> check_finite;
  /// What tensors may alias, while any does: see check_files().
  std::vector<std::weak_ptr<const MappedFile>> files;
};

/// Reads a checkpoint file or Hugging Face folder without executing anything
/// from it. `path` may be a folder holding config.json and weights.
/// Throws Error(kWeights) naming file, key, expected and found; Error(kIo) when
/// the file cannot be opened.
Checkpoint load_checkpoint(const std::string& path,
                           const ConfigOverrides& overrides = {},
                           Families families = all_families());

}  // namespace declip
