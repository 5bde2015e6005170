#include "kernels/prefix_attention.h"

#include <ATen/ATen.h>

#include "declip/error.h"

namespace declip {

at::Tensor prefix_attention(const at::Tensor& q,
                            const at::Tensor& k,
                            const at::Tensor& v,
                            const std::vector<int32_t>& path,
                            const std::vector<int64_t>& path_begin,
                            double scale) {
  if (q.scalar_type() != at::kFloat) {
    const auto wide = [](const at::Tensor& x) { return x.to(at::kFloat); };
    return prefix_attention(wide(q), wide(k), wide(v), path, path_begin, scale)
        .to(q.scalar_type());
  }
  if (q.dim() != 3 || q.strides() != k.strides() ||
      q.strides() != v.strides() || q.stride(2) != 1 || !q.is_cpu() ||
      static_cast<int64_t>(path_begin.size()) != q.size(0) + 1) {
    throw Error(ErrorCode::kInternal,
                "prefix_attention() takes q, k, v [U, n, d] of one layout and "
                "one path per token.");
  }
  auto out = at::empty({q.size(0), q.size(1) * q.size(2)}, q.options());
  PrefixAttentionArgs args;
  args.q = q.const_data_ptr<float>();
  args.k = k.const_data_ptr<float>();
  args.v = v.const_data_ptr<float>();
  args.token = q.stride(0);
  args.head = q.stride(1);
  args.tokens = q.size(0);
  args.heads = q.size(1);
  args.width = q.size(2);
  args.path = path.data();
  args.path_begin = path_begin.data();
  args.scale = static_cast<float>(scale);
  args.out = out.mutable_data_ptr<float>();
  cpu::prefix_attention(args);
  return out;
}

}  // namespace declip
