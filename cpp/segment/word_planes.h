#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "declip/size.h"
#include "image/row_range.h"

namespace declip {

/// The planes of words in the size of the result, made one at a time: whole, or
/// some rows of them; every row comes out the same.
class WordPlanes {
 public:
  virtual ~WordPlanes() = default;

  virtual int64_t words() const = 0;
  virtual Size size() const = 0;
  /// Of the planes: float32, and their device.
  virtual at::TensorOptions options() const = 0;

  /// out is [rows.size(), size().width] with options(). `scratch` is working
  /// memory that may serve any number of calls, one at a time.
  virtual void write(int64_t word,
                     RowRange rows,
                     const at::Tensor& out,
                     at::Tensor& scratch) const = 0;

  /// Whether a word's plane is 0 everywhere without being made.
  virtual bool is_zero(int64_t) const { return false; }
};

}  // namespace declip
