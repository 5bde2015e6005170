#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "checkpoint/internal_names.h"
#include "checkpoint/key_map.h"
#include "declip/cat_seg.h"
#include "declip/checkpoint.h"
#include "declip/config.h"
#include "declip/dense.h"
#include "declip/detector.h"
#include "declip/mask_decoder.h"
#include "declip/refusal.h"
#include "files/weight_files.h"

namespace declip {

class InitialWeights;
class ShapeChecker;
class VisionEncoder;
class VisionTower;
class Weights;
struct Layout;
struct Numerics;

/// A file that has been told, when its configuration is read.
struct CheckpointSource {
  const WeightFiles& files;
  const Layout& layout;
  const ConfigOverrides& overrides;
  TowerTensors& weights;  // a reader may complete them
};

/// One way in which files of a family name their tensors.
struct Layout {
  std::string_view format;  // `info.format`, unless `read` knows better
  KeyMap key_map;
  /// Fills config, tokenizer and notes, from JSON files beside the weights,
  /// shapes, and what the caller overrides.
  /// Throws Error(kWeights), or Error(kInvalidArg) for an override that does
  /// not fit.
  void (*read)(const CheckpointSource& source, Checkpoint& out);
};

/// What a tensor's name tells of a file.
struct Signature {
  std::string_view key;              // pattern of match_key()
  const Layout* layout = nullptr;    // of a file that has such a tensor;
  const Refusal* refusal = nullptr;  // or why it is not run
  std::string_view also = "";        // pattern of a second tensor it must have
  std::string_view without = "";     // and of one that it must not have
  /// What whole models have in front of all names; "" among them.
  std::span<const std::string_view> prefixes = {};
};

/// The text side of a family.
struct TextSide {
  void (*check_shapes)(ShapeChecker& check, const TextConfig& config);
};

/// SAM's prompt encoder and mask decoder as a file has them, under the
/// package's own names (families/sam_decoder_file.h).
struct MaskDecoderFile {
  MaskDecoderConfig config;
  std::map<std::string, at::Tensor> tensors;
  /// As Checkpoint::check_finite.
  std::function<void(const std::string& name, const at::Tensor&)> check_finite;
  std::unique_ptr<MaskDecoder> (*make)(const MaskDecoderConfig& config,
                                       const Weights& weights,
                                       const Numerics& numerics);
};

/// F-ViT's heads as a file has them, under mmdetection's names
/// (detect/detector_file.h).
struct DetectorFile {
  DetectorConfig config;
  std::map<std::string, at::Tensor> tensors;
  /// As Checkpoint::check_finite.
  std::function<void(const std::string& name, const at::Tensor&)> check_finite;
  std::unique_ptr<Detector> (*make)(const DetectorConfig& config,
                                    const Weights& weights,
                                    const Numerics& numerics);
};

/// CAT-Seg's head as a file has it, under the authors' names without their
/// prefix (cat_seg/cat_seg_file.h).
struct CatSegFile {
  CatSegConfig config;
  std::map<std::string, at::Tensor> tensors;
  /// As Checkpoint::check_finite.
  std::function<void(const std::string& name, const at::Tensor&)> check_finite;
  std::unique_ptr<CatSeg> (*make)(const CatSegConfig& config,
                                  const Weights& weights,
                                  const Numerics& numerics);
};

/// What training asks of a family's image tower.
struct TrainingSide {
  std::string_view block_prefix;  // of the tensors of block N: "visual.blocks."
  /// Groups that are unlocked after all blocks, and which of them a tensor
  /// outside the blocks belongs to; -1: it never learns.
  int64_t stem_groups;
  int64_t (*stem_group)(std::string_view name);
  /// What the last block of DeCLIP's student has no use for; `part` is a name
  /// behind the block's number.
  bool (*is_unused)(std::string_view part, DenseMode mode);
  bool learns_logit_scale;  // with CLIPSelf and region-text
  double beta2, epsilon;    // of AdamW, in the papers' programs
  KeyMap exported_names;
  std::unique_ptr<VisionTower> (*make_tower)(const VisionConfig& config,
                                             const Weights& weights,
                                             const Numerics& numerics);
  void (*make_initial)(InitialWeights& out, const VisionConfig& config);
  int64_t head_multiple;  // channels of a head come in multiples of this
};

/// A family of checkpoints. All of it is constant data and functions without
/// state.
struct FamilySpec {
  std::string_view name;   // `info.family`
  std::string_view title;  // what people call its files, for messages
  /// In order; the first that a file has decides what it is.
  std::span<const Signature> signatures;
  /// Demands the image tower's tensors.
  void (*check_shapes)(ShapeChecker& check, const ModelConfig& config);
  bool (*has_swiglu)(const ModelConfig& config);
  std::unique_ptr<VisionEncoder> (*make_encoder)(const ModelConfig& config,
                                                 const Weights& weights,
                                                 const Numerics& numerics);
  /// The modes that its encoder has; none: patches are made in one way.
  std::span<const DenseMode> (*dense_modes)() = nullptr;
  /// ProxyCLIP gives it its own picture size, whatever CLIP's is.
  bool proxies_native_size = false;
  /// Its encoder gives q + k of the last block, see ProxyPart.
  bool gives_query_key = false;
  const TextSide* text = nullptr;          // none: features of no text space
  const TrainingSide* training = nullptr;  // none: it cannot be trained
};

}  // namespace declip
