#include "cat_seg/fused_head.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "kernels/word_maps.h"
#include "tap.h"

using declip::CatSegConfig;
using declip::CatSegMaps;
using declip::Numerics;
using declip::cat_seg::FusedHead;
using declip::cat_seg::Tensors;

namespace {

struct HeadSizes {
  int64_t embed = 32, prompts = 1, channels = 32, heads = 4, layers = 2;
  int64_t image = 24, text = 16, first = 48, second = 32;
  int64_t guide1 = 8, guide2 = 16, window = 12;
};

CatSegConfig head_config(const HeadSizes& sizes) {
  CatSegConfig config;
  config.embed_dim = sizes.embed;
  config.prompts = sizes.prompts;
  config.channels = sizes.channels;
  config.layers = sizes.layers;
  config.image_guidance = sizes.image;
  config.text_guidance = sizes.text;
  config.guidance = {20, 12};
  config.decoder = {sizes.first, sizes.second};
  config.decoder_guidance = {sizes.guide1, sizes.guide2};
  config.heads = sizes.heads;
  config.window = sizes.window;
  return config;
}

/// Random weights under the authors' names, in double.
class RandomHead {
 public:
  explicit RandomHead(const HeadSizes& sizes) : sizes_(sizes) {
    const int64_t c = sizes.channels;
    add("conv1.weight", {c, sizes.prompts, 7, 7}, 0.3);
    add("conv1.bias", {c}, 0.1);
    layer("text_guidance_projection.0", sizes.text, sizes.embed, 3);
    for (int64_t i = 0; i < sizes.layers; ++i) {
      const std::string name = "layers." + std::to_string(i) + ".";
      norm(name + "swin_block.guidance_norm", sizes.image);
      for (const char* block : {"block_1.", "block_2."}) {
        const std::string inner = name + "swin_block." + block;
        layer(inner + "attn.q", c, c + sizes.image, 1.5);
        layer(inner + "attn.k", c, c + sizes.image, 1.5);
        layer(inner + "attn.v", c, c, 1);
        layer(inner + "attn.proj", c, c, 1);
        feed_forward(inner, "mlp.fc1", "mlp.fc2");
      }
      const std::string outer = name + "attention.";
      add(outer + "padding_tokens", {1, 1, c}, 0.5);
      add(outer + "padding_guidance", {1, 1, sizes.text}, 0.5);
      layer(outer + "attention.q", c, c + sizes.text, 1);
      layer(outer + "attention.k", c, c + sizes.text, 1);
      layer(outer + "attention.v", c, c, 1);
      feed_forward(outer, "MLP.0", "MLP.2");
    }
    decoder("decoder1", c, sizes.first, sizes.guide1);
    decoder("decoder2", sizes.first, sizes.second, sizes.guide2);
    add("head.weight", {1, sizes.second, 3, 3}, 0.2);
    add("head.bias", {1}, 0.2);
  }
  Tensors weights;

 private:
  void add(const std::string& name,
           const std::vector<int64_t>& shape,
           double scale,
           double mean = 0) {
    weights["transformer." + name] =
        (at::randn(shape) * scale + mean).to(at::kDouble);
  }
  void layer(const std::string& name, int64_t out, int64_t in, double scale) {
    add(name + ".weight", {out, in}, scale / std::sqrt(in));
    add(name + ".bias", {out}, 0.1);
  }
  void norm(const std::string& name, int64_t width) {
    add(name + ".weight", {width}, 0.1, 1);
    add(name + ".bias", {width}, 0.1);
  }
  void feed_forward(const std::string& name,
                    const std::string& in,
                    const std::string& out) {
    const int64_t c = sizes_.channels;
    norm(name + "norm1", c);
    norm(name + "norm2", c);
    layer(name + in, 4 * c, c, 1);
    layer(name + out, c, 4 * c, 1);
  }
  void decoder(const std::string& name, int64_t in, int64_t out, int64_t more) {
    const int64_t own = in * 3 / 4;
    const double scale = 1 / std::sqrt(in);
    add(name + ".up.weight", {in, own, 2, 2}, scale);
    add(name + ".up.bias", {own}, 0.3);
    const std::string conv = name + ".conv.double_conv.";
    add(conv + "0.weight", {out, own + more, 3, 3}, 0.3 * scale);
    add(conv + "3.weight", {out, out, 3, 3}, 0.3 / std::sqrt(out));
    norm(conv + "1", out);
    norm(conv + "4", out);
  }

  HeadSizes sizes_;
};

CatSegMaps random_maps(const HeadSizes& sizes, int64_t images, int64_t side) {
  const auto map = [&](int64_t channels, int64_t edge) {
    return at::randn({images, channels, edge, edge});
  };
  const auto features = map(sizes.embed, side);
  return {features / features.norm(2, 1, true).clamp_min(1e-12),
          map(sizes.image, side).relu(),
          map(sizes.guide1, 2 * side).relu(),
          map(sizes.guide2, 4 * side).relu()};
}

/// The head as its authors' program computes it, in double: every word and
/// every padding word written out, guidance repeated for each.
class SlowHead {
 public:
  SlowHead(const CatSegConfig& config, const Tensors& weights)
      : config_(config), weights_(weights) {}

  at::Tensor logits(const CatSegMaps& maps,
                    const at::Tensor& words,
                    int64_t pooling,
                    int64_t limit) {
    images_ = maps.features.size(0);
    side_ = maps.features.size(2);
    auto text = words.to(at::kDouble);
    if (text.dim() == 3) {
      text = text.unsqueeze(0).expand({images_, -1, -1, -1});
    }
    count_ = text.size(1);
    const auto costs = at::einsum("nexy,ntpe->ntpxy",
                                  {maps.features.to(at::kDouble), unit(text)});
    auto x = at::conv2d(costs.flatten(0, 1),
                        value("conv1.weight"),
                        value("conv1.bias"),
                        1,
                        3);  // [n T, C, g, g]
    const auto of_words =
        at::relu(linear(unit(text.mean(2)), "text_guidance_projection.0"));
    const auto of_image = maps.image.to(at::kDouble).permute({0, 2, 3, 1});
    for (int64_t i = 0; i < config_.layers; ++i) {
      const std::string name = "layers." + std::to_string(i) + ".";
      x = space(x, of_image, name + "swin_block.");
      x = over_words(x, of_words, name + "attention.", pooling, limit);
    }
    x = decode(x, maps.decoder1, "decoder1");
    x = decode(x, maps.decoder2, "decoder2");
    return at::conv2d(x, value("head.weight"), value("head.bias"), 1, 1)
        .view({images_, count_, 4 * side_, 4 * side_});
  }

 private:
  at::Tensor value(const std::string& name) {
    return weights_.at("transformer." + name);
  }
  static at::Tensor unit(const at::Tensor& x) {
    return x / x.norm(2, -1, true).clamp_min(1e-12);
  }
  at::Tensor linear(const at::Tensor& x, const std::string& name) {
    return at::linear(x, value(name + ".weight"), value(name + ".bias"));
  }
  at::Tensor norm(const at::Tensor& x, const std::string& name) {
    return at::layer_norm(
        x, {x.size(-1)}, value(name + ".weight"), value(name + ".bias"), 1e-5);
  }
  at::Tensor heads(const at::Tensor& x) {
    return x.unflatten(-1, {config_.heads, -1}).transpose(1, 2);
  }

  at::Tensor space(const at::Tensor& map,
                   const at::Tensor& of_image,
                   const std::string& name) {
    auto x = map.permute({0, 2, 3, 1}).contiguous();
    const auto guidance = norm(of_image, name + "guidance_norm")
                              .unsqueeze(1)
                              .expand({-1, count_, -1, -1, -1})
                              .flatten(0, 1);
    for (int64_t block = 1; block <= 2; ++block) {
      const std::string inner = name + "block_" + std::to_string(block) + ".";
      const int64_t shift =
          block == 2 && side_ > config_.window ? config_.window / 2 : 0;
      x = x + attention(norm(x, inner + "norm1"), guidance, inner, shift);
      const auto hidden =
          at::gelu(linear(norm(x, inner + "norm2"), inner + "mlp.fc1"));
      x = x + linear(hidden, inner + "mlp.fc2");
    }
    return x.permute({0, 3, 1, 2});
  }

  /// One window after the other, cut out of the rolled map.
  at::Tensor attention(const at::Tensor& normed,
                       const at::Tensor& guidance,
                       const std::string& name,
                       int64_t shift) {
    const int64_t window = std::min(config_.window, side_);
    const auto rolled =
        at::roll(at::cat({normed, guidance}, -1), {-shift, -shift}, {1, 2});
    auto regions = at::zeros({side_, side_}, at::kDouble);
    if (shift > 0) {
      const int64_t ends[] = {0, side_ - window, side_ - shift, side_};
      for (int64_t i = 0; i < 9; ++i) {
        regions.slice(0, ends[i / 3], ends[i / 3 + 1])
            .slice(1, ends[i % 3], ends[i % 3 + 1])
            .fill_(i);
      }
    }
    auto out = at::empty_like(normed);
    for (int64_t top = 0; top < side_; top += window) {
      for (int64_t left = 0; left < side_; left += window) {
        const auto cut = [&](const at::Tensor& x, int64_t dim) {
          return x.narrow(dim, top, window).narrow(dim + 1, left, window);
        };
        const auto u = cut(rolled, 1).flatten(1, 2);
        const auto q = heads(linear(u, name + "attn.q"));
        const auto k = heads(linear(u, name + "attn.k"));
        const auto v =
            heads(linear(u.narrow(2, 0, config_.channels), name + "attn.v"));
        const auto region = cut(regions, 0).flatten();
        const auto mask =
            region.unsqueeze(0).ne(region.unsqueeze(1)).to(at::kDouble) * -100;
        const auto scores =
            at::matmul(q, k.mT()) / std::sqrt(q.size(-1)) + mask;
        cut(out, 1).copy_(at::matmul(at::softmax(scores, -1), v)
                              .transpose(1, 2)
                              .reshape({-1, window, window, config_.channels}));
      }
    }
    return at::roll(linear(out, name + "attn.proj"), {shift, shift}, {1, 2});
  }

  at::Tensor over_words(const at::Tensor& map,
                        const at::Tensor& of_words,
                        const std::string& name,
                        int64_t pooling,
                        int64_t limit) {
    const std::string inner = name + "attention.";
    const auto pooled = at::avg_pool2d(map, pooling);
    const int64_t side = pooled.size(2), places = side * side;
    const int64_t missing = std::max<int64_t>(limit - count_, 0);
    auto p = pooled.view({images_, count_, -1, places})
                 .permute({0, 3, 1, 2})
                 .flatten(0, 1);  // [n places, T, C]
    auto guidance =
        of_words.unsqueeze(1).expand({-1, places, -1, -1}).flatten(0, 1);
    const auto repeated = [&](const char* which) {
      return value(name + which).expand({images_ * places, missing, -1});
    };
    p = at::cat({p, repeated("padding_tokens")}, 1);
    guidance = at::cat({guidance, repeated("padding_guidance")}, 1);
    const auto h = norm(p, name + "norm1");
    const auto u = at::cat({h, guidance}, -1);
    const auto q = heads(at::elu(linear(u, inner + "q")) + 1);
    const auto k = heads(at::elu(linear(u, inner + "k")) + 1);
    const auto v = heads(linear(h, inner + "v"));
    const auto weights = at::matmul(q, k.mT());  // of every pair of words
    const auto attended =
        at::matmul(weights, v) / (weights.sum(-1, true) + 1e-6);
    p = p + attended.transpose(1, 2).flatten(2);
    p = p + linear(at::relu(linear(norm(p, name + "norm2"), name + "MLP.0")),
                   name + "MLP.2");
    const auto back = p.narrow(1, 0, count_)
                          .unflatten(0, {images_, places})
                          .permute({0, 2, 3, 1})
                          .reshape({images_ * count_, -1, side, side});
    return map + (pooling == 1
                      ? back
                      : at::upsample_bilinear2d(back, {side_, side_}, true));
  }

  at::Tensor decode(const at::Tensor& x,
                    const at::Tensor& guidance,
                    const std::string& name) {
    auto y = at::conv_transpose2d(
        x, value(name + ".up.weight"), value(name + ".up.bias"), 2);
    y = at::cat({y,
                 guidance.to(at::kDouble)
                     .unsqueeze(1)
                     .expand({-1, count_, -1, -1, -1})
                     .flatten(0, 1)},
                1);
    const std::string conv = name + ".conv.double_conv.";
    for (const int64_t i : {0, 3}) {
      const auto at = [&](int64_t n) { return conv + std::to_string(n); };
      y = at::conv2d(y, value(at(i) + ".weight"), {}, 1, 1);
      y = at::relu(at::group_norm(y,
                                  y.size(1) / 16,
                                  value(at(i + 1) + ".weight"),
                                  value(at(i + 1) + ".bias"),
                                  1e-5));
    }
    return y;
  }

  CatSegConfig config_;
  const Tensors& weights_;
  int64_t images_ = 0, side_ = 0, count_ = 0;
};

struct HeadCase {
  const char* name;
  HeadSizes sizes;
  int64_t images, side, words, pooling, limit;
  bool own_words = false;
};

const std::vector<HeadCase> kHeadCases = {
    {"two windows, shifted", {}, 2, 24, 5, 1, 256},
    {"pooled", {}, 1, 24, 3, 2, 256},
    {"24 channels, 3 heads",
     {48, 1, 24, 3, 1, 16, 8, 32, 16, 8, 8},
     2,
     24,
     2,
     1,
     256},
    {"as large as its window",
     {48, 2, 32, 2, 1, 16, 8, 32, 16, 8, 8, 10},
     2,
     10,
     3,
     1,
     8},
    {"smaller than its window, odd, one word",
     {48, 1, 64, 2, 2, 16, 8, 32, 32, 8, 8},
     3,
     9,
     1,
     1,
     0},
    {"more words than the limit",
     {48, 1, 32, 2, 2, 16, 8, 16, 16, 8, 8, 2},
     3,
     4,
     300,
     1,
     256,
     true},
    {"three prompts, three windows a side",
     {48, 3, 40, 2, 2, 16, 8, 48, 16, 8, 8, 5},
     2,
     15,
     20,
     1,
     256,
     true},
};

struct HeadInputs {
  RandomHead head;
  CatSegMaps maps;
  at::Tensor text;

  explicit HeadInputs(const HeadCase& one)
      : head(one.sizes),
        maps(random_maps(one.sizes, one.images, one.side)),
        text(one.own_words
                 ? at::randn({one.images,
                              one.words,
                              one.sizes.prompts,
                              one.sizes.embed})
                 : at::randn({one.words, one.sizes.prompts, one.sizes.embed})) {
  }
};

Numerics fused_numerics(at::ScalarType dtype) {
  Numerics numerics;
  numerics.fused = true;
  numerics.dtype = dtype;
  return numerics;
}

double largest(const at::Tensor& x) { return x.abs().max().item<double>(); }

TEST(fused_head_is_the_head_written_out) {
  at::manual_seed(7);
  for (const auto& one : kHeadCases) {
    const tap::Case in(one.name);
    const HeadInputs inputs(one);
    const auto config = head_config(one.sizes);
    const auto expected =
        SlowHead(config, inputs.head.weights)
            .logits(inputs.maps, inputs.text, one.pooling, one.limit);
    for (const auto dtype : {at::kFloat, at::kBFloat16}) {
      const auto numerics = fused_numerics(dtype);
      CHECK(FusedHead::fits(config, inputs.head.weights, numerics));
      const auto got =
          FusedHead(config, inputs.head.weights, numerics)
              .logits(inputs.maps, inputs.text, one.pooling, one.limit, {});
      CHECK(got.sizes() == expected.sizes());
      const double error = largest(got - expected);
      if (dtype == at::kFloat) {
        CHECK_CLOSE(error, 0, 1e-5 * largest(expected));
      } else {
        CHECK_CLOSE(error, 0, 0.04 * largest(expected));
      }
    }
  }
}

TEST(fused_head_does_not_depend_on_threads) {
  at::manual_seed(8);
  const auto& one = kHeadCases.back();
  const HeadInputs inputs(one);
  const int threads = at::get_num_threads();
  for (const auto dtype : {at::kFloat, at::kBFloat16}) {
    const FusedHead head(
        head_config(one.sizes), inputs.head.weights, fused_numerics(dtype));
    const auto run = [&](int count) {
      at::set_num_threads(count);
      return head.logits(inputs.maps, inputs.text, 1, 256, {});
    };
    const auto alone = run(1);
    CHECK(at::equal(alone, run(3)));
  }
  at::set_num_threads(threads);
}

TEST(fused_head_stops_when_its_call_is_cancelled) {
  const auto& one = kHeadCases.front();
  const HeadInputs inputs(one);
  const FusedHead head(
      head_config(one.sizes), inputs.head.weights, fused_numerics(at::kFloat));
  declip::Call call;
  call.cancelled = std::make_shared<std::atomic<bool>>(true);
  CHECK_THROWS_CODE(head.logits(inputs.maps, inputs.text, 1, 256, call),
                    declip::ErrorCode::kAborted);
}

TEST(fused_head_is_for_fused_numerics) {
  const auto& one = kHeadCases.front();
  const HeadInputs inputs(one);
  CHECK(!FusedHead::fits(
      head_config(one.sizes), inputs.head.weights, Numerics()));
  auto narrow = head_config(one.sizes);
  narrow.decoder = {40, 32};
  CHECK(!FusedHead::fits(
      narrow, inputs.head.weights, fused_numerics(at::kFloat)));
}

}  // namespace
