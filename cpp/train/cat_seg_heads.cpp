#include "train/cat_seg_heads.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "declip/model.h"
#include "model/layers.h"
#include "model/recorded.h"

namespace declip {
namespace {

constexpr double kNormEpsilon = 1e-5;
constexpr double kSumEpsilon = 1e-6;  // beside the sum of keys
constexpr int64_t kGroupChannels = 16;
constexpr char kHead[] = "transformer.";

/// Sides of the tiles that rows or columns are cut into: windows, or with
/// `shift` their parts that belong together.
std::vector<int64_t> tile_sides(int64_t grid, int64_t window, int64_t shift) {
  std::vector<int64_t> out;
  if (shift > 0) out.push_back(shift);
  for (int64_t at = shift; at < grid; at += window) {
    out.push_back(std::min(window, grid - at));
  }
  return out;
}

/// [n, g, g, C] -> [n, g g, C], tile after tile.
at::Tensor into_tiles(const at::Tensor& x, const std::vector<int64_t>& sides) {
  std::vector<at::Tensor> tiles;
  for (const auto& row : x.split_with_sizes(sides, 1)) {
    for (const auto& tile : row.split_with_sizes(sides, 2)) {
      tiles.push_back(tile.flatten(1, 2));
    }
  }
  return tiles.size() == 1 ? tiles[0] : at::cat(tiles, 1);
}

/// And back.
at::Tensor from_tiles(const at::Tensor& x, const std::vector<int64_t>& sides) {
  std::vector<int64_t> sizes;
  for (const int64_t height : sides) {
    for (const int64_t width : sides) sizes.push_back(height * width);
  }
  const auto tiles = x.split_with_sizes(sizes, 1);
  std::vector<at::Tensor> rows;
  size_t next = 0;
  for (const int64_t height : sides) {
    std::vector<at::Tensor> row;
    for (const int64_t width : sides) {
      row.push_back(tiles[next++].unflatten(1, {height, width}));
    }
    rows.push_back(at::cat(row, 2));
  }
  return at::cat(rows, 1);
}

/// [n, h, w, C] as [n, C, h, w] in channels-last memory, and back.
at::Tensor as_planes(const at::Tensor& x) { return x.permute({0, 3, 1, 2}); }
at::Tensor as_rows(const at::Tensor& x) { return x.permute({0, 2, 3, 1}); }

at::Tensor channels_last(const at::Tensor& x) {
  return x.contiguous(at::MemoryFormat::ChannelsLast);
}

}  // namespace

const at::Tensor& RecordedCatSeg::weight(const std::string& name) const {
  return weights_.at(name);
}

at::Tensor RecordedCatSeg::norm(const std::string& name,
                                const at::Tensor& x) const {
  return at::layer_norm(x,
                        {x.size(-1)},
                        weight(name + ".weight"),
                        weight(name + ".bias"),
                        kNormEpsilon);
}

at::Tensor RecordedCatSeg::product(const at::Tensor& x,
                                   const at::Tensor& weight,
                                   const at::Tensor& bias) const {
  return recorded_linear(
      x.to(products_), weight, bias.defined() ? bias.to(products_) : bias);
}

at::Tensor RecordedCatSeg::convolved(const at::Tensor& x,
                                     const at::Tensor& weight,
                                     const at::Tensor& bias) const {
  return at::conv2d(channels_last(x.to(products_)),
                    weight.to(products_),
                    bias.defined() ? bias.to(products_) : bias,
                    /*stride=*/1,
                    /*padding=*/weight.size(2) / 2)
      .to(at::kFloat);
}

at::Tensor RecordedCatSeg::guide(const std::string& name,
                                 const at::Tensor& x) const {
  return convolved(x, weight(name + ".weight"), weight(name + ".bias")).relu();
}

/// Attention of every word's places within tiles, and the MLP. x [n, g, g, C]
/// of the words of all pictures, guidance [B, g, g, Ci], normed.
at::Tensor RecordedCatSeg::places(const std::string& block,
                                  const at::Tensor& x,
                                  const at::Tensor& guidance,
                                  bool shifted) const {
  const int64_t n = x.size(0), grid = x.size(1), c = x.size(3);
  const int64_t pictures = guidance.size(0);
  const bool whole = grid <= config_.window;
  const int64_t window = whole ? grid : config_.window;
  const auto sides =
      tile_sides(grid, window, shifted && !whole ? window / 2 : 0);
  const auto attention = block + "attn.";
  const auto& wq = weight(attention + "q.weight");
  const auto& wk = weight(attention + "k.weight");

  // Queries and keys see cost and guidance side by side; the guidance's half is
  // that of all words.
  const auto common =
      product(into_tiles(guidance, sides),
              at::cat({wq.slice(1, c), wk.slice(1, c)}),
              at::cat({weight(attention + "q.bias"),
                       weight(attention + "k.bias")}));  // (B, N, 2 C)
  const auto own =
      product(into_tiles(norm(block + "norm1", x), sides),
              at::cat({wq.slice(1, 0, c),
                       wk.slice(1, 0, c),
                       weight(attention + "v.weight")}),
              at::cat({at::zeros({2 * c}, x.options()),
                       weight(attention + "v.bias")}));  // (n, N, 3 C)
  const auto parts = own.split_with_sizes({2 * c, c}, 2);
  const auto qk =
      (parts[0].unflatten(0, {pictures, n / pictures}) + common.unsqueeze(1))
          .flatten(0, 1)
          .chunk(2, 2);
  const auto head = [&](const at::Tensor& t) {
    return t.unflatten(-1, {config_.heads, c / config_.heads});
  };
  const auto q = head(qk[0]), k = head(qk[1]), v = head(parts[1]);
  const double scale = 1 / std::sqrt(static_cast<double>(c) /
                                     static_cast<double>(config_.heads));
  std::vector<int64_t> sizes;
  for (const int64_t height : sides) {
    for (const int64_t width : sides) sizes.push_back(height * width);
  }
  const auto qs = q.split_with_sizes(sizes, 1);
  const auto ks = k.split_with_sizes(sizes, 1);
  const auto vs = v.split_with_sizes(sizes, 1);
  std::vector<at::Tensor> attended;
  for (size_t i = 0; i < sizes.size(); ++i) {
    attended.push_back(recorded_attention(qs[i], ks[i], vs[i], scale));
  }
  const auto out = product(at::cat(attended, 1),
                           weight(attention + "proj.weight"),
                           weight(attention + "proj.bias"));
  const auto y = x + from_tiles(out, sides).to(at::kFloat);
  const auto hidden = product(norm(block + "norm2", y),
                              weight(block + "mlp.fc1.weight"),
                              weight(block + "mlp.fc1.bias"));
  return y + recorded_linear(hidden,
                             weight(block + "mlp.fc2.weight"),
                             weight(block + "mlp.fc2.bias").to(products_),
                             Epilogue::kGelu)
                 .to(at::kFloat);
}

/// Attention of every place's words, and the MLP. x [B T, g, g, C], text
/// guidance [T, Ct].
at::Tensor RecordedCatSeg::words(const std::string& layer,
                                 const at::Tensor& x,
                                 const at::Tensor& text,
                                 int64_t pictures,
                                 int64_t pooling) const {
  const int64_t count = text.size(0), c = x.size(3), grid = x.size(1);
  const int64_t heads = config_.heads;
  const auto attention = layer + "attention.";
  auto p = pooling == 1
               ? x
               : as_rows(at::avg_pool2d(as_planes(x), {pooling, pooling}));
  const int64_t side = p.size(1);
  p = p.unflatten(0, {pictures, count}).flatten(2, 3);  // (B, T, N, C)
  const auto& wq = weight(attention + "q.weight");
  const auto& wk = weight(attention + "k.weight");
  const auto& wv = weight(attention + "v.weight");
  const auto& bv = weight(attention + "v.bias");
  const auto guided = at::cat({wq.slice(1, c), wk.slice(1, c)});
  const auto guided_bias =
      at::cat({weight(attention + "q.bias"), weight(attention + "k.bias")});
  const auto stacked = at::cat({wq.slice(1, 0, c), wk.slice(1, 0, c), wv});
  const auto stacked_bias = at::cat({at::zeros({2 * c}, x.options()), bv});
  const auto project = [&](const at::Tensor& rows, const at::Tensor& guidance) {
    const auto parts =
        product(norm(layer + "norm1", rows), stacked, stacked_bias)
            .to(at::kFloat)
            .split_with_sizes({2 * c, c}, -1);
    const auto common = product(guidance, guided, guided_bias).to(at::kFloat);
    const auto qk = at::elu(parts[0] + common).add(1).chunk(2, -1);
    return Heads{qk[0], qk[1], parts[1]};
  };
  // Per place and head: [B, N, n, T, d].
  const auto split = [&](const at::Tensor& t) {
    return t.unflatten(-1, {heads, c / heads}).permute({0, 2, 3, 1, 4});
  };
  const auto own = project(p, text.unsqueeze(1));
  const auto q = split(own.q).contiguous();
  const auto k = split(own.k).contiguous();
  const auto v = split(own.v).contiguous();
  auto sum = k.transpose(3, 4).matmul(v);  // (B, N, n, d, d)
  auto keys = k.sum(3);                    // (B, N, n, d)
  if (count < config_.word_limit) {
    // All padding words are alike, so that their sum is one times their number.
    const auto pads = static_cast<double>(config_.word_limit - count);
    const auto pad = project(weight(layer + "padding_tokens").view({1, c}),
                             weight(layer + "padding_guidance").view({1, -1}));
    const auto pad_k = pad.k.view({heads, c / heads});
    const auto pad_v = pad.v.view({heads, c / heads});
    sum = sum + pads * (pad_k.unsqueeze(2) * pad_v.unsqueeze(1));
    keys = keys + pads * pad_k;
  }
  const auto weights = q.matmul(keys.unsqueeze(4)) + kSumEpsilon;
  const auto attended = (q.matmul(sum) / weights)
                            .permute({0, 3, 1, 2, 4})
                            .flatten(3);  // (B, T, N, C)
  p = p + attended;
  const auto hidden = product(norm(layer + "norm2", p),
                              weight(layer + "MLP.0.weight"),
                              weight(layer + "MLP.0.bias"));
  p = p + recorded_linear(hidden.relu(),
                          weight(layer + "MLP.2.weight"),
                          weight(layer + "MLP.2.bias").to(products_))
              .to(at::kFloat);
  p = p.flatten(0, 1).unflatten(1, {side, side});
  if (side == grid) return x + p;
  return x + as_rows(at::upsample_bilinear2d(
                 as_planes(p), {grid, grid}, /*align_corners=*/true));
}

/// One step of the decoder: x [n, g, g, C], guidance [B, G, 2 g, 2 g] -> [n, 2
/// g, 2 g, K].
at::Tensor RecordedCatSeg::decode(const std::string& step,
                                  const at::Tensor& x,
                                  const at::Tensor& guidance) const {
  const auto& up = weight(step + "up.weight");  // (C, O, 2, 2)
  const int64_t n = x.size(0), grid = x.size(1), c = x.size(3);
  const int64_t out = up.size(1), pictures = guidance.size(0);
  // Every place becomes four.
  const auto wide = product(x,
                            up.permute({2, 3, 1, 0}).reshape({4 * out, c}),
                            weight(step + "up.bias").repeat({4}))
                        .view({n, grid, grid, 2, 2, out})
                        .permute({0, 1, 3, 2, 4, 5})
                        .reshape({n, 2 * grid, 2 * grid, out});
  const auto twice = step + "conv.double_conv.";
  const auto& first = weight(twice + "0.weight");
  const auto normed = [&](const std::string& name, const at::Tensor& y) {
    return at::group_norm(y,
                          y.size(1) / kGroupChannels,
                          weight(name + ".weight"),
                          weight(name + ".bias"),
                          kNormEpsilon)
        .relu();
  };
  const auto common = convolved(guidance, first.slice(1, out), {});
  auto y = convolved(as_planes(wide), first.slice(1, 0, out), {});
  y = (y.unflatten(0, {pictures, n / pictures}) + common.unsqueeze(1))
          .flatten(0, 1);
  y = normed(twice + "1", y);
  y = normed(twice + "4", convolved(y, weight(twice + "3.weight"), {}));
  return as_rows(y);
}

at::Tensor RecordedCatSeg::logits(const at::Tensor& features,
                                  const at::Tensor& first,
                                  const at::Tensor& second,
                                  const at::Tensor& text,
                                  int64_t pooling,
                                  const Call& call) const {
  const std::string head = kHead;
  const int64_t pictures = features.size(0), grid = features.size(2);
  const int64_t count = text.size(0);
  const auto unit = l2_normalize(features, 1);
  const auto guidance = guide(head + "guidance_projection.0",
                              config_.unit_patches ? unit : features);
  const auto text_guidance =
      product(l2_normalize(text, 1),
              weight(head + "text_guidance_projection.0.weight"),
              weight(head + "text_guidance_projection.0.bias"))
          .relu()
          .to(at::kFloat);
  const auto joined = [&](const std::string& name,
                          const std::string& up,
                          const at::Tensor& map) {
    const auto& w = weight(up + ".weight");
    return guide(name,
                 at::conv_transpose2d(
                     map, w, weight(up + ".bias"), /*stride=*/w.size(2)));
  };
  const auto decoder1 =
      joined(head + "decoder_guidance_projection.0.0", "upsample1", first);
  const auto decoder2 =
      joined(head + "decoder_guidance_projection.1.0", "upsample2", second);

  const auto cost = l2_normalize(text, 1)
                        .matmul(unit.flatten(2))  // (B, T, g g)
                        .view({pictures * count, 1, grid, grid});
  auto x = as_rows(convolved(
      cost, weight(head + "conv1.weight"), weight(head + "conv1.bias")));
  for (int64_t i = 0; i < config_.layers; ++i) {
    const auto layer = head + "layers." + std::to_string(i) + ".";
    const auto normed =
        norm(layer + "swin_block.guidance_norm", as_rows(guidance));
    call.check();
    x = places(layer + "swin_block.block_1.", x, normed, false);
    call.check();
    x = places(layer + "swin_block.block_2.", x, normed, true);
    call.check();
    x = words(layer + "attention.", x, text_guidance, pictures, pooling);
  }
  call.check();
  x = decode(head + "decoder1.", x, decoder1);
  x = decode(head + "decoder2.", x, decoder2);
  return convolved(as_planes(x),
                   weight(head + "head.weight"),
                   weight(head + "head.bias"))
      .view({pictures, count, 4 * grid, 4 * grid});
}

}  // namespace declip
