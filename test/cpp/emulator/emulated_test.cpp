// Both twins of every op on the same views: the CPU's, and the CUDA files as
// the emulator runs them. What this cannot show is what a GPU does differently:
// timing, its own exp(), and threads that really run at once.

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include "cuda_runtime.h"
#include "image/windows.h"
#include "kernels/dense_attention.h"
#include "kernels/dense_attention_args.h"
#include "kernels/element_type.h"
#include "kernels/layer_norm_args.h"
#include "kernels/mask_pool_args.h"
#include "kernels/nms_args.h"
#include "kernels/pamr_args.h"
#include "kernels/postprocess_args.h"
#include "kernels/resize_plane.h"
#include "kernels/roi_align_args.h"
#include "kernels/roi_align_levels_args.h"
#include "kernels/rope_args.h"
#include "kernels/vote_scores_args.h"
#include "kernels/window_blend.h"
#include "kernels/window_blend_args.h"
#include "random_planes.h"
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

declip::AttentionArgs attention_args(
    const std::vector<declip::AttentionTerm>& terms,
    const at::Tensor& v,
    const declip::AttentionOptions& options,
    const at::Tensor& out) {
  declip::AttentionArgs args;
  args.batch = v.size(0);
  args.heads = v.size(2);
  args.keys = v.size(1);
  args.queries = out.size(1);
  args.value_width = v.size(3);
  args.v = rows_of(v);
  for (const auto& term : terms) {
    auto& one = args.terms[args.term_count++];
    one.scale = static_cast<float>(term.scale);
    one.weight = static_cast<float>(term.weight);
    for (const auto& part : term.parts) {
      one.a[one.parts] = rows_of(part.a);
      one.b[one.parts++] = rows_of(part.b);
      args.width = part.a.size(3);
    }
  }
  args.out = out.mutable_data_ptr();
  args.type = *declip::element_type(v.scalar_type());
  args.causal = options.causal;
  args.drop_negative = options.drop_negative;
  args.shift = static_cast<float>(options.shift);
  if (options.scope) {
    args.query_groups = options.scope->queries.const_data_ptr<int32_t>();
    args.key_groups = options.scope->keys.const_data_ptr<int32_t>();
    args.scope_threshold = static_cast<float>(options.scope->threshold);
  }
  if (options.prior) {
    args.grid_rows = options.prior->rows;
    args.grid_columns = options.prior->columns;
    args.prior_std = options.prior->std;
    if (options.prior->factor.defined())
      args.prior_factor = options.prior->factor.const_data_ptr<float>();
  }
  return args;
}

/// The emulated twin against LibTorch's operators in float32.
void compare_emulated(const std::vector<declip::AttentionTerm>& terms,
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
      emulated::dense_attention(attention_args(rounded, values, options, out),
                                nullptr);
      CHECK_CLOSE(distance(out, expected), 0, 2 * step_of(type) + 1e-5);
    });
  }
}

/// Slices of one tensor, as a fused projection gives them.
std::vector<at::Tensor> emulated_heads(
    Random& random, int64_t b, int64_t l, int64_t n, int64_t d) {
  std::vector<at::Tensor> heads;
  for (const auto& part : (2 * random.tensor({b, l, 3 * n * d})).chunk(3, -1))
    heads.push_back(part.unflatten(-1, {n, d}));
  return heads;
}

/// Turns 64 numbers around through shared memory, rightly or not.
void reverse(float* data, bool wait, bool together) {
  __shared__ float shared[64];
  shared[threadIdx.x] = data[threadIdx.x];
  if (wait && (together || threadIdx.x < 7)) __syncthreads();
  data[threadIdx.x] = shared[63 - threadIdx.x];
}

bool is_reversed(bool wait, bool together) {
  // Other numbers every time: shared memory keeps what the last launch left.
  static int64_t first = 0;
  first += 64;
  const auto wanted = at::arange(first, first + 64, at::kFloat).flip({0});
  const auto data = wanted.flip({0}).contiguous();
  cudaLaunchConfig_t config;
  config.blockDim = {64, 1, 1};
  cudaLaunchKernelEx(
      &config, reverse, data.mutable_data_ptr<float>(), wait, together);
  return data.equal(wanted);
}

}  // namespace

TEST(the_emulator_notices_missing_and_lonely_barriers) {
  CHECK(is_reversed(true, true));
  CHECK(!is_reversed(false, true));
  bool noticed = false;
  try {
    is_reversed(true, false);
  } catch (const std::runtime_error&) {
    noticed = true;
  }
  CHECK(noticed);
}

TEST(emulated_layer_norm_is_the_cpu_twin) {
  Random random;
  for (const auto in_type : kTypes) {
    for (const auto out_type : kTypes) {
      for (const bool gated : {false, true}) {
        const int64_t rows = random.integer(1, 19),
                      width = random.integer(1, 90);
        const auto x =
            random.tensor({rows, (gated ? 2 : 1) * width}).to(in_type);
        const auto weight = random.tensor({width}),
                   bias = random.tensor({width});
        const auto exact = x.to(at::kFloat);
        const auto wanted = at::empty({rows, width});
        const auto got = at::empty({rows, width}, at::dtype(out_type));
        declip::LayerNormArgs args{exact.const_data_ptr(),
                                   exact.size(1),
                                   rows,
                                   width,
                                   gated,
                                   weight.const_data_ptr<float>(),
                                   bias.const_data_ptr<float>(),
                                   1e-5f,
                                   wanted.mutable_data_ptr()};
        declip::cpu::layer_norm(args);
        args.x = x.const_data_ptr();
        args.out = got.mutable_data_ptr();
        args.in_type = *declip::element_type(in_type);
        args.out_type = *declip::element_type(out_type);
        emulated::layer_norm(args, nullptr);
        // values of a few units
        CHECK_CLOSE(distance(got, wanted), 0, 4 * step_of(out_type));
      }
    }
  }
}

TEST(emulated_rotation_is_the_cpu_twin) {
  Random random;
  for (const auto type : kTypes) {
    const int64_t prefix = random.integer(0, 6);
    const auto qkv = random.tensor({2, prefix + 7, 3 * 3 * 10}).to(type);
    const auto x = qkv.chunk(3, -1)[1].unflatten(-1, {3, 10});
    const auto angle = 3 * random.tensor({7, 10});
    const auto cos = angle.cos(), sin = angle.sin();
    const auto wanted = x.to(at::kFloat).contiguous();
    const auto args_of = [&](const at::Tensor& t) {
      return declip::RopeArgs{t.mutable_data_ptr(),
                              t.stride(0),
                              t.stride(1),
                              t.stride(2),
                              prefix,
                              2,
                              7,
                              3,
                              10,
                              cos.const_data_ptr<float>(),
                              sin.const_data_ptr<float>(),
                              *declip::element_type(t.scalar_type())};
    };
    declip::cpu::rotate_pairs(args_of(wanted));
    emulated::rotate_pairs(args_of(x), nullptr);
    CHECK_CLOSE(distance(x, wanted), 0, step_of(type));
  }
}

TEST(emulated_resize_is_the_cpu_twin) {
  Random random;
  for (int round = 0; round < 20; ++round) {
    const auto in =
        random.tensor({random.integer(1, 30), random.integer(1, 30)});
    const auto wanted =
        at::empty({random.integer(1, 50), random.integer(1, 50)});
    const auto got = at::empty_like(wanted);
    const declip::PlaneResize resize({in.size(0), in.size(1)},
                                     {wanted.size(0), wanted.size(1)});
    const auto args_of = [&](const at::Tensor& out) {
      return resize.args(in.const_data_ptr<float>(),
                         0,
                         {0, out.size(0)},
                         out.mutable_data_ptr<float>());
    };
    declip::cpu::resize_plane(args_of(wanted));
    emulated::resize_plane(args_of(got), nullptr);
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
    const auto args_of = [&](const at::Tensor& padded) {
      return declip::PaddedPlanes{padded.mutable_data_ptr<float>() + margin,
                                  padded.size(2),
                                  padded.size(1) * padded.size(2),
                                  margin};
    };
    const auto image = padded_of(random.tensor({3, shape.height, shape.width}));
    const auto wanted =
        at::empty({shape.height, 8 * shape.dilation_count, shape.width});
    const auto got = at::empty_like(wanted);
    declip::cpu::pamr_affinity(
        shape, args_of(image), wanted.mutable_data_ptr<float>());
    emulated::pamr_affinity(
        shape, args_of(image), got.mutable_data_ptr<float>(), nullptr);
    CHECK_CLOSE(distance(got, wanted), 0, 1e-6);
    for (int64_t count = 1; count <= 4; ++count) {
      const auto in =
          padded_of(random.tensor({count, shape.height, shape.width}));
      const auto a = at::zeros_like(in), b = at::zeros_like(in);
      const float* weights = wanted.const_data_ptr<float>();
      declip::cpu::pamr_step(shape, weights, args_of(in), args_of(a), count);
      emulated::pamr_step(
          shape, weights, args_of(in), args_of(b), count, nullptr);
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
        emulated_heads(random, random.integer(1, 2), tokens, n, d);
    const auto &q = heads[0], &k = heads[1], &v = heads[2];
    const double scale = 1.0 / std::sqrt(static_cast<double>(d));
    compare_emulated({{{{q, q}}, scale, 1.0}, {{{k, k}}, scale, 1.0}}, v);
    compare_emulated(
        {{{{q, q}, {k, k}, {v, v}}, scale / 3, 0.5}, {{{q, k}}, scale, 0.25}},
        v);
    declip::AttentionOptions causal;
    causal.causal = true;
    compare_emulated({{{{q, k}}, scale, 1.0}}, v, causal);
    compare_emulated({{{{q.slice(1, 0, 1), k}}, scale, 1.0}}, v);
  }
}

TEST(emulated_attention_knows_the_prior_and_drops_negative_scores) {
  Random random;
  const auto heads = emulated_heads(random, 2, 1 + 6 * 13, 2, 8);
  declip::AttentionOptions options;
  options.prior = declip::NeighbourPrior{6, 13, 1.3, {}};
  compare_emulated({{{{heads[1], heads[1]}}, 0.3, 1.0}}, heads[2], options);
  options.prior->factor = random.tensor({2}).abs();
  compare_emulated({{{}, 1.0, 1.0}}, heads[2], options);

  // ProxyCLIP: one wide head, more values than a block takes
  const auto f = random.tensor({2, 70, 1, 45});
  const auto unit = f / f.norm(2, {3}, true);
  declip::AttentionOptions proxy;
  proxy.shift = -0.4;
  proxy.drop_negative = true;
  const auto values = random.tensor({2, 70, 1, 150});
  compare_emulated({{{{unit, unit}}, 3.0, 1.0}}, values, proxy);
  proxy.shift = -3.5;  // above the largest score: no row has one left
  compare_emulated({{{{unit, unit}}, 3.0, 1.0}}, values, proxy);
  proxy.shift = -2.5;  // few have
  compare_emulated({{{{unit, unit}}, 3.0, 1.0}}, values, proxy);
  for (const double threshold : {0.6, 1000.0}) {
    declip::AttentionOptions scope;
    const auto groups =
        (random.tensor({2, 70}).abs() * 4).to(at::kInt).contiguous();
    scope.scope = declip::GroupScope{groups, groups, threshold};
    compare_emulated({{{{unit, unit}}, 3.0, 1.0}}, values, scope);
  }
}

TEST(emulated_blending_is_the_cpu_twin) {
  Random random;
  for (int round = 0; round < 12; ++round) {
    const int64_t side = random.integer(4, 20);
    const auto plan = declip::plan_windows(random.integer(1, 40),
                                           random.integer(1, 40),
                                           side,
                                           random.integer(1, side),
                                           random.coin() ? 1 : 5);
    const auto low = random.tensor(
        {plan.size(), random.integer(1, 6), random.integer(1, 6)});
    const declip::WindowBlend blend(plan, low.size(1), low.size(2), at::kCPU);
    const auto wanted = at::empty({plan.height, plan.width});
    const auto got = at::empty_like(wanted);
    const declip::RowRange rows{0, plan.height};
    declip::cpu::window_blend(blend.args(low, rows, wanted));
    emulated::window_blend(blend.args(low, rows, got), nullptr);
    CHECK_CLOSE(distance(got, wanted), 0, 2e-6);
  }
}

TEST(emulated_labelling_is_the_cpu_twin) {
  Random random;
  for (int round = 0; round < 10; ++round) {
    const int64_t height = random.integer(1, 90), width = random.integer(1, 60);
    const int64_t pixels = height * width;
    // both ways of counting
    const int32_t classes = round == 0 ? 3000 : 6;
    std::vector<at::Tensor> all;  // the CPU's results, then the emulator's
    const auto words = random.tensor({8, height, width}).round(1);
    for (const bool emulate : {false, true}) {
      const auto best = at::full({height, width}, -INFINITY);
      const auto sum = at::zeros({height, width});
      const auto label = at::zeros({height, width}, at::kInt);
      const auto maximum = words[0].clone();
      const auto rank_logit =
          at::full({declip::kRanks, height, width}, -INFINITY);
      const auto rank_label =
          at::zeros({declip::kRanks, height, width}, at::kShort);
      const auto chosen = at::empty({height, width});
      const auto kept_label = at::zeros({height, width}, at::kInt);
      const auto probability = at::empty({height, width});
      const auto dilated = at::empty_like(label),
                 closed = at::empty_like(label);
      const auto certainty = at::zeros_like(label, at::kByte);
      const auto open = at::zeros({1}, at::kLong);
      const auto counts = at::zeros({classes}, at::kLong);
      const auto largest_of_word = at::zeros({1});
      const auto stronger = words[3] + 0.1;
      const auto keep = at::zeros({classes}, at::kByte);
      keep[1].fill_(1);
      const declip::WordState state{best.mutable_data_ptr<float>(),
                                    sum.mutable_data_ptr<float>(),
                                    label.mutable_data_ptr<int32_t>(),
                                    pixels};
      const declip::ClassRanks ranks{
          rank_logit.mutable_data_ptr<float>(),
          static_cast<uint16_t*>(rank_label.mutable_data_ptr()),
          pixels};
      const auto each = [&](auto run) {
        for (int32_t q = 0; q < 8; ++q) {
          const float* plane = words[q].const_data_ptr<float>();
          run(plane, q % 6);
        }
      };
      float* largest = maximum.mutable_data_ptr<float>();
      int32_t* labels = kept_label.mutable_data_ptr<int32_t>();
      const int32_t* in = state.label;
      const float* first = words[2].const_data_ptr<float>();
#define RUN(name, ...)                            \
  (emulate ? emulated::name(__VA_ARGS__, nullptr) \
           : declip::cpu::name(__VA_ARGS__))
      each([&](const float* plane, int32_t number) {
        RUN(add_word, plane, 7.0f, number, state);
        RUN(add_maximum, plane, pixels, largest);
        RUN(add_class, plane, number, ranks);
      });
      RUN(class_probability,
          first,
          7.0f,
          state,
          probability.mutable_data_ptr<float>());
      RUN(largest_probability,
          first,
          7.0f,
          state,
          largest_of_word.mutable_data_ptr<float>());
      RUN(add_left_out, stronger.const_data_ptr<float>(), 7.0f, state);
      RUN(label_certainty, state, certainty.mutable_data_ptr<uint8_t>());
      RUN(choose_kept,
          ranks,
          keep.const_data_ptr<uint8_t>(),
          chosen.mutable_data_ptr<float>(),
          labels,
          open.mutable_data_ptr<int64_t>());
      RUN(take_larger,
          first,
          2,
          pixels,
          chosen.mutable_data_ptr<float>(),
          labels);
      RUN(threshold_labels, best.const_data_ptr<float>(), 7.0f, 0.5f, 4, state);
      RUN(count_labels,
          in,
          pixels,
          classes,
          counts.mutable_data_ptr<int64_t>());
      RUN(dilate_labels,
          in,
          height,
          width,
          dilated.mutable_data_ptr<int32_t>());
      RUN(erode_labels,
          dilated.const_data_ptr<int32_t>(),
          height,
          width,
          closed.mutable_data_ptr<int32_t>());
#undef RUN
      for (const auto& t : {best,
                            sum,
                            label,
                            maximum,
                            rank_logit,
                            rank_label,
                            chosen,
                            kept_label,
                            probability,
                            largest_of_word,
                            certainty,
                            dilated,
                            closed,
                            open,
                            counts}) {
        all.push_back(t.to(at::kDouble).nan_to_num());
      }
    }
    const size_t half = all.size() / 2;
    for (size_t i = 0; i < half; ++i) {
      CHECK_CLOSE(distance(all[half + i], all[i]), 0, 1e-5);
    }
  }
}

TEST(emulated_region_weights_are_the_cpu_twins) {
  Random random;
  for (int round = 0; round < 10; ++round) {
    const int64_t count = random.integer(1, 5);
    const int64_t h = random.integer(1, 12), w = random.integer(1, 12);
    const int64_t ph = random.integer(1, 4), pw = random.integer(1, 4);
    const auto corners = 10 * random.tensor({count, 2});
    const auto boxes =
        at::cat({corners, corners + 12 * random.tensor({count, 2}).abs()}, 1);
    const auto wanted = at::empty({count * ph * pw, h * w});
    const auto got = at::empty_like(wanted);
    const auto args_of = [&](const at::Tensor& out) {
      return declip::RoiAlignArgs{boxes.const_data_ptr<float>(),
                                  count,
                                  h,
                                  w,
                                  ph,
                                  pw,
                                  out.mutable_data_ptr<float>()};
    };
    declip::cpu::roi_align_weights(args_of(wanted));
    emulated::roi_align_weights(args_of(got), nullptr);
    CHECK_CLOSE(distance(got, wanted), 0, 2e-5);

    for (const bool bytes : {false, true}) {
      const auto values = random.tensor({count, h * w});
      const auto masks = bytes ? values.gt(0) : values.abs();
      const auto shares = at::empty({count, h * w});
      const auto again = at::empty_like(shares);
      declip::MaskPoolArgs args{masks.const_data_ptr(),
                                bytes,
                                count,
                                h * w,
                                shares.mutable_data_ptr<float>()};
      declip::cpu::mask_pool_weights(args);
      args.weights = again.mutable_data_ptr<float>();
      emulated::mask_pool_weights(args, nullptr);
      // An empty mask has weights of 0 / 1e-12.
      CHECK_CLOSE(distance(again, shares), 0, 1e-6);
    }
  }
}

TEST(emulated_nms_is_the_cpu_twin) {
  Random random;
  for (int round = 0; round < 8; ++round) {
    const int64_t count = random.integer(1, 200);
    const auto corners = (20 * random.tensor({count, 2})).round();
    const auto sides = (15 * random.tensor({count, 2}).abs()).round();
    const auto boxes = at::cat({corners, corners + sides}, 1);
    const auto classes = at::randint(2, {count}, at::kLong);
    const auto wanted = at::empty({count}, at::kByte);
    declip::NmsArgs args;
    args.boxes = boxes.const_data_ptr<float>();
    args.classes = random.coin() ? classes.const_data_ptr<int64_t>() : nullptr;
    args.shift = static_cast<float>(random.integer(0, 40));
    args.apart = random.coin();
    args.count = count;
    args.limit = random.coin() ? count : random.integer(1, 30);
    args.threshold = static_cast<float>(random.real(0, 1));
    args.kept = wanted.mutable_data_ptr<uint8_t>();
    declip::cpu::nms(args);
    in_both_orders([&] {
      const auto got = at::empty_like(wanted);
      const auto bits = at::zeros({count + 1, (count + 63) / 64}, at::kLong);
      auto emulated_args = args;
      emulated_args.kept = got.mutable_data_ptr<uint8_t>();
      emulated_args.overlaps =
          reinterpret_cast<uint64_t*>(bits.mutable_data_ptr<int64_t>());
      emulated::nms(emulated_args, nullptr);
      CHECK(at::equal(got, wanted));
    });
  }
}

TEST(emulated_roi_align_over_levels_is_the_cpu_twin) {
  Random random;
  for (int round = 0; round < 8; ++round) {
    const int64_t channels = random.integer(1, 150);  // more than a block's
    const int64_t pictures = random.integer(1, 2), count = random.integer(1, 5);
    const int64_t out_height = round == 0 ? 70 : random.integer(1, 4);
    const int64_t out_width = random.integer(1, 4);
    const bool half = random.coin();
    std::vector<at::Tensor> maps;
    declip::RoiLevelsArgs args;
    args.map_count = 2;
    for (int64_t level = 0; level < args.map_count; ++level) {
      const int64_t h = random.integer(1, 40), w = random.integer(1, 40);
      auto map = random.tensor({pictures, h, w, channels});
      if (half) map = map.to(at::kBFloat16);
      maps.push_back(map);
      auto& to = args.maps[level];
      to.features = map.const_data_ptr();
      to.height = h;
      to.width = w;
      to.scale_y = static_cast<float>(random.real(0.1, 1));
      to.scale_x = static_cast<float>(random.real(0.1, 1));
    }
    const auto low = 30 * random.tensor({count, 2});
    const auto boxes =
        at::cat({low, low + 60 * random.tensor({count, 2}).clamp_min(0)}, 1);
    const auto level = at::randint(2, {count}, at::kLong);
    const auto picture = at::randint(pictures, {count}, at::kLong);
    const auto wanted =
        at::empty({count, out_height, out_width, channels}, maps[0].options());
    args.pictures_count = pictures;
    args.boxes = boxes.const_data_ptr<float>();
    args.level = level.const_data_ptr<int64_t>();
    args.pictures = picture.const_data_ptr<int64_t>();
    args.count = count;
    args.channels = channels;
    args.out_height = out_height;
    args.out_width = out_width;
    args.type =
        half ? declip::ElementType::kBFloat16 : declip::ElementType::kFloat32;
    args.pooled = wanted.mutable_data_ptr();
    declip::cpu::roi_align_levels(args);
    const auto upstream = random.tensor(wanted.sizes());
    args.upstream = upstream.const_data_ptr<float>();
    const auto backward = [&](auto run) {
      std::vector<at::Tensor> sums;
      auto some = args;
      for (size_t i = 0; i < maps.size(); ++i) {
        sums.push_back(at::zeros(maps[i].sizes(), at::kFloat));
        some.maps[i].gradient = sums.back().mutable_data_ptr<float>();
      }
      run(some);
      return sums;
    };
    const auto sums = backward(
        [](const auto& some) { declip::cpu::roi_align_levels_backward(some); });
    in_both_orders([&] {
      const auto got = at::empty_like(wanted);
      auto some = args;
      some.pooled = got.mutable_data_ptr();
      emulated::roi_align_levels(some, nullptr);
      CHECK_CLOSE(distance(got, wanted), 0, half ? 1e-2 : 2e-5);
      const auto other = backward([](const auto& of) {
        emulated::roi_align_levels_backward(of, nullptr);
      });
      for (size_t i = 0; i < sums.size(); ++i) {
        CHECK_CLOSE(distance(other[i], sums[i]), 0, 2e-4);
      }
    });
  }
}

TEST(emulated_scores_of_two_votes_are_the_cpu_twins) {
  Random random;
  for (int round = 0; round < 8; ++round) {
    const int64_t rows = random.integer(1, 20), words = random.integer(1, 90);
    const bool grouped = random.coin();
    const int64_t classes = grouped ? random.integer(1, 9) : words;
    const auto cosines = random.tensor({rows, words});
    const auto votes = random.tensor({rows, words});
    if (rows > 2) votes[1][words - 1].fill_(std::nan(""));
    const auto shares = random.tensor({classes}).abs();
    const auto word_class = at::randint(classes, {words}, at::kLong);
    const auto wanted = at::empty({rows, classes});
    declip::VoteScoresArgs args;
    args.cosines = cosines.const_data_ptr<float>();
    args.votes = votes.const_data_ptr<float>();
    if (grouped) args.word_class = word_class.const_data_ptr<int64_t>();
    args.shares = shares.const_data_ptr<float>();
    args.rows = rows;
    args.words = words;
    args.classes = classes;
    args.temperature = 40;
    args.vote_temperature = 70;
    args.out = wanted.mutable_data_ptr<float>();
    declip::cpu::vote_scores(args);
    in_both_orders([&] {
      const auto got = at::empty_like(wanted);
      auto some = args;
      some.out = got.mutable_data_ptr<float>();
      emulated::vote_scores(some, nullptr);
      CHECK(at::equal(got.isnan(), wanted.isnan()));
      CHECK_CLOSE(distance(got.nan_to_num(), wanted.nan_to_num()), 0, 2e-5);
    });
  }
}
