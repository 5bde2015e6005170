// CorrCLIP stage by stage against its authors' code (leading-methods),
// and against plain loops written from its description.

#include "model/corrclip.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "checkpoint/family.h"
#include "checkpoint_files.h"
#include "declip/error.h"
#include "declip/model.h"
#include "golden.h"
#include "image/region_map.h"
#include "kernels/dense_attention.h"
#include "model/dense_mode.h"
#include "model/proxy.h"
#include "random_planes.h"
#include "segment/picture_proxy.h"
#include "small_models.h"
#include "tap.h"

using declip::CorrClipStages;
using declip::DenseMode;
using declip::DenseOptions;
using declip::ErrorCode;
using declip::Numerics;
using declip::RegionNumbers;
using declip::VisionTower;

namespace {

const Golden& leading() {
  static const Golden golden("leading-methods");
  return golden;
}

int64_t whole(const declip::Json& object, const char* name) {
  return static_cast<int64_t>(*object.find(name)->number());
}

std::vector<int64_t> wholes(const declip::Json& object, const char* name) {
  std::vector<int64_t> out;
  for (const auto& one : *object.find(name)->array())
    out.push_back(static_cast<int64_t>(*one.number()));
  return out;
}

std::unique_ptr<VisionTower> tower_of(const declip::Checkpoint& from,
                                      bool fused) {
  const declip::Call call;
  const declip::Weights weights(from.tensors, at::kCPU, at::kFloat, call);
  Numerics numerics;
  numerics.fused = fused;
  return from.config.family->training->make_tower(
      from.config.vision, weights, numerics);
}

/// A window of a case, padded as it says: [1, 3, H, W].
at::Tensor window_of(const std::string& id) {
  const auto& one = leading().at(id);
  const auto& options = *one.find("options");
  const auto w = wholes(options, "window");
  const auto p = wholes(options, "padding_left_right_top_bottom");
  const auto cut =
      leading().image(id).slice(2, w[0], w[2]).slice(3, w[1], w[3]);
  return at::constant_pad_nd(cut, {p[0], p[1], p[2], p[3]}, 0.0).contiguous();
}

/// Fails unless at most three rows are outside the tolerance, and those within
/// 2 % of the largest value: a pair of patches may be within rounding of the
/// mean.
void compare_rows(const std::string& id,
                  const std::string& name,
                  const at::Tensor& got) {
  const auto& spec = *leading().at(id).find("outputs")->find(name);
  const auto expected = leading().tensor(spec).to(at::kDouble);
  const auto off = (got.to(at::kDouble).reshape(expected.sizes()) - expected)
                       .abs()
                       .reshape({-1, expected.size(-1)});
  const auto allowed = (*spec.find("atol")->number() +
                        *spec.find("rtol")->number() * expected.abs())
                           .reshape({-1, expected.size(-1)});
  const auto rows = off.le(allowed).all(1).logical_not().sum().item<int64_t>();
  const double most = off.max().item<double>();
  if (rows <= 3 && most <= 0.02 * *spec.find("max_abs")->number()) return;
  tap::fail(__FILE__,
            __LINE__,
            id + " " + name + ": " + std::to_string(rows) +
                " rows outside the tolerance, off by up to " +
                std::to_string(most));
}

/// The same numbers of regions as a map of the authors', whose smallest value
/// is no region.
bool same_regions(const std::string& id,
                  const std::string& name,
                  const at::Tensor& got) {
  const auto& spec = *leading().at(id).find("outputs")->find(name);
  return declip::number_regions(leading().tensor(spec), true)
      .of.equal(got.flatten());
}

DenseOptions corrclip(const at::Tensor& features, const at::Tensor& regions) {
  DenseOptions options;
  options.mode = DenseMode::kCorrClip;
  options.proxy_features = features;
  options.regions = regions;
  return options;
}

}  // namespace

TEST(corrclip_windows_are_those_of_the_authors_code) {
  const c10::InferenceMode guard;
  std::set<std::string> seen;
  for (const auto& id : leading().ids()) {
    if (id.find("corrclip-window") != 0) continue;
    const tap::Case here(id);
    const auto& one = leading().at(id);
    const auto& outputs = *one.find("outputs");
    declip::LoadOptions vfm_options;
    vfm_options.overrides.head_width = whole(*one.find("vfm_config"), "width") /
                                       whole(*one.find("vfm_config"), "heads");
    vfm_options.device = "cpu";
    const auto vfm = declip::Model::load(
        leading().path(*one.find("vfm_weights")->string()), vfm_options, {});
    const auto& config = *one.find("config");
    declip::ConfigOverrides overrides;
    overrides.head_width =
        whole(config, "vision_width") / whole(config, "vision_heads");
    const auto file = declip::load_checkpoint(
        leading().path(*one.find("weights")->string()), overrides);
    const auto image = window_of(id);
    const auto regions =
        leading()
            .tensor(*one.find("inputs")->find("window_regions"))
            .to(at::kInt)
            .unsqueeze(0);
    const auto features = declip::proxy_features(
        *vfm, image, file.config.pixels, declip::ProxyPart::kQueryKey, {});
    for (const bool fused : {true, false}) {
      auto options = corrclip(features, regions);
      options.corrclip.smallest_is_unsegmented = true;
      const auto tower = tower_of(file, fused);
      CorrClipStages stages;
      const auto got = declip::corrclip_features(
          *tower, image, options, {}, nullptr, &stages);
      const auto has = [&](const char* name) {
        const bool found = outputs.find(name) != nullptr;
        if (found) seen.insert(name);
        return found;
      };
      if (has("vfm_features"))
        leading().compare(id, "vfm_features", stages.unit);
      CHECK(has("regions_on_grid") &&
            same_regions(id, "regions_on_grid", stages.given.of));
      CHECK(has("merged_on_grid") &&
            same_regions(id, "merged_on_grid", stages.merged.of));
      CHECK(has("merged_on_tokens") &&
            same_regions(id, "merged_on_tokens", stages.on_tokens));
      if (has("region_distance")) {
        leading().compare(id, "region_distance", stages.distances);
      } else {
        CHECK(!stages.distances.defined());
      }
      if (has("cluster")) {
        // of every region, which lies in its cluster's
        const auto cluster = leading().tensor(*outputs.find("cluster"));
        const auto *given = stages.given.of.const_data_ptr<int32_t>(),
                   *merged = stages.merged.of.const_data_ptr<int32_t>();
        CHECK(cluster.numel() == stages.given.count);
        for (int64_t i = 0; i < stages.given.of.numel(); ++i) {
          if (given[i] == 0) continue;
          CHECK(merged[i] == 1 + cluster[given[i] - 1].item<int32_t>());
        }
      }
      if (has("attention")) {
        // Attention to values that are the axes is the weights themselves.
        const int64_t cells = stages.unit.size(0);
        declip::AttentionOptions attention;
        const auto groups = stages.merged.of.unsqueeze(0);
        attention.scope = declip::GroupScope{groups, groups, 4 * stages.mean};
        const auto f = stages.unit.unsqueeze(0).unsqueeze(2);
        const auto axes = at::eye(cells).view({1, cells, 1, cells});
        const std::vector<declip::AttentionTerm> terms{{{{f, f}}, 4.0, 1.0}};
        const auto weights =
            fused ? declip::dense_attention(terms, axes, attention)
                  : declip::dense_attention_eager(terms, axes, attention);
        const auto& expected = *outputs.find("attention");
        const int64_t rows = leading().tensor(expected).size(0);
        CHECK(cells % rows == 0);
        leading().compare(
            id, "attention", weights[0].slice(0, 0, cells, cells / rows));
      }
      if (has("main")) compare_rows(id, "main", stages.main);
      if (has("spatial")) compare_rows(id, "spatial", stages.spatial);
      if (has("region_class_tokens"))
        leading().compare(id, "region_class_tokens", stages.class_tokens);
      if (has("semantic")) leading().compare(id, "semantic", stages.semantic);
      compare_rows(id, "tokens", got.flatten(2).transpose(1, 2));
    }
  }
  CHECK(seen.size() == 11);  // every stage, each in some case
}

namespace {

/// The maps of windows by way of the whole resized map.
at::Tensor plain_cut(const at::Tensor& map,
                     const declip::WindowPlan& plan,
                     int64_t index) {
  const auto in = map.accessor<int32_t, 2>();
  const auto w = plan[index];
  auto out = at::empty({plan.padded_height(), plan.padded_width()}, at::kInt);
  auto target = out.accessor<int32_t, 2>();
  const int32_t border = std::max(10000, map.max().item<int32_t>() + 1);
  for (int64_t y = 0; y < out.size(0); ++y) {
    for (int64_t x = 0; x < out.size(1); ++x) {
      const int64_t r = w.y1 + y - plan.padding.top;
      const int64_t c = w.x1 + x - plan.padding.left;
      const bool inside = r >= w.y1 && r < w.y2 && c >= w.x1 && c < w.x2;
      target[y][x] =
          inside
              ? in[r * map.size(0) / plan.height][c * map.size(1) / plan.width]
              : border;
    }
  }
  return out;
}

/// Numbers 0..count - 1 in squares of some pixels.
at::Tensor random_regions(Random& random, int64_t h, int64_t w, int64_t count) {
  auto out = at::empty({h, w}, at::kInt);
  const int64_t side = random.integer(2, 9);
  std::map<std::pair<int64_t, int64_t>, int32_t> squares;
  for (int64_t y = 0; y < h; ++y) {
    for (int64_t x = 0; x < w; ++x) {
      const auto [at, fresh] = squares.try_emplace({y / side, x / side}, 0);
      if (fresh)
        at->second = static_cast<int32_t>(random.integer(0, count - 1));
      out[y][x] = at->second;
    }
  }
  return out;
}

}  // namespace

TEST(region_maps_are_cut_as_the_pictures_are) {
  Random random;
  for (int round = 0; round < 10; ++round) {
    const int64_t h = random.integer(3, 40), w = random.integer(3, 40);
    auto map = random_regions(random, h, w, 9);
    if (round % 3 == 0) map += 20000;
    const int64_t height = random.integer(2, 60), width = random.integer(2, 60);
    const int64_t side = random.integer(1, 30);
    const auto plan = declip::plan_windows(
        height, width, side, random.integer(1, side), random.integer(1, 8));
    const auto got = declip::cut_regions(map, plan, 0, plan.size());
    for (int64_t i = 0; i < plan.size(); ++i)
      CHECK(got[i].equal(plain_cut(map, plan, i)));
    if (plan.size() > 1)
      CHECK(declip::cut_regions(map, plan, 1, 2)[0].equal(got[1]));
  }
}

TEST(windows_of_a_whole_pictures_features_need_no_map_of_pixels) {
  Random random;
  for (int round = 0; round < 8; ++round) {
    const int64_t h = random.integer(1, 9), w = random.integer(1, 9);
    const auto features = random.tensor({5, h, w});
    const int64_t height = random.integer(4, 70), width = random.integer(4, 70);
    const int64_t side = random.integer(4, 40);
    const auto plan = declip::plan_windows(
        height, width, side, random.integer(1, side), random.integer(1, 12));
    const declip::Size grid{random.integer(1, 8), random.integer(1, 8)};
    const auto unit = [](const at::Tensor& x) {
      return x / x.norm(2, {1}, true);
    };
    const auto pixels = unit(
        at::upsample_bilinear2d(features.unsqueeze(0), {height, width}, false));
    const auto got = declip::window_proxy(features, plan, 0, plan.size(), grid);
    for (int64_t i = 0; i < plan.size(); ++i) {
      const auto one = plan[i];
      const auto& p = plan.padding;
      const auto cut = at::replication_pad2d(
          pixels.slice(2, one.y1, one.y2).slice(3, one.x1, one.x2),
          {p.left, p.right, p.top, p.bottom});
      const auto expected =
          unit(at::upsample_bilinear2d(cut, {grid.height, grid.width}, false));
      CHECK_CLOSE(distance(got[i], expected[0]), 0, 2e-5);
    }
  }
}

TEST(regions_merge_along_chains) {
  // Three directions, 40 degrees apart: the outer two are too far from each
  // other, but not from the one between them. A fourth is alone.
  const auto direction = [](double degrees) {
    const double a = degrees * 3.14159265358979 / 180;
    return at::tensor({std::cos(a), std::sin(a)}, at::kFloat);
  };
  const auto unit = at::stack({direction(0),
                               direction(170),
                               direction(40),
                               direction(80),
                               direction(80),
                               direction(10)});
  RegionNumbers given{at::tensor({1, 2, 3, 4, 4, 0}, at::kInt), 4};
  at::Tensor apart;
  const auto merged = declip::merge_regions(given, unit, 0.25, &apart);
  CHECK(merged.count == 2);
  CHECK(merged.of.equal(at::tensor({1, 2, 1, 1, 1, 0}, at::kInt)));
  CHECK_CLOSE(
      apart[0][2].item<double>(), 1 - std::cos(40 * 3.14159265 / 180), 1e-6);
  const auto none = declip::merge_regions(given, unit, 0.2, nullptr);
  CHECK(none.count == 4 && none.of.equal(given.of));
}

TEST(regions_are_numbered_by_either_rule) {
  const auto map = at::tensor({7, 7, 3, 12, 3}, at::kInt);
  const auto zero = declip::number_regions(map, false);
  CHECK(zero.count == 3);
  CHECK(zero.of.equal(at::tensor({2, 2, 1, 3, 1}, at::kInt)));
  const auto smallest = declip::number_regions(map, true);
  CHECK(smallest.count == 2);
  CHECK(smallest.of.equal(at::tensor({1, 1, 0, 2, 0}, at::kInt)));
  const auto signs =
      declip::number_regions(at::tensor({0, -4, 5}, at::kInt), false);
  CHECK(signs.of.equal(at::tensor({0, 1, 2}, at::kInt)));
}

namespace {

/// Every step of the description on one picture, in double and without any of
/// its short cuts: copies of the class token stand in the sequence, masked, and
/// the attention is a matrix. Norms and products are the tower's own.
at::Tensor plain_corrclip(const VisionTower& tower,
                          const at::Tensor& image,
                          const DenseOptions& options) {
  const auto& own = options.corrclip;
  const auto f = options.proxy_features[0];  // [C, h, w]
  const int64_t h = f.size(1), w = f.size(2), cells = h * w;
  const auto grid = tower.grid(image.size(2), image.size(3));
  const int64_t last = tower.depth() - 1, heads = tower.config().heads;
  const auto nearest =
      [](const at::Tensor& map, int64_t rows, int64_t columns) {
        auto out = at::empty({rows, columns}, at::kInt);
        for (int64_t y = 0; y < rows; ++y)
          for (int64_t x = 0; x < columns; ++x)
            out[y][x] = map[y * map.size(0) / rows][x * map.size(1) / columns];
        return out;
      };
  auto region = nearest(options.regions[0], h, w).flatten();
  auto rows = f.flatten(1).t().to(at::kDouble);
  rows = rows / rows.norm(2, {1}, true);
  const auto s = at::matmul(rows, rows.t());
  const double mean = s.mean().item<double>();

  // Merging by repeated relabelling of the graph.
  std::map<int, int> cluster;
  for (int64_t i = 0; i < cells; ++i) {
    const int r = region[i].item<int>();
    if (r != 0) cluster[r] = r;
  }
  if (own.merge && cluster.size() > 1) {
    std::map<int, at::Tensor> phi;
    double largest = -2;
    for (const auto& [r, _] : cluster) {
      const auto m =
          rows.index_select(0, (region == r).nonzero().squeeze(1)).mean(0);
      phi[r] = m / m.norm();
    }
    for (const auto& [a, x] : phi)
      for (const auto& [b, y] : phi)
        largest = std::max(largest, x.dot(y).item<double>());
    for (size_t round = 0; round < cluster.size(); ++round) {
      for (const auto& [a, x] : phi) {
        for (const auto& [b, y] : phi) {
          if (largest - x.dot(y).item<double>() > own.merge_distance) continue;
          cluster[a] = cluster[b] = std::min(cluster[a], cluster[b]);
        }
      }
    }
  }
  for (int64_t i = 0; i < cells; ++i) {
    const int r = region[i].item<int>();
    if (r != 0) region[i] = cluster[r];
  }

  auto weights = at::zeros({cells, cells}, at::kDouble);
  for (int64_t i = 0; i < cells; ++i) {
    bool any = false;
    for (int64_t j = 0; j < cells; ++j) {
      const int a = region[i].item<int>(), b = region[j].item<int>();
      const double score = s[i][j].item<double>();
      if ((a == b && a != 0) || ((a == 0 || b == 0) && score > mean)) {
        weights[i][j] = std::exp(own.gain * score);
        any = true;
      }
    }
    if (!any) weights[i][i] = 1;
  }
  weights = (weights / weights.sum(1, true)).to(at::kFloat);

  const auto tokens = nearest(region.view({h, w}), grid.h, grid.w);
  std::set<int> values;
  for (int64_t i = 0; i < tokens.numel(); ++i)
    values.insert(tokens.flatten()[i].item<int>());
  const auto r = static_cast<int64_t>(values.size());
  const auto ordinary = tower.embed(image, declip::Positions::kScaleFactor);
  const int64_t patches = grid.h * grid.w;
  auto mask = at::zeros({r + 1 + patches, r + 1 + patches}, at::kBool);
  mask.slice(0, r).slice(1, r).fill_(true);
  std::map<int, int64_t> copy;
  for (const int value : values) {
    const auto i = static_cast<int64_t>(copy.size());
    copy[value] = i;
    mask[i][r] = true;
    for (int64_t j = 0; j < patches; ++j)
      mask[i][r + 1 + j] = tokens.flatten()[j].item<int>() == value;
  }
  auto x = at::cat({ordinary.slice(1, 0, 1).expand({1, r, -1}), ordinary}, 1);

  // One block over all rows; rotary positions are those of the ordinary part.
  const auto block = [&](int64_t i, const at::Tensor& in) {
    const auto normed = tower.norm1(i, in);
    auto all = tower.project(i, normed, {});
    declip::Heads part{all.q.slice(1, r).clone(),
                       all.k.slice(1, r).clone(),
                       all.v.slice(1, r)};
    tower.rotate(part, grid);
    const auto q = at::cat({all.q.slice(1, 0, r), part.q}, 1).transpose(1, 2);
    const auto k = at::cat({all.k.slice(1, 0, r), part.k}, 1).transpose(1, 2);
    const auto v = all.v.transpose(1, 2);
    const double scale =
        1 / std::sqrt(static_cast<double>(tower.config().width / heads));
    const auto scores =
        (at::matmul(q, k.transpose(2, 3)) * scale)
            .masked_fill(mask.logical_not(),
                         -std::numeric_limits<double>::infinity());
    const auto merged =
        at::matmul(scores.softmax(-1), v).transpose(1, 2).flatten(2);
    return tower.feed_forward(i, tower.output(i, merged.contiguous(), in));
  };
  at::Tensor sum;
  const int64_t count = *own.spatial_blocks;
  for (int64_t i = 0; i < last; ++i) {
    x = block(i, x);
    const int64_t number = i + 1;  // from 1
    if (number >= tower.depth() - 1 - count && number <= tower.depth() - 2)
      sum = sum.defined() ? sum + x : x.clone();
  }
  const auto branch = [&](const at::Tensor& in) {
    const auto v = tower.project(last, tower.norm1(last, in), {}).v.flatten(2);
    const auto fine =
        at::upsample_bilinear2d(
            v.slice(1, r + 1).transpose(1, 2).reshape({1, -1, grid.h, grid.w}),
            {h, w},
            false)
            .flatten(2)
            .transpose(1, 2);
    return tower.final_norm(tower.output(last, at::matmul(weights, fine), {}));
  };
  const auto copies = block(last, x).slice(1, 0, r);
  const auto of_cell = nearest(tokens, h, w).flatten();
  std::vector<at::Tensor> semantic;
  for (int64_t j = 0; j < cells; ++j)
    semantic.push_back(copies.select(1, copy[of_cell[j].item<int>()]));
  auto out = branch(x) +
             own.semantic_weight * tower.final_norm(at::stack(semantic, 1));
  if (own.spatial_weight != 0)
    out = out + own.spatial_weight * branch(sum / static_cast<double>(count));
  return tower.to_shared_space(out).transpose(1, 2).reshape({1, -1, h, w});
}

}  // namespace

TEST(corrclip_is_its_description_on_both_kinds_of_tower) {
  const c10::InferenceMode guard;
  for (const auto* family : {&declip::families::clip, &declip::families::eva}) {
    const auto file = small::model(family);
    Random random;
    for (int round = 0; round < 4; ++round) {
      const tap::Case here(std::string(family->name) + " " +
                           std::to_string(round));
      const int64_t patch = file.config.vision.patch;
      const int64_t height = random.integer(2, 6) * patch + 3;
      const int64_t width = random.integer(2, 6) * patch;
      const auto image = random.tensor({1, 3, height, width});
      const auto features =
          random.tensor({1, 4, random.integer(3, 9), random.integer(3, 9)}) +
          0.3;
      auto options =
          corrclip(features,
                   random_regions(random, height, width, round == 1 ? 1 : 6)
                       .unsqueeze(0));
      options.corrclip.spatial_blocks = 1;
      options.corrclip.merge = round != 2;
      options.corrclip.gain = 3.5;
      options.corrclip.spatial_weight = round == 3 ? 0 : 0.7;
      options.corrclip.semantic_weight = 0.9;
      const auto eager = tower_of(file, false);
      const auto expected = plain_corrclip(*eager, image, options);
      for (const bool fused : {true, false}) {
        const auto tower = tower_of(file, fused);
        const auto got = declip::encode_dense(*tower, image, options, {});
        CHECK_CLOSE(distance(got, expected), 0, 5e-5);
      }
    }
  }
}

TEST(corrclip_of_a_batch_is_that_of_each_on_any_threads) {
  const c10::InferenceMode guard;
  Random random;
  const auto file = small::model(&declip::families::clip);
  const auto tower = tower_of(file, true);
  const auto image = random.tensor({2, 3, 40, 56});
  const auto features = random.tensor({2, 6, 10, 14});
  const auto regions = at::stack(
      {random_regions(random, 40, 56, 5), random_regions(random, 40, 56, 9)});
  auto options = corrclip(features, regions);
  options.corrclip.spatial_blocks = 1;
  const auto both = declip::encode_dense(*tower, image, options, {});
  for (int64_t b = 0; b < 2; ++b) {
    auto one = options;
    one.proxy_features = features.slice(0, b, b + 1);
    one.regions = regions.slice(0, b, b + 1);
    CHECK(declip::encode_dense(*tower, image.slice(0, b, b + 1), one, {})
              .equal(both.slice(0, b, b + 1)));
  }
  const int threads = at::get_num_threads();
  at::set_num_threads(1);
  CHECK(declip::encode_dense(*tower, image, options, {}).equal(both));
  at::set_num_threads(threads);
  // Without regions: all is unsegmented.
  auto none = options;
  none.regions = at::Tensor();
  auto zeros = options;
  zeros.regions = at::zeros_like(regions);
  CHECK(declip::encode_dense(*tower, image, none, {})
            .equal(declip::encode_dense(*tower, image, zeros, {})));
  // A wall: no pair is above the mean, and every patch keeps itself.
  none.proxy_features = at::ones_like(features);
  CHECK(declip::encode_dense(*tower, image, none, {})
            .isfinite()
            .all()
            .item<bool>());
}

TEST(corrclip_refuses_what_does_not_fit) {
  const c10::InferenceMode guard;
  Random random;
  const auto file = small::model(&declip::families::clip);
  const auto tower = tower_of(file, true);
  const auto image = random.tensor({1, 3, 40, 56});
  const auto good =
      corrclip(random.tensor({1, 6, 4, 5}), at::zeros({1, 40, 56}, at::kInt));
  const auto refused = [&](const DenseOptions& options) {
    CHECK_THROWS_CODE(declip::encode_dense(*tower, image, options, {}),
                      ErrorCode::kInvalidArg);
  };
  refused(good);  // three blocks, of which the authors' code says nothing
  auto options = good;
  options.corrclip.spatial_blocks = 2;
  refused(options);
  options.corrclip.spatial_blocks = 1;
  CHECK(declip::encode_dense(*tower, image, options, {}).size(3) == 5);
  options.regions = at::zeros({1, 40, 55}, at::kInt);
  refused(options);
  options.regions = at::zeros({1, 40, 56}, at::kLong);
  refused(options);
  options = good;
  options.corrclip.spatial_weight = 0;
  CHECK(declip::encode_dense(*tower, image, options, {}).size(2) == 4);
  options.proxy_features = at::Tensor();
  refused(options);
}
