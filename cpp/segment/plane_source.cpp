#include "segment/plane_source.h"

#include <ATen/ATen.h>

#include "declip/error.h"

namespace declip {
namespace {

const at::Tensor& checked_logits(const at::Tensor& low,
                                 const WindowPlan& plan) {
  if (low.dim() != 4 || low.size(0) != plan.size() ||
      low.scalar_type() != at::kFloat || !low.is_contiguous()) {
    throw Error(ErrorCode::kInternal,
                "window logits must be contiguous float32 "
                "[windows, words, h, w].");
  }
  return low;
}

}  // namespace

PlaneSource::PlaneSource(const at::Tensor& low,
                         const WindowPlan& plan,
                         Size size,
                         const ScoreShare* share)
    : low_(checked_logits(low, plan)),
      size_(size),
      image_width_(plan.width),
      direct_(plan.whole && plan.padding == Padding{} && share == nullptr),
      blend_(plan, low.size(2), low.size(3), low.device()) {
  check_size(size, "The picture");
  if (share != nullptr) {
    share_ = *share;
    if (share_->scores.size(0) != low.size(1) ||
        share_->index.size(0) != plan.height ||
        share_->index.size(1) != plan.width) {
      throw Error(ErrorCode::kInternal, "A share of other words or pixels.");
    }
  }
  const Size image{plan.height, plan.width};
  if (direct_) {
    resize_.emplace(Size{low.size(2), low.size(3)}, size);
  } else if (size != image) {
    resize_.emplace(image, size);
  }
}

void PlaneSource::write(int64_t word,
                        RowRange rows,
                        const at::Tensor& out,
                        at::Tensor& scratch) const {
  const auto maps = low_.select(1, word);  // (nW, h, w)
  if (direct_) {
    resize_->rows(maps[0], 0, rows, out);
    return;
  }
  if (!resize_) {
    blend_.rows(maps, rows, out);
    mix(word, rows, out);
    return;
  }
  const RowRange needed = resize_->source(rows);
  if (!scratch.defined() || scratch.size(0) < needed.size()) {
    scratch = at::empty({needed.size(), image_width_}, low_.options());
  }
  const auto blended = scratch.narrow(0, 0, needed.size());
  blend_.rows(maps, needed, blended);
  mix(word, needed, blended);
  resize_->rows(blended, needed.begin, rows, out);
}

void PlaneSource::mix(int64_t word,
                      RowRange rows,
                      const at::Tensor& plane) const {
  if (!share_) return;
  const auto index = share_->index.narrow(0, rows.begin, rows.size());
  const auto scores = share_->scores.select(0, word);
  if (!plane.is_cpu()) {
    const auto here = scores.index_select(0, index.flatten());
    plane.mul_(1 - share_->share).add_(here.view_as(plane), share_->share);
    return;
  }
  const auto share = static_cast<float>(share_->share);
  const auto rest = static_cast<float>(1 - share_->share);
  const auto* region = index.const_data_ptr<int32_t>();
  const auto* score = scores.const_data_ptr<float>();
  float* value = plane.mutable_data_ptr<float>();
  for (int64_t i = 0; i < plane.numel(); ++i) {
    value[i] = rest * value[i] + share * score[region[i]];
  }
}

}  // namespace declip
