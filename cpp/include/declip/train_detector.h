#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "declip/call.h"
#include "declip/checkpoint.h"
#include "declip/dense.h"
#include "declip/process_group.h"
#include "declip/size.h"
#include "declip/train.h"

namespace declip {

/// How F-ViT's heads are trained (CLIPSelf, folder F-ViT, on mmdetection 2.x):
/// the tower stays as it is. Defaults are those of the released configuration
/// for COCO; LVIS's differ where it is said.
struct DetectorTrainOptions {
  /// Of new heads; a checkpoint that is a detector keeps its own.
  int64_t channels = 256, hidden = 0 /* the words' */, convolutions = 4;
  bool masks = false;     // LVIS: true
  bool rpn_norm = false;  // LVIS: true
  int64_t side = 640;
  std::vector<int64_t> blocks;  // taken; empty: by depth
  DenseMode mode = DenseMode::kMaskClip;

  std::vector<std::string> classes;  // K names
  std::vector<std::string> novel;    // of them those that are not learned
  /// Features [K + 1, E], the background's last, brought to unit length;
  /// undefined: those of a checkpoint that is a detector.
  at::Tensor words;
  double temperature = 50;         // tau_det at the start
  double background_weight = 0.6;  // LVIS: 0.9

  int64_t rpn_samples = 256;
  double rpn_positive_share = 0.5;
  double rpn_positive_iou = 0.7, rpn_negative_iou = 0.3, rpn_least_iou = 0.3;
  int64_t per_level = 2000, proposals = 1000;
  double proposal_nms = 0.7;
  int64_t box_samples = 512;
  double box_positive_share = 0.25, box_iou = 0.5;
  bool low_quality_boxes = false;  // LVIS: true

  Schedule schedule;
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;
  double weight_decay = 0.1;  // of all parameters
  double clip_norm = 1;
  double ema_decay = 0;
  double norm_momentum = 0.1;

  /// What an exported detector says of its vote; unset: nothing.
  std::optional<double> alpha, beta, vote_temperature;

  std::string device = "cpu";
  std::string dtype = "float32";  // 'bfloat16' for the products
  uint64_t seed = 0;
};

/// A picture with what is to be found in it; all on the CPU or the device.
struct DetectorSample {
  Size size;          // of the picture in the square, before padding
  at::Tensor boxes;   // float32 [n, 4] xyxy in pixels of the square
  at::Tensor labels;  // int64 [n]
  at::Tensor masks;   // uint8 [n, S, S]; undefined without a mask head
  /// Which samplers' choices are drawn for it; see DetectorBatch::choices.
  uint64_t seed = 0;
};

struct DetectorBatch {
  /// [B, 3, S, S], normalised with ImageNet's statistics, 0 right and below; or
  /// undefined, with what tower_maps() made of them.
  at::Tensor images;
  std::vector<at::Tensor> maps;  // four of [B, C, G, G], as the blocks gave
  std::vector<DetectorSample> samples;
  /// Replayed choices of the samplers instead of drawn ones: for each picture
  /// rows of anchors and rows of [true boxes, proposals], and the proposals
  /// [P, 4] themselves if they are not to be made. For tests.
  struct Choice {
    at::Tensor proposals;
    at::Tensor anchors_positive, anchors_negative;
    at::Tensor boxes_positive, boxes_negative;
  };
  std::vector<Choice> choices;
};

/// F-ViT's heads in training, as Trainer is for towers: one step is one update,
/// ranks make the same steps with batches of their own and share the statistics
/// of every batch norm. Not for several threads at a time.
class DetectorTrainer {
 public:
  /// `student` has a tower, or is a detector whose heads are learned further.
  /// Of a group, all start from rank 0's heads.
  /// Throws as Trainer's.
  DetectorTrainer(const Checkpoint& student,
                  const DetectorTrainOptions& options,
                  std::shared_ptr<ProcessGroup> group = nullptr,
                  const Call& call = {});
  ~DetectorTrainer();

  const DetectorTrainOptions& options() const;
  int64_t step_count() const;
  /// All of the heads but the classic `fc_cls`, which no loss reaches.
  std::vector<std::string> trainable() const;
  /// Under mmdetection's names.
  std::map<std::string, at::Tensor> parameters() const;
  int64_t bytes() const;

  /// The frozen tower's maps of normalised pictures, one picture at a time, so
  /// that they do not depend on the batch: they may be kept.
  std::vector<at::Tensor> tower_maps(const at::Tensor& images,
                                     const Call& call) const;

  /// As Trainer::step() and gradients(), but for the means: part i of all ranks
  /// is one batch, over whose sampled anchors, boxes and masks losses are
  /// averaged and whose statistics norm it; a step is the mean of its parts.
  /// Losses: rpn_cls, rpn_bbox, cls, bbox, and mask with a mask head.
  /// Throws Error(kInvalidArg) for a batch that cannot be learned from: boxes
  /// outside the square or without area, labels of novel classes.
  TrainStep step(const std::vector<DetectorBatch>& parts, const Call& call);
  TrainStep gradients(const std::vector<DetectorBatch>& parts,
                      std::map<std::string, at::Tensor>& out,
                      const Call& call);

  bool any_rank(bool flag, const Call& call = {}) const;
  void save(const std::string& path) const;
  void load(const std::string& path);
  /// The whole detector, tower and text tower included, as one safetensors
  /// file (or in a folder as Trainer's), which loadModel() takes: mmdetection's
  /// names, and metadata `declip.detector`: JSON of DetectorConfig's last five.
  void export_checkpoint(const std::string& path, bool average = false) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace declip
