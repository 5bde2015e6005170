#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "declip/call.h"
#include "declip/cat_seg.h"
#include "declip/checkpoint.h"
#include "declip/process_group.h"
#include "declip/train.h"

namespace declip {

/// How CAT-Seg is trained: its head, and of the towers what attends. Defaults
/// are those of the released configuration, but for sizes that a student which
/// is a CAT-Seg brings itself.
struct CatSegTrainOptions {
  /// Of a new head; a checkpoint that has one keeps its own sizes. What is 0 or
  /// empty is as released (by the tower's width and depth).
  CatSegConfig head;

  /// Token ids [T, L] of the classes' prompts, one prompt a class.
  at::Tensor tokens;
  std::vector<std::string> classes;  // T names, for the exported file

  /// 'attention': q and v of both towers, on EVA the text tower's whole
  /// in-projection; 'none': the head alone.
  std::string clip = "attention";
  double clip_rate = 0.01;  // share of the learning rate that they get
  int64_t pooling = 2;      // before attention over words
  /// Words that a part of a step learns from: those that its labels have, and
  /// others at random up to this many; 0, as published: all of them.
  int64_t sampled_words = 0;

  Schedule schedule;
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;
  double weight_decay = 1e-4;  // 0 for norms
  double clip_norm = 0.01;
  double ema_decay = 0;
  bool checkpoint_activations = false;

  std::string device = "cpu";
  std::string dtype = "float32";  // 'bfloat16' for the products
  uint64_t seed = 0;
};

struct CatSegBatch {
  at::Tensor images;  // [B, 3, S, S], normalised with CLIP's statistics
  /// int64 or uint8 [B, H, W]: class 0..T-1, anything else: to be ignored,
  /// which the loss takes as no class's (its target is 0 for all).
  at::Tensor labels;
};

/// CAT-Seg in training, as Trainer is for towers. Not for several threads at a
/// time. Loss: `mask`, the binary cross-entropy over all pixels and classes.
class CatSegTrainer {
 public:
  /// `student` has an image and a text tower, or is a CAT-Seg that learns
  /// further. Of a group, all start from rank 0's head.
  /// Throws as Trainer's.
  CatSegTrainer(const Checkpoint& student,
                const CatSegTrainOptions& options,
                std::shared_ptr<ProcessGroup> group = nullptr,
                const Call& call = {});
  ~CatSegTrainer();

  const CatSegTrainOptions& options() const;
  const CatSegConfig& config() const;
  int64_t step_count() const;
  /// Under the names that they are exported with.
  std::vector<std::string> trainable() const;
  std::map<std::string, at::Tensor> parameters() const;
  int64_t bytes() const;

  /// As Trainer::step() and gradients().
  TrainStep step(const std::vector<CatSegBatch>& parts, const Call& call);
  TrainStep gradients(const std::vector<CatSegBatch>& parts,
                      std::map<std::string, at::Tensor>& out,
                      const Call& call);

  bool any_rank(bool flag, const Call& call = {}) const;
  void save(const std::string& path) const;
  void load(const std::string& path);
  /// The whole model, which loadModel() takes: a safetensors file (or a folder
  /// as Trainer's) with the authors' names (`sem_seg_head.predictor.*`,
  /// `upsample1.*`), and metadata `declip.catSeg`: JSON of what CatSegConfig
  /// has from `side` on.
  void export_checkpoint(const std::string& path, bool average = false) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace declip
