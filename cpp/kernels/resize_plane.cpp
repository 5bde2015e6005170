#include "kernels/resize_plane.h"

#include "declip/size.h"

namespace declip {

void resize_plane(const float* in,
                  int64_t in_height,
                  int64_t in_width,
                  float* out,
                  int64_t out_height,
                  int64_t out_width) {
  check_size({in_height, in_width}, "The plane");
  check_size({out_height, out_width}, "The resized plane");
  cpu::resize_plane(in, in_height, in_width, out, out_height, out_width);
}

}  // namespace declip
