#include "kernels/resize_plane.h"

#include <ATen/ATen.h>

#include "declip/error.h"
#include "declip/size.h"
#include "kernels/cuda/on_device.h"
#include "kernels/resize_plane_args.h"

namespace declip {

void resize_plane(const at::Tensor& in, const at::Tensor& out) {
  for (const auto* plane : {&in, &out}) {
    if (plane->dim() != 2 || plane->scalar_type() != at::kFloat ||
        !plane->is_contiguous() || plane->device() != in.device()) {
      throw Error(ErrorCode::kInternal,
                  "resize_plane() takes contiguous float32 [H, W] planes on "
                  "one device.");
    }
    check_size({plane->size(0), plane->size(1)}, "A plane");
  }
  const ResizeArgs args{in.const_data_ptr<float>(),
                        in.size(0),
                        in.size(1),
                        out.mutable_data_ptr<float>(),
                        out.size(0),
                        out.size(1)};
  DECLIP_RUN_TWIN(in, resize_plane, args);
}

}  // namespace declip
