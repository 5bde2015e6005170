// Both twins of every op on the same views: the CPU's, and the CUDA files as the
// emulator runs them. What this cannot show is what a GPU does differently:
// timing, its own exp(), and threads that really run at once.

#include <ATen/ATen.h>

#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "cuda_runtime.h"
#include "kernels/dense_attention.h"
#include "kernels/dense_attention_view.h"
#include "kernels/element_type.h"
#include "kernels/layer_norm_view.h"
#include "kernels/pamr_view.h"
#include "kernels/resize_plane_view.h"
#include "kernels/rope_view.h"
#include "kernels/window_blend.h"
#include "kernels/window_blend_view.h"
#include "random_planes.h"
#include "segment/windows.h"
#include "tap.h"

namespace emulated = declip::cuda::emulated;

using declip::ElementType;

namespace {

/// Both orders of threads: a missing barrier shows in one of them.
void in_both_orders(const std::function<void()>& work) {
  for (const bool descending : {false, true}) {
    emulator::descending = descending;
    work();
  }
  emulator::descending = false;
}

const std::vector<at::ScalarType> kTypes{at::kFloat, at::kBFloat16, at::kHalf};

/// One step of a type at 1, with slack for float32's sums.
double step_of(at::ScalarType type) {
  switch (type) {
    case at::kBFloat16:
      return 1.0 / 128;
    case at::kHalf:
      return 1.0 / 1024;
    default:
      return 4e-6;
  }
}

declip::HeadRows rows_of(const at::Tensor& x) {
  return {x.const_data_ptr(), x.stride(0), x.stride(1), x.stride(2)};
}

declip::AttentionView attention_view(
    const std::vector<declip::AttentionTerm>& terms,
    const at::Tensor& v,
    const declip::AttentionOptions& options,
    const at::Tensor& out) {
  declip::AttentionView view;
  view.batch = v.size(0);
  view.heads = v.size(2);
  view.keys = v.size(1);
  view.queries = out.size(1);
  view.value_width = v.size(3);
  view.v = rows_of(v);
  for (const auto& term : terms) {
    auto& one = view.terms[view.term_count++];
    one.scale = static_cast<float>(term.scale);
    one.weight = static_cast<float>(term.weight);
    for (const auto& part : term.parts) {
      one.a[one.parts] = rows_of(part.a);
      one.b[one.parts++] = rows_of(part.b);
      view.width = part.a.size(3);
    }
  }
  view.out = out.mutable_data_ptr();
  view.type = *declip::element_type(v.scalar_type());
  view.causal = options.causal;
  view.drop_negative = options.drop_negative;
  view.shift = static_cast<float>(options.shift);
  if (options.prior) {
    view.grid_rows = options.prior->rows;
    view.grid_columns = options.prior->columns;
    view.prior_std = options.prior->std;
    if (options.prior->factor.defined())
      view.prior_factor = options.prior->factor.const_data_ptr<float>();
  }
  return view;
}

/// The emulated twin against LibTorch's operators in float32.
void compare(const std::vector<declip::AttentionTerm>& terms,
             const at::Tensor& v,
             const declip::AttentionOptions& options = {}) {
  for (const auto type : kTypes) {
    const auto in = [&](const at::Tensor& x) { return x.to(type); };
    std::vector<declip::AttentionTerm> rounded = terms, exact = terms;
    for (size_t t = 0; t < terms.size(); ++t) {
      for (size_t p = 0; p < terms[t].parts.size(); ++p) {
        const auto& part = terms[t].parts[p];
        rounded[t].parts[p] = {in(part.a), in(part.b)};
        exact[t].parts[p] = {in(part.a).to(at::kFloat),
                             in(part.b).to(at::kFloat)};
      }
    }
    const auto expected =
        declip::dense_attention_eager(exact, in(v).to(at::kFloat), options);
    const auto values = in(v);
    const auto out = at::empty(expected.sizes(), values.options());
    in_both_orders([&] {
      out.fill_(7);
      emulated::dense_attention(attention_view(rounded, values, options, out),
                                nullptr);
      CHECK_CLOSE(distance(out, expected), 0, 2 * step_of(type) + 1e-5);
    });
  }
}

/// Slices of one tensor, as a fused projection gives them.
std::vector<at::Tensor> random_heads(
    Random& random, int64_t b, int64_t l, int64_t n, int64_t d) {
  std::vector<at::Tensor> heads;
  for (const auto& part : (2 * random.tensor({b, l, 3 * n * d})).chunk(3, -1))
    heads.push_back(part.unflatten(-1, {n, d}));
  return heads;
}

}  // namespace

TEST(emulated_layer_norm_is_the_cpu_twin) {
  Random random;
  for (const auto in_type : kTypes) {
    for (const auto out_type : kTypes) {
      for (const bool gated : {false, true}) {
        const int64_t rows = random.integer(1, 19), width = random.integer(1, 90);
        const auto x = random.tensor({rows, (gated ? 2 : 1) * width}).to(in_type);
        const auto weight = random.tensor({width}), bias = random.tensor({width});
        const auto exact = x.to(at::kFloat);
        const auto wanted = at::empty({rows, width});
        const auto got = at::empty({rows, width}, at::dtype(out_type));
        declip::LayerNormView view{exact.const_data_ptr(),
                                   exact.size(1),
                                   rows,
                                   width,
                                   gated,
                                   weight.const_data_ptr<float>(),
                                   bias.const_data_ptr<float>(),
                                   1e-5f,
                                   wanted.mutable_data_ptr()};
        declip::cpu::layer_norm(view);
        view.x = x.const_data_ptr();
        view.out = got.mutable_data_ptr();
        view.in_type = *declip::element_type(in_type);
        view.out_type = *declip::element_type(out_type);
        emulated::layer_norm(view, nullptr);
        // values of a few units
        CHECK_CLOSE(distance(got, wanted), 0, 4 * step_of(out_type));
      }
    }
  }
}

TEST(emulated_rotation_is_the_cpu_twin) {
  Random random;
  for (const auto type : kTypes) {
    const auto qkv = random.tensor({2, 1 + 7, 3 * 3 * 10}).to(type);
    const auto x = qkv.chunk(3, -1)[1].unflatten(-1, {3, 10});
    const auto angle = 3 * random.tensor({7, 10});
    const auto cos = angle.cos(), sin = angle.sin();
    const auto wanted = x.to(at::kFloat).contiguous();
    const auto view_of = [&](const at::Tensor& t) {
      return declip::RopeView{t.mutable_data_ptr(),
                              t.stride(0),
                              t.stride(1),
                              t.stride(2),
                              2,
                              7,
                              3,
                              10,
                              cos.const_data_ptr<float>(),
                              sin.const_data_ptr<float>(),
                              *declip::element_type(t.scalar_type())};
    };
    declip::cpu::rotate_pairs(view_of(wanted));
    emulated::rotate_pairs(view_of(x), nullptr);
    CHECK_CLOSE(distance(x, wanted), 0, step_of(type));
  }
}

TEST(emulated_resize_is_the_cpu_twin) {
  Random random;
  for (int round = 0; round < 20; ++round) {
    const auto in = random.tensor({random.integer(1, 30), random.integer(1, 30)});
    const auto wanted = at::empty({random.integer(1, 50), random.integer(1, 50)});
    const auto got = at::empty_like(wanted);
    const auto view_of = [&](const at::Tensor& out) {
      return declip::ResizeView{in.const_data_ptr<float>(),
                                in.size(0),
                                in.size(1),
                                out.mutable_data_ptr<float>(),
                                out.size(0),
                                out.size(1)};
    };
    declip::cpu::resize_plane(view_of(wanted));
    emulated::resize_plane(view_of(got), nullptr);
    // weights are rounded with and without fused multiply-adds
    CHECK_CLOSE(distance(got, wanted), 0, 3e-6);
  }
}

TEST(emulated_pamr_is_the_cpu_twin) {
  Random random;
  for (int round = 0; round < 8; ++round) {
    declip::PamrShape shape;
    shape.height = random.integer(1, 30);
    shape.width = random.integer(1, 30);
    shape.dilation_count = random.integer(1, 3);
    int64_t margin = 0;
    for (int64_t d = 0; d < shape.dilation_count; ++d) {
      shape.dilations[d] = random.integer(1, 12);
      margin = std::max(margin, shape.dilations[d]);
    }
    const auto padded_of = [&](const at::Tensor& planes) {
      return at::replication_pad1d(planes, {margin, margin}).contiguous();
    };
    const auto view_of = [&](const at::Tensor& padded) {
      return declip::PaddedPlanes{padded.mutable_data_ptr<float>() + margin,
                                  padded.size(2),
                                  padded.size(1) * padded.size(2),
                                  margin};
    };
    const auto image =
        padded_of(random.tensor({3, shape.height, shape.width}));
    const auto wanted =
        at::empty({shape.height, 8 * shape.dilation_count, shape.width});
    const auto got = at::empty_like(wanted);
    declip::cpu::pamr_affinity(
        shape, view_of(image), wanted.mutable_data_ptr<float>());
    emulated::pamr_affinity(
        shape, view_of(image), got.mutable_data_ptr<float>(), nullptr);
    CHECK_CLOSE(distance(got, wanted), 0, 1e-6);
    for (int64_t count = 1; count <= 4; ++count) {
      const auto in =
          padded_of(random.tensor({count, shape.height, shape.width}));
      const auto a = at::zeros_like(in), b = at::zeros_like(in);
      const float* weights = wanted.const_data_ptr<float>();
      declip::cpu::pamr_step(shape, weights, view_of(in), view_of(a), count);
      emulated::pamr_step(
          shape, weights, view_of(in), view_of(b), count, nullptr);
      CHECK_CLOSE(distance(a.narrow(2, margin, shape.width),
                           b.narrow(2, margin, shape.width)),
                  0,
                  1e-6);
    }
  }
}

TEST(emulated_attention_computes_every_combination) {
  Random random;
  for (int round = 0; round < 3; ++round) {
    // more tokens than a block takes, heads wider than a tile
    const int64_t tokens = round == 0 ? 131 : 1 + random.integer(1, 60);
    const int64_t n = random.integer(1, 2), d = random.integer(1, 90);
    const auto heads =
        random_heads(random, random.integer(1, 2), tokens, n, d);
    const auto &q = heads[0], &k = heads[1], &v = heads[2];
    const double scale = 1.0 / std::sqrt(static_cast<double>(d));
    compare({{{{q, q}}, scale, 1.0}, {{{k, k}}, scale, 1.0}}, v);
    compare({{{{q, q}, {k, k}, {v, v}}, scale / 3, 0.5},
             {{{q, k}}, scale, 0.25}},
            v);
    declip::AttentionOptions causal;
    causal.causal = true;
    compare({{{{q, k}}, scale, 1.0}}, v, causal);
    compare({{{{q.slice(1, 0, 1), k}}, scale, 1.0}}, v);
  }
}

TEST(emulated_attention_knows_the_prior_and_drops_negative_scores) {
  Random random;
  const auto heads = random_heads(random, 2, 1 + 6 * 13, 2, 8);
  declip::AttentionOptions options;
  options.prior = declip::NeighbourPrior{6, 13, 1.3, {}};
  compare({{{{heads[1], heads[1]}}, 0.3, 1.0}}, heads[2], options);
  options.prior->factor = random.tensor({2}).abs();
  compare({{{}, 1.0, 1.0}}, heads[2], options);

  // ProxyCLIP: one wide head, more values than a block takes
  const auto f = random.tensor({2, 70, 1, 45});
  const auto unit = f / f.norm(2, {3}, true);
  declip::AttentionOptions proxy;
  proxy.shift = -0.4;
  proxy.drop_negative = true;
  compare({{{{unit, unit}}, 3.0, 1.0}}, random.tensor({2, 70, 1, 150}), proxy);
}
