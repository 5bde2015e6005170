#include "kernels/rope.h"

#include <ATen/ATen.h>

#include "declip/error.h"
#include "kernels/cuda/on_device.h"
#include "kernels/element_type.h"
#include "kernels/rope_args.h"

namespace declip {

void rotate_pairs(const at::Tensor& x,
                  const at::Tensor& cos,
                  const at::Tensor& sin,
                  int64_t prefix) {
  const auto type = element_type(x.scalar_type());
  if (x.dim() != 4 || prefix < 0 || prefix > x.size(1) || x.stride(3) != 1 ||
      x.size(3) % 2 != 0 || !type || !has_twin(x.device(), *type) ||
      cos.device() != x.device() || sin.device() != x.device() ||
      cos.size(0) != x.size(1) - prefix || cos.size(1) != x.size(3) ||
      sin.sizes() != cos.sizes() || !cos.is_contiguous() ||
      !sin.is_contiguous()) {
    throw Error(ErrorCode::kInternal,
                "rotate_pairs(): the table does not fit.");
  }
  RopeArgs args;
  args.x = x.mutable_data_ptr();
  args.batch = x.stride(0);
  args.token = x.stride(1);
  args.head = x.stride(2);
  args.batches = x.size(0);
  args.prefix = prefix;
  args.patches = x.size(1) - prefix;
  args.heads = x.size(2);
  args.width = x.size(3);
  args.cos = cos.const_data_ptr<float>();
  args.sin = sin.const_data_ptr<float>();
  args.type = *type;
  if (x.numel() == 0) return;
  DECLIP_RUN_TWIN(x, rotate_pairs, args);
}

}  // namespace declip
