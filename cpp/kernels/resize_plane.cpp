#include "kernels/resize_plane.h"

#include <ATen/ATen.h>

#include "declip/error.h"
#include "kernels/cuda/on_device.h"

namespace declip {
namespace {

void check_plane_rows(const at::Tensor& rows,
                      int64_t width,
                      at::Device device) {
  if (rows.dim() != 2 || rows.scalar_type() != at::kFloat ||
      !rows.is_contiguous() || rows.size(1) != width ||
      rows.device() != device) {
    throw Error(ErrorCode::kInternal,
                "PlaneResize takes contiguous float32 rows of its own widths "
                "on one device.");
  }
}

}  // namespace

PlaneResize::Axis::Axis(int64_t in, int64_t out)
    : in(in),
      out(out),
      first(at::empty({out}, at::kInt)),
      second(at::empty({out}, at::kInt)),
      weight(at::empty({out}, at::kFloat)) {
  cpu::resize_taps(args());
}

ResizeAxisArgs PlaneResize::Axis::args() const {
  return {in,
          out,
          first.mutable_data_ptr<int32_t>(),
          second.mutable_data_ptr<int32_t>(),
          weight.mutable_data_ptr<float>()};
}

PlaneResize::PlaneResize(Size from, Size to)
    : rows_((check_size(from, "A plane"), from.height),
            (check_size(to, "A plane"), to.height)),
      columns_(from.width, to.width) {}

RowRange PlaneResize::source(RowRange rows) const {
  return {rows_.first.const_data_ptr<int32_t>()[rows.begin],
          rows_.second.const_data_ptr<int32_t>()[rows.end - 1] + 1};
}

ResizeArgs PlaneResize::args(const float* in,
                             int64_t first,
                             RowRange rows,
                             float* out) const {
  return {rows_.args(), columns_.args(), in, first, out, rows.begin, rows.end};
}

void PlaneResize::rows(const at::Tensor& in,
                       int64_t first,
                       RowRange rows,
                       const at::Tensor& out) const {
  check_plane_rows(in, columns_.in, in.device());
  check_plane_rows(out, columns_.out, in.device());
  const RowRange needed = source(rows);
  if (needed.begin < first || needed.end > first + in.size(0) ||
      out.size(0) != rows.size()) {
    throw Error(ErrorCode::kInternal,
                "PlaneResize::rows() got other rows than it needs.");
  }
  const auto arguments = args(
      in.const_data_ptr<float>(), first, rows, out.mutable_data_ptr<float>());
  DECLIP_RUN_TWIN(in, resize_plane, arguments);
}

void resize_plane(const at::Tensor& in, const at::Tensor& out) {
  for (const auto* plane : {&in, &out}) {
    if (plane->dim() != 2) {
      throw Error(ErrorCode::kInternal, "resize_plane() takes planes [H, W].");
    }
  }
  const Size to{out.size(0), out.size(1)};
  PlaneResize({in.size(0), in.size(1)}, to).rows(in, 0, {0, to.height}, out);
}

}  // namespace declip
