#include "kernels/postprocess.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <iterator>
#include <limits>
#include <numeric>
#include <string>

#include "declip/error.h"
#include "declip/size.h"
#include "kernels/cuda/on_device.h"

namespace declip {
namespace {

constexpr int64_t kMaxClasses = 65536;

[[noreturn]] void refuse_planes(const std::string& message) {
  throw Error(ErrorCode::kInvalidArg, message);
}

/// Number of classes C; every class 0..C-1 must have a word.
int64_t count_classes(const std::vector<int64_t>& word_class) {
  if (word_class.empty())
    refuse_planes("wordClass must name the class of at least one word.");
  const auto [lowest, highest] =
      std::minmax_element(word_class.begin(), word_class.end());
  if (*lowest < 0 || *highest >= kMaxClasses) {
    refuse_planes("wordClass must hold classes 0..65535, received " +
                  std::to_string(*lowest < 0 ? *lowest : *highest) + ".");
  }
  std::vector<bool> seen(*highest + 1);
  for (const int64_t label : word_class) seen[label] = true;
  const auto missing = std::find(seen.begin(), seen.end(), false);
  if (missing != seen.end()) {
    refuse_planes("wordClass must give every class at least one word, class " +
                  std::to_string(missing - seen.begin()) + " has none.");
  }
  return *highest + 1;
}

void check_options(const PostOptions& options, int64_t classes) {
  if (!(options.logit_scale > 0) || !std::isfinite(options.logit_scale)) {
    refuse_planes("logitScale must be a positive number, received " +
                  std::to_string(options.logit_scale) + ".");
  }
  if (!(options.prob_threshold >= 0 && options.prob_threshold <= 1)) {
    refuse_planes("probThreshold must be 0 to 1, received " +
                  std::to_string(options.prob_threshold) + ".");
  }
  if (!(options.area_threshold >= 0 && options.area_threshold <= 1)) {
    refuse_planes("areaThreshold must be 0 to 1, received " +
                  std::to_string(options.area_threshold) + ".");
  }
  if (!(options.word_threshold >= 0 && options.word_threshold <= 1)) {
    refuse_planes("wordThreshold must be 0 to 1, received " +
                  std::to_string(options.word_threshold) + ".");
  }
  if (options.background < -1 || options.background >= classes) {
    refuse_planes("background must be -1 (none) or a class 0.." +
                  std::to_string(classes - 1) + ", received " +
                  std::to_string(options.background) + ".");
  }
}

/// Words sorted by class, those of one class in their own order.
std::vector<int64_t> by_class(const std::vector<int64_t>& word_class) {
  std::vector<int64_t> order(word_class.size());
  std::iota(order.begin(), order.end(), int64_t{0});
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    return word_class[a] < word_class[b];
  });
  return order;
}

int32_t below_threshold(const PostOptions& options) {
  return static_cast<int32_t>(std::max<int64_t>(options.background, 0));
}

const float* pixels_of(const at::Tensor& plane, const at::Tensor& like) {
  if (plane.scalar_type() != at::kFloat || !plane.is_contiguous() ||
      plane.sizes() != like.sizes() || plane.device() != like.device()) {
    throw Error(ErrorCode::kInternal,
                "a word's plane must be contiguous float32 of the result's "
                "size and device.");
  }
  return plane.const_data_ptr<float>();
}

}  // namespace

std::vector<bool> kept_classes(const std::vector<int64_t>& counts,
                               const PostOptions& options) {
  const auto classes = static_cast<int64_t>(counts.size());
  int64_t foreground = 0;
  for (int64_t c = 0; c < classes; ++c) {
    if (c != options.background) foreground += counts[c];
  }
  std::vector<bool> keep(classes);
  for (int64_t c = 0; c < classes; ++c) {
    keep[c] = c == options.background ||
              static_cast<double>(counts[c]) >
                  options.area_threshold * static_cast<double>(foreground);
  }
  return keep;
}

Postprocess::Postprocess(const std::vector<int64_t>& word_class,
                         const PostOptions& options,
                         int64_t height,
                         int64_t width,
                         at::Device device)
    : word_class_(word_class),
      options_(options),
      height_(height),
      width_(width),
      classes_(count_classes(word_class)) {
  check_size({height, width}, "The picture");
  check_options(options, classes_);
  order_ = by_class(word_class);
  left_ = order_.size();
  has_words_.assign(classes_, true);
  const auto floats = at::TensorOptions(at::kFloat).device(device);
  all_best_ = at::empty({height, width}, floats);
  all_sum_ = at::empty({height, width}, floats);
  all_label_ = at::empty({height, width}, floats.dtype(at::kInt));
  if (options.logits || options.probabilities) {
    all_planes_ = at::empty({classes_, height, width}, floats);
  }
  if (filters()) {
    rank_logit_ = at::empty({kRanks, height, width}, floats);
    rank_label_ = at::empty({kRanks, height, width}, floats.dtype(at::kShort));
  }
  restart(height);
}

void Postprocess::restart(int64_t height) {
  if (height != height_) maximum_ = at::Tensor();
  height_ = height;
  next_ = 0;
  keep_ = has_words_;
  constexpr float kLowest = -std::numeric_limits<float>::infinity();
  best_ = all_best_.narrow(0, 0, height).fill_(kLowest);
  sum_ = all_sum_.narrow(0, 0, height).zero_();
  label_ = all_label_.narrow(0, 0, height).zero_();
  const int64_t pixels = height * width_;
  state_ = {best_.mutable_data_ptr<float>(),
            sum_.mutable_data_ptr<float>(),
            label_.mutable_data_ptr<int32_t>(),
            pixels};
  chosen_ = best_;
  best_label_ = at::Tensor();
  if (all_planes_.defined()) planes_ = all_planes_.narrow(1, 0, height);
  if (filters()) {
    rank_logit_.view(-1).narrow(0, 0, kRanks * pixels).fill_(kLowest);
    rank_label_.view(-1).narrow(0, 0, kRanks * pixels).zero_();
    ranks_ = {rank_logit_.mutable_data_ptr<float>(),
              static_cast<uint16_t*>(rank_label_.mutable_data_ptr()),
              pixels};
  }
}

void Postprocess::leave_out(const std::vector<bool>& words) {
  order_ = by_class(word_class_);
  const auto middle = std::stable_partition(
      order_.begin(), order_.end(), [&](int64_t q) { return !words[q]; });
  left_ = static_cast<size_t>(middle - order_.begin());
  has_words_.assign(classes_, false);
  for (size_t i = 0; i < left_; ++i) has_words_[word_class_[order_[i]]] = true;
  keep_ = has_words_;
}

float Postprocess::largest_probability(const at::Tensor& plane) const {
  if (options_.independent) return plane.max().item<float>();
  const auto largest = at::zeros({1}, best_.options());
  DECLIP_RUN_TWIN(best_,
                  largest_probability,
                  pixels_of(plane, best_),
                  static_cast<float>(options_.logit_scale),
                  state_,
                  largest.mutable_data_ptr<float>());
  return largest.item<float>();
}

void Postprocess::add(const at::Tensor& plane) {
  const int64_t label = word_class_[order_[next_]];
  const float* logits = pixels_of(plane, best_);
  const auto scale = static_cast<float>(options_.logit_scale);
  const bool left_out = next_ >= left_;
  if (options_.independent) {
    // Labels ascend among the words that may give one: the first of equals.
    if (!left_out) {
      DECLIP_RUN_TWIN(best_,
                      take_larger,
                      logits,
                      static_cast<int32_t>(label),
                      state_.pixels,
                      state_.best,
                      state_.label);
    }
  } else if (left_out) {
    DECLIP_RUN_TWIN(best_, add_left_out, logits, scale, state_);
  } else {
    DECLIP_RUN_TWIN(
        best_, add_word, logits, scale, static_cast<int32_t>(label), state_);
  }
  const bool first =
      next_ == 0 || next_ == left_ || word_class_[order_[next_ - 1]] != label;
  ++next_;
  const bool last = next_ == order_.size() || next_ == left_ ||
                    word_class_[order_[next_]] != label;
  // A class's words that are left out matter where it has no others.
  if (left_out && (has_words_[label] || !planes_.defined())) return;
  if (planes_.defined()) {
    maximum_ = planes_[label];
  } else if (!filters()) {
    return;
  } else if (first && last) {
    DECLIP_RUN_TWIN(
        best_, add_class, logits, static_cast<int32_t>(label), ranks_);
    return;
  } else if (!maximum_.defined()) {
    maximum_ = at::empty_like(best_);
  }
  if (first) {
    maximum_.copy_(plane);
  } else {
    DECLIP_RUN_TWIN(best_,
                    add_maximum,
                    logits,
                    state_.pixels,
                    maximum_.mutable_data_ptr<float>());
  }
  if (last && filters() && !left_out) {
    DECLIP_RUN_TWIN(best_,
                    add_class,
                    maximum_.const_data_ptr<float>(),
                    static_cast<int32_t>(label),
                    ranks_);
  }
}

std::vector<int64_t> Postprocess::count_labels() const {
  const auto sums = at::zeros({classes_}, label_.options().dtype(at::kLong));
  DECLIP_RUN_TWIN(label_,
                  count_labels,
                  state_.label,
                  state_.pixels,
                  classes_,
                  sums.mutable_data_ptr<int64_t>());
  const auto counts = sums.to(at::kCPU);
  const int64_t* data = counts.const_data_ptr<int64_t>();
  return {data, data + classes_};
}

int64_t Postprocess::bytes() const {
  size_t sum = 0;
  for (const auto& tensor : {all_best_,
                             all_sum_,
                             all_label_,
                             all_planes_,
                             rank_logit_,
                             rank_label_}) {
    if (tensor.defined()) sum += tensor.nbytes();
  }
  return static_cast<int64_t>(sum);
}

void Postprocess::rank(int64_t rank, int32_t* classes, int32_t* labels) const {
  const int64_t pixels = ranks_.pixels;
  const float* logit = ranks_.logit + rank * pixels;
  const uint16_t* label = ranks_.label + rank * pixels;
  for (int64_t i = 0; i < pixels; ++i) {
    classes[i] =
        logit[i] > -std::numeric_limits<float>::infinity() ? label[i] : -1;
  }
  std::copy_n(classes, pixels, labels);
  if (options_.prob_threshold <= 0) return;
  WordState state = state_;
  state.label = labels;
  threshold(logit, state);
}

void Postprocess::threshold(const float* logits, const WordState& state) const {
  if (options_.independent) {
    const auto like = best_.options();
    const auto scores =
        at::from_blob(const_cast<float*>(logits), {state.pixels}, like);
    at::from_blob(state.label, {state.pixels}, like.dtype(at::kInt))
        .masked_fill_(scores < static_cast<float>(options_.prob_threshold),
                      below_threshold(options_));
    return;
  }
  DECLIP_RUN_TWIN(best_,
                  threshold_labels,
                  logits,
                  static_cast<float>(options_.logit_scale),
                  static_cast<float>(options_.prob_threshold),
                  below_threshold(options_),
                  state);
}

void Postprocess::grade(uint8_t* certainty) const {
  if (left_ == 0) {  // no word is left, nothing is known
    at::from_blob(certainty, label_.sizes(), label_.options().dtype(at::kByte))
        .zero_();
    return;
  }
  if (options_.independent) {
    at::from_blob(certainty, label_.sizes(), label_.options().dtype(at::kByte))
        .copy_(best_.clamp_min(0).sqrt_().mul_(255).add_(0.5).clamp_(1, 255));
    return;
  }
  DECLIP_RUN_TWIN(best_, label_certainty, state_, certainty);
}

std::vector<int64_t> Postprocess::missing() {
  if (!filters()) return {};
  return missing(kept_classes(count_labels(), options_));
}

std::vector<int64_t> Postprocess::missing(const std::vector<bool>& keep) {
  std::transform(keep.begin(),
                 keep.end(),
                 has_words_.begin(),
                 keep_.begin(),
                 std::logical_and<>());
  if (std::find(keep.begin(), keep.end(), false) == keep.end()) return {};
  best_label_ = label_.clone();
  chosen_ = at::empty_like(best_);
  const auto flags = at::empty({classes_}, at::kByte);
  for (int64_t c = 0; c < classes_; ++c) {
    flags.mutable_data_ptr<uint8_t>()[c] = keep[c];
  }
  const auto kept = flags.to(best_.device());
  const auto open = at::zeros({1}, best_.options().dtype(at::kLong));
  DECLIP_RUN_TWIN(best_,
                  choose_kept,
                  ranks_,
                  kept.const_data_ptr<uint8_t>(),
                  chosen_.mutable_data_ptr<float>(),
                  state_.label,
                  open.mutable_data_ptr<int64_t>());
  std::vector<int64_t> words;
  if (open.item<int64_t>() == 0) return words;
  std::copy_if(order_.begin(),
               order_.begin() + static_cast<std::ptrdiff_t>(left_),
               std::back_inserter(words),
               [&](int64_t word) { return keep_[word_class_[word]]; });
  return words;
}

// Where a rank was kept, no kept class is above it, so that nothing changes.
void Postprocess::add_missing(int64_t word, const at::Tensor& plane) {
  DECLIP_RUN_TWIN(best_,
                  take_larger,
                  pixels_of(plane, best_),
                  static_cast<int32_t>(word_class_[word]),
                  state_.pixels,
                  chosen_.mutable_data_ptr<float>(),
                  state_.label);
}

Segmentation Postprocess::scores() const {
  Segmentation result;
  if (options_.probabilities) {
    // The class planes are not needed afterwards unless they are a result.
    auto probabilities = options_.logits ? at::empty_like(planes_) : planes_;
    for (int64_t c = 0; c < classes_; ++c) {
      if (keep_[c] && options_.independent) {
        if (options_.logits) probabilities[c].copy_(planes_[c]);
      } else if (keep_[c]) {
        DECLIP_RUN_TWIN(best_,
                        class_probability,
                        planes_[c].const_data_ptr<float>(),
                        static_cast<float>(options_.logit_scale),
                        state_,
                        probabilities[c].mutable_data_ptr<float>());
      } else {
        probabilities[c].zero_();
      }
    }
    result.probabilities = probabilities.to(at::kCPU);
  }
  if (options_.logits) result.logits = planes_.to(at::kCPU);
  return result;
}

Segmentation Postprocess::finish() {
  Segmentation result = scores();
  const auto certainty = at::empty_like(label_, at::kByte);
  grade(certainty.mutable_data_ptr<uint8_t>());
  if (options_.prob_threshold > 0) {
    if (!best_label_.defined()) best_label_ = label_.clone();
    threshold(chosen_.const_data_ptr<float>(), state_);
  }
  if (best_label_.defined()) {
    // Nothing is known where the filter kept none either.
    certainty.mul_(best_label_.eq(label_)).mul_(chosen_.isfinite());
    // A threshold's label that the filter removed as a class is no best word's.
    const int32_t below = below_threshold(options_);
    if (!keep_[below]) certainty.mul_(label_.ne(below));
  }
  if (options_.closing) {
    const auto before = label_.clone();
    const auto scratch = at::empty_like(label_);
    int32_t* dilated = scratch.mutable_data_ptr<int32_t>();
    DECLIP_RUN_TWIN(
        label_, dilate_labels, state_.label, height_, width_, dilated);
    DECLIP_RUN_TWIN(
        label_, erode_labels, dilated, height_, width_, state_.label);
    certainty.mul_(before.eq(label_));
  }
  result.certainty = certainty.to(at::kCPU);
  result.counts = count_labels();
  result.labels =
      label_.to(at::kCPU).to(classes_ <= 256 ? at::kByte : at::kUInt16);
  return result;
}

}  // namespace declip
