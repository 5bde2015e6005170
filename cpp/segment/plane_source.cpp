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
                         Size size)
    : low_(checked_logits(low, plan)),
      size_(size),
      image_width_(plan.width),
      direct_(plan.whole && plan.padding == Padding{}),
      blend_(plan, low.size(2), low.size(3), low.device()) {
  check_size(size, "The picture");
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
    return;
  }
  const RowRange needed = resize_->source(rows);
  if (!scratch.defined() || scratch.size(0) < needed.size()) {
    scratch = at::empty({needed.size(), image_width_}, low_.options());
  }
  const auto blended = scratch.narrow(0, 0, needed.size());
  blend_.rows(maps, needed, blended);
  resize_->rows(blended, needed.begin, rows, out);
}

}  // namespace declip
