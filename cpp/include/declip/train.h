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

namespace declip {

/// What a model is trained for.
enum class Objective {
  kClipSelf,     // regions imitate crops: CLIPSelf, arXiv:2310.01403
  kDeClip,       // the same, plus relations of a foundation model's features:
                 // DeCLIP, arXiv:2505.04410
  kRegionText,   // regions against noun embeddings, CLIPSelf's RegionCLIP form
  kContrastive,  // pictures against captions: CLIP, arXiv:2103.00020
};

/// Throws Error(kInvalidArg) for a name that is none of 'clipself', 'declip',
/// 'region-text', 'contrastive'.
Objective objective_from(const std::string& name);
const char* objective_name(Objective objective);

/// The loss of regions against classes: a binary cross-entropy per class
/// (CLIPSelf's RegionCLIP form), or one cross-entropy over all of them, as CLIP
/// has between captions.
enum class RegionLoss { kSigmoid, kSoftmax };

/// Throws Error(kInvalidArg) for a name that is neither 'sigmoid' nor
/// 'softmax'.
RegionLoss region_loss_from(const std::string& name);

/// How the learning rate goes over `total` steps. All warm up linearly.
struct Schedule {
  enum class Kind { kConstant, kCosine, kConstantCooldown, kStep };
  Kind kind = Kind::kCosine;
  double rate = 1e-5;
  int64_t warmup = 1000;        // steps
  int64_t total = 0;            // steps; not needed by kConstant
  int64_t cooldown = 0;         // last steps, of kConstantCooldown
  double cooldown_power = 1.0;  // of the polynomial
  double cooldown_end = 0.0;    // rate at its end
  /// kStep: from each of these steps on the rate is `decay` times what it was.
  std::vector<int64_t> milestones;
  double decay = 0.1;
  /// Share of the rate that the warm-up begins with, which then reaches the
  /// whole rate at step `warmup` (mmcv's linear warm-up, with the decay of
  /// kStep in it). Unset: (t + 1) / warmup, as CLIPSelf's program.
  std::optional<double> warmup_from;
};

/// Learning rate of step t = 0, 1, ... CLIPSelf and DeCLIP, training/scheduler;
/// kStep and warmup_from: mmcv 1.x, hooks/lr_updater (F-ViT).
/// Throws Error(kInvalidArg) for a schedule that cannot be.
double learning_rate(const Schedule& schedule, int64_t step);

/// What is unset takes the value that the papers' programs use for the model.
struct TrainOptions {
  Objective objective = Objective::kClipSelf;

  /// DeCLIP: kQq, kKk, kVv, kCsa or kAll, both of the last block's attention
  /// and of the context that imitates the foundation model.
  DenseMode mode = DenseMode::kQq;
  double content_weight = 1.0;
  double context_weight = 0.1;  // the programs' value; the paper has 0.25
  /// DeCLIP: one similarity per head instead of one over all channels. The
  /// program has it for kCsa and kAll, which is the default.
  std::optional<bool> context_per_head;

  /// Region-text: unit noun embeddings [C, E], and how many classes a loss is
  /// made of at least.
  at::Tensor class_features;
  int64_t least_classes = 100;
  RegionLoss region_loss = RegionLoss::kSigmoid;

  /// Contrastive: weight of the regions' loss, for batches that have boxes.
  double region_weight = 1.0;

  /// Last groups of the image tower that learn (train/parameters.h); unset:
  /// every block, and for kContrastive every parameter.
  std::optional<int64_t> unlocked_groups;
  bool train_text = true;  // kContrastive: the text tower and the logit scale

  Schedule schedule;
  std::optional<double> beta1, beta2, epsilon;
  double weight_decay = 0.1;
  double clip_norm = 0;  // L2 norm of all gradients; 0: not clipped
  double ema_decay = 0;  // per step, e.g. 0.9999; 0: no average is kept

  std::string device = "cpu";
  /// 'float32', or 'bfloat16' for the products, with parameters, residual
  /// stream, norms and losses in float32.
  std::string dtype = "float32";
  /// Blocks are computed again on the way back instead of kept: the memory of
  /// one block and of the tokens between blocks.
  bool checkpoint_activations = false;
  uint64_t seed = 0;
};

/// What a step, or a part of one, learns from. Pictures are normalised float
/// tensors of any device.
struct TrainBatch {
  at::Tensor images;  // [B, 3, S, S]
  /// [B, M, 5]: x1, y1, x2, y2 as shares of the padded square, then a flag that
  /// is above 0.5 for boxes that are there. kContrastive can do without.
  at::Tensor boxes;
  at::Tensor crops;  // [K, 3, s, s] of the K boxes, pictures in order
  /// [B, Cv, h, w]; undefined: no context loss. Alone may be of inference mode.
  at::Tensor vfm_features;
  at::Tensor labels;         // [B, M], rows of class_features or region_tokens
  at::Tensor tokens;         // kContrastive: [B, L], one caption per picture
  at::Tensor region_tokens;  // kContrastive with boxes: [C, L], one per class
};

struct TrainStep {
  int64_t step = 0;                      // steps done, this one included
  std::map<std::string, double> losses;  // by name, times their weights
  double total = 0;                      // their sum, which is minimized
  double gradient_norm = 0;              // before clipping
  double learning_rate = 0;
};

/// A model in training. Not for several threads at a time.
///
/// With a process group, one of several that learn the same: every rank makes
/// the same calls with batches of its own. A step is then that of one process
/// with the parts of all ranks, part i of every rank before part i + 1: losses
/// and gradients are means over ranks x parts, whatever the boxes and pictures
/// in each. Only kContrastive looks beyond a part: its loss is over the
/// pictures of all ranks' part i, of which each must have as many, as one
/// process with the pictures of all ranks in one part (open_clip's
/// gather_with_grad without local_loss); its regions' loss stays within a part.
class Trainer {
 public:
  /// `pretrained` is what crops are encoded with and what ensembling mixes in;
  /// without it that is the student as it comes. Of a group, all start from
  /// rank 0's student.
  /// Throws Error(kInvalidArg) for options that do not fit the model or each
  /// other, Error(kDevice), Error(kAborted), GroupError.
  Trainer(const Checkpoint& student,
          const std::optional<Checkpoint>& pretrained,
          const TrainOptions& options,
          std::shared_ptr<ProcessGroup> group = nullptr,
          const Call& call = {});
  ~Trainer();

  const TrainOptions& options() const;
  const ModelConfig& config() const;
  int64_t step_count() const;
  /// Names of what learns, in order; not all need get gradients.
  std::vector<std::string> trainable() const;
  /// Current values under the checkpoint's names, all of the student's. They
  /// change with the next step.
  std::map<std::string, at::Tensor> parameters() const;
  /// Of the parameters, their moments and their average.
  int64_t bytes() const;

  /// One update from the mean loss of `parts`, whose gradients are accumulated
  /// one after the other. If it fails, cancelled or with Error(kDiverged)
  /// because a loss or gradient is not finite, nothing has changed, and with a
  /// group no other rank has made the step: they get GroupError. All can go on
  /// unless the group itself broke, or a cancelled rank has waited for the
  /// others longer than its patience.
  TrainStep step(const std::vector<TrainBatch>& parts, const Call& call);

  /// Losses and gradients of that update, which is not made. Parameters that
  /// get none are left out.
  TrainStep gradients(const std::vector<TrainBatch>& parts,
                      std::map<std::string, at::Tensor>& out,
                      const Call& call);

  /// Whether any rank of the group says so, e.g. that it was asked to stop.
  bool any_rank(bool flag, const Call& call = {}) const;

  /// The whole state as one safetensors file, written whole or not at all. A
  /// trainer of the same model and options that loads it goes on bit for bit.
  /// Ranks of a group have the same state: one saves, all load.
  void save(const std::string& path) const;
  /// Throws Error(kWeights) if the file is no such state or belongs to another
  /// model; then nothing has changed.
  void load(const std::string& path);

  /// The weights to use: alpha * student + (1 - alpha) * pretrained of every
  /// tensor (the papers' ensembling; 1: the student alone), of the student's
  /// average if `average`. In open_clip's layout: a safetensors file if `path`
  /// ends so, else a folder that also says what weights cannot tell.
  void export_checkpoint(const std::string& path,
                         double alpha = 1.0,
                         bool average = false) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace declip
