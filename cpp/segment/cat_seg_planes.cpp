#include "segment/cat_seg_planes.h"

#include <ATen/ATen.h>

#include <numeric>
#include <utility>

#include "declip/error.h"

namespace declip {
namespace {

/// For each input the place of each word among its maps, -1 for none.
std::vector<int32_t> places_of_words(const CatSegLogits& logits,
                                     int64_t words) {
  const int64_t inputs = logits.maps.size(0), count = logits.maps.size(1);
  std::vector<int32_t> out(static_cast<size_t>(inputs * words), -1);
  if (!logits.kept.defined()) {
    if (count != words) {
      throw Error(ErrorCode::kInternal, "CAT-Seg's logits of other words.");
    }
    for (int64_t i = 0; i < inputs; ++i) {
      std::iota(out.begin() + i * words, out.begin() + (i + 1) * words, 0);
    }
    return out;
  }
  const auto kept = logits.kept.to(at::kCPU, at::kLong).contiguous();
  if (kept.dim() != 2 || kept.size(0) != inputs || kept.size(1) != count) {
    throw Error(ErrorCode::kInternal, "CAT-Seg's logits of other words.");
  }
  const int64_t* word = kept.const_data_ptr<int64_t>();
  for (int64_t i = 0; i < inputs; ++i) {
    for (int64_t k = 0; k < count; ++k) {
      const int64_t q = word[i * count + k];
      if (q < 0 || q >= words) {
        throw Error(ErrorCode::kInternal, "CAT-Seg kept a word out of range.");
      }
      out[static_cast<size_t>(i * words + q)] = static_cast<int32_t>(k);
    }
  }
  return out;
}

}  // namespace

CatSegPlanes::CatSegPlanes(CatSegLogits logits,
                           const CatSegGeometry& geometry,
                           int64_t words,
                           Size size)
    : maps_(logits.maps.to(at::kFloat).contiguous()),
      kept_(places_of_words(logits, words)),
      inputs_(geometry.inputs()),
      words_(words),
      size_(size) {
  check_size(size, "The picture");
  if (maps_.dim() != 4 || maps_.size(0) != inputs_ ||
      maps_.size(2) != maps_.size(3)) {
    throw Error(ErrorCode::kInternal,
                "CAT-Seg's logits must be [inputs, words, m, m].");
  }
  const int64_t grid = maps_.size(2);
  if (!geometry.sliding) {
    maps_.sigmoid_();
    resize_.emplace(Size{grid, grid}, size);
    return;
  }
  blend_.emplace(geometry.canvas, grid);
  const Size canvas{geometry.canvas.height, geometry.canvas.width};
  if (size != canvas) resize_.emplace(canvas, size);
}

at::Tensor CatSegPlanes::map(int64_t input, int64_t word) const {
  const int32_t place = kept_[static_cast<size_t>(input * words_ + word)];
  return place < 0 ? at::Tensor() : maps_[input][place];
}

bool CatSegPlanes::is_zero(int64_t word) const {
  for (int64_t i = 0; i < inputs_; ++i) {
    if (kept_[static_cast<size_t>(i * words_ + word)] >= 0) return false;
  }
  return true;
}

void CatSegPlanes::write(int64_t word,
                         RowRange rows,
                         const at::Tensor& out,
                         at::Tensor& scratch) const {
  if (is_zero(word)) {
    out.zero_();
    return;
  }
  if (!blend_) {
    resize_->rows(map(0, word), 0, rows, out);
    return;
  }
  std::vector<at::Tensor> maps;
  maps.reserve(static_cast<size_t>(inputs_));
  for (int64_t i = 0; i < inputs_; ++i) maps.push_back(map(i, word));
  if (!resize_) {
    blend_->rows(maps, rows, out);
    return;
  }
  const RowRange needed = resize_->source(rows);
  if (!scratch.defined() || scratch.size(0) < needed.size()) {
    scratch = at::empty({needed.size(), blend_->extent()}, maps_.options());
  }
  const auto blended = scratch.narrow(0, 0, needed.size());
  blend_->rows(maps, needed, blended);
  resize_->rows(blended, needed.begin, rows, out);
}

}  // namespace declip
