#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "declip/call.h"
#include "declip/dense.h"
#include "declip/rle.h"
#include "declip/size.h"

namespace declip {

class Model;

/// What a file tells of F-ViT's heads (Wu et al., CLIPSelf, arXiv:2310.01403,
/// section 4; github.com/wusize/CLIPSelf, folder F-ViT). The first half comes
/// from the tensors.
struct DetectorConfig {
  int64_t channels = 0;    // of the feature pyramid
  int64_t embed_dim = 0;   // of words
  int64_t hidden = 0;      // of the box head's linear layers
  int64_t patch = 0;       // of the tower, in pixels
  int64_t classes = 0;     // stored, without the background
  bool masks = false;      // has a mask head
  bool rpn_norm = false;   // batch norms in the RPN (the LVIS variant)
  double temperature = 0;  // tau_det, as it was learned

  /// What the released configurations have for such a file, and what files of
  /// this package say themselves.
  int64_t side = 0;                       // of the network's square, in pixels
  std::vector<int64_t> blocks;            // taken, counted from 0
  DenseMode mode = DenseMode::kMaskClip;  // of the last block
  std::vector<std::string> names;  // of the classes; empty: the file has none
  std::vector<std::string> novel;  // of them those that were not learned
  /// What the file says that its scores are made with (DetectorQuestion);
  /// unset: it says nothing.
  std::optional<double> alpha, beta, vote_temperature;

  /// 4 levels of the tower's maps and one below: patch / 4, / 2, 1, x 2, x 4.
  std::vector<double> strides() const;
};

/// How a picture is seen. What is unset takes the detector's own value.
struct DetectorInput {
  std::optional<int64_t> side;
  std::vector<int64_t> blocks;         // empty: the detector's
  std::optional<DenseMode> mode;       // of the last block, for the last map
  std::optional<DenseMode> vote_mode;  // and for what votes; unset: `mode`
  int64_t per_level = 2000;            // candidates of a level
  int64_t proposals = 1000;            // kept of all
  double proposal_nms = 0.7;
};

/// What is looked for.
struct DetectorQuestion {
  /// float32 [W, E], unit length, on any device; undefined: the stored ones.
  at::Tensor words;
  /// int64 [W]: the class of every word, K for words of the background, which
  /// must have one; undefined: word i is of class i, the last is the
  /// background. The best word of a class is the class.
  at::Tensor word_class;
  /// bool [K]: classes that were not learned; undefined: none.
  at::Tensor novel;
  double alpha = 0.1;  // share of the vote for base classes and background
  double beta = 0.8;   // and for novel ones
  double vote_temperature = 75;       // tau_vlm
  std::optional<double> temperature;  // tau_det; unset: the learned one
  double score_threshold = 0.01;
  double nms_threshold = 0.4;
  int64_t limit = 100;
  bool masks = false;
};

/// What was found, best first; on the CPU.
struct DetectedObjects {
  at::Tensor boxes;        // float32 [N, 4], xyxy in pixels of the picture
  at::Tensor scores;       // float32 [N]
  at::Tensor labels;       // int64 [N]
  at::Tensor proposals;    // int64 [N], rows of DetectorView::proposals
  std::vector<Rle> masks;  // N of the picture's size, or none
};

/// A picture as a detector has seen it, for any words. Tensors are float32 on
/// the model's device.
struct DetectorView {
  Size picture, input;           // as it came; resized, before padding
  std::vector<float> scale;      // input / picture: x, y
  std::vector<at::Tensor> maps;  // F0..F3 [1, C, h, w]; only with a mask head
  at::Tensor proposals;          // [P, 4] xyxy in pixels of the input
  at::Tensor proposal_scores;    // [P]
  at::Tensor embeddings;  // [P, E] of the box head, unit length (0 / 0 is NaN)
  at::Tensor votes;       // [P, E] of the frozen model, unit length
  at::Tensor deltas;      // [P, 4], not yet times their deviations

  int64_t bytes() const;
};

/// F-ViT's heads on a tower. Immutable: calls may overlap.
class Detector {
 public:
  virtual ~Detector() = default;
  const DetectorConfig& config() const { return config_; }

  /// The stored words: float32 [K + 1, E] of unit length, the background last,
  /// on the model's device.
  virtual at::Tensor words() const = 0;

  /// pixels as rgb_pixels() takes them. One pass through the model's tower.
  /// Throws Error(kInvalidArg) for a side that is no multiple of the patch or
  /// blocks that there are not, Error(kWeights) for features that are not
  /// finite, Error(kAborted).
  virtual DetectorView encode(const Model& model,
                              const at::Tensor& pixels,
                              const DetectorInput& input,
                              const Call& call) const = 0;
  /// Throws Error(kInvalidArg) for words of another space, Error(kAborted).
  virtual DetectedObjects detect(const DetectorView& view,
                                 const DetectorQuestion& question,
                                 const Call& call) const = 0;

 protected:
  explicit Detector(DetectorConfig config) : config_(std::move(config)) {}
  DetectorConfig config_;
};

}  // namespace declip
