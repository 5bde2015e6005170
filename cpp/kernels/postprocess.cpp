#include "kernels/postprocess.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "declip/error.h"
#include "declip/size.h"

namespace declip {
namespace {

constexpr int64_t kMaxClasses = 65536;

[[noreturn]] void refuse(const std::string& message) {
  throw Error(ErrorCode::kInvalidArg, message);
}

/// Number of classes C; every class 0..C-1 must have a word.
int64_t count_classes(const std::vector<int64_t>& word_class) {
  if (word_class.empty())
    refuse("wordClass must name the class of at least one word.");
  const auto [lowest, highest] =
      std::minmax_element(word_class.begin(), word_class.end());
  if (*lowest < 0 || *highest >= kMaxClasses) {
    refuse("wordClass must hold classes 0..65535, received " +
           std::to_string(*lowest < 0 ? *lowest : *highest) + ".");
  }
  std::vector<bool> seen(*highest + 1);
  for (const int64_t label : word_class) seen[label] = true;
  const auto missing = std::find(seen.begin(), seen.end(), false);
  if (missing != seen.end()) {
    refuse("wordClass must give every class at least one word, class " +
           std::to_string(missing - seen.begin()) + " has none.");
  }
  return *highest + 1;
}

void check_options(const PostOptions& options, int64_t classes) {
  if (!(options.logit_scale > 0) || !std::isfinite(options.logit_scale)) {
    refuse("logitScale must be a positive number, received " +
           std::to_string(options.logit_scale) + ".");
  }
  if (!(options.prob_threshold >= 0 && options.prob_threshold <= 1)) {
    refuse("probThreshold must be 0 to 1, received " +
           std::to_string(options.prob_threshold) + ".");
  }
  if (!(options.area_threshold >= 0 && options.area_threshold <= 1)) {
    refuse("areaThreshold must be 0 to 1, received " +
           std::to_string(options.area_threshold) + ".");
  }
  if (options.background < -1 || options.background >= classes) {
    refuse("background must be -1 (none) or a class 0.." +
           std::to_string(classes - 1) + ", received " +
           std::to_string(options.background) + ".");
  }
}

std::vector<int64_t> count_labels(const at::Tensor& labels, int64_t classes) {
  std::vector<int64_t> counts(classes);
  const int32_t* label = labels.const_data_ptr<int32_t>();
  for (int64_t i = 0; i < labels.numel(); ++i) ++counts[label[i]];
  return counts;
}

}  // namespace

Postprocess::Postprocess(const std::vector<int64_t>& word_class,
                         const PostOptions& options,
                         int64_t height,
                         int64_t width)
    : word_class_(word_class),
      options_(options),
      height_(height),
      width_(width),
      classes_(count_classes(word_class)) {
  check_size({height, width}, "The picture");
  check_options(options, classes_);
  constexpr float kLowest = -std::numeric_limits<float>::infinity();
  best_ = at::full({height, width}, kLowest, at::kFloat);
  sum_ = at::zeros({height, width}, at::kFloat);
  label_ = at::zeros({height, width}, at::kInt);
  state_ = {best_.mutable_data_ptr<float>(),
            sum_.mutable_data_ptr<float>(),
            label_.mutable_data_ptr<int32_t>(),
            height * width};
  if (options.logits || options.probabilities || options.area_threshold > 0) {
    planes_ = at::full({classes_, height, width}, kLowest, at::kFloat);
  }
}

void Postprocess::add(int64_t word, const float* plane) {
  const int64_t label = word_class_[word];
  cpu::add_word(plane,
                static_cast<float>(options_.logit_scale),
                static_cast<int32_t>(label),
                state_);
  if (planes_.defined()) {
    cpu::add_maximum(plane,
                     state_.pixels,
                     planes_.mutable_data_ptr<float>() + label * state_.pixels);
  }
}

/// Classes that cover more than the threshold's share of the foreground.
std::vector<bool> Postprocess::kept_classes() const {
  std::vector<bool> keep(classes_, true);
  if (options_.area_threshold <= 0) return keep;
  const auto counts = count_labels(label_, classes_);
  int64_t foreground = 0;
  for (int64_t c = 0; c < classes_; ++c) {
    if (c != options_.background) foreground += counts[c];
  }
  for (int64_t c = 0; c < classes_; ++c) {
    keep[c] = c == options_.background ||
              static_cast<double>(counts[c]) >
                  options_.area_threshold * static_cast<double>(foreground);
  }
  return keep;
}

/// Probabilities of the kept classes, 0 for the others; labels and their
/// probability anew if a class was removed.
void Postprocess::score_classes(const std::vector<bool>& keep) {
  const bool relabel = std::find(keep.begin(), keep.end(), false) != keep.end();
  if (!relabel && !options_.probabilities) return;
  if (options_.probabilities) {
    // The class planes are not needed afterwards unless they are a result.
    probabilities_ = options_.logits ? at::empty_like(planes_) : planes_;
  }
  if (relabel) {
    probability_.zero_();
    label_.zero_();
  }
  at::Tensor scratch;
  if (!options_.probabilities)
    scratch = at::empty({height_, width_}, at::kFloat);
  for (int64_t c = 0; c < classes_; ++c) {
    const auto target = options_.probabilities ? probabilities_[c] : scratch;
    float* probability = target.mutable_data_ptr<float>();
    if (!keep[c]) {
      target.zero_();
      continue;
    }
    cpu::class_probability(planes_.const_data_ptr<float>() + c * state_.pixels,
                           static_cast<float>(options_.logit_scale),
                           state_,
                           probability);
    if (relabel) {
      cpu::take_larger(probability,
                       static_cast<int32_t>(c),
                       state_.pixels,
                       probability_.mutable_data_ptr<float>(),
                       state_.label);
    }
  }
}

void Postprocess::close_labels() {
  const auto scratch = at::empty_like(label_);
  int32_t* dilated = scratch.mutable_data_ptr<int32_t>();
  cpu::dilate_labels(state_.label, height_, width_, dilated);
  cpu::erode_labels(dilated, height_, width_, state_.label);
}

Segmentation Postprocess::finish() {
  probability_ = at::empty({height_, width_}, at::kFloat);
  cpu::label_probability(state_, probability_.mutable_data_ptr<float>());
  score_classes(kept_classes());
  if (options_.prob_threshold > 0) {
    cpu::threshold_labels(
        probability_.const_data_ptr<float>(),
        static_cast<float>(options_.prob_threshold),
        static_cast<int32_t>(std::max<int64_t>(options_.background, 0)),
        state_.pixels,
        state_.label);
  }
  if (options_.closing) close_labels();

  Segmentation result;
  result.counts = count_labels(label_, classes_);
  result.labels = label_.to(classes_ <= 256 ? at::kByte : at::kUInt16);
  if (options_.logits) result.logits = planes_;
  if (options_.probabilities) result.probabilities = probabilities_;
  return result;
}

}  // namespace declip
