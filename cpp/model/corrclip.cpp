#include "model/corrclip.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <string>
#include <utility>

#include "declip/error.h"
#include "image/region_map.h"
#include "kernels/dense_attention_args.h"
#include "model/mode_attention.h"
#include "model/recipe.h"

namespace declip {
namespace {

/// Blocks whose mean is the second input, as the authors' code has it.
int64_t published_spatial_blocks(int64_t depth) {
  switch (depth) {
    case 12:
      return 5;
    case 24:
      return 12;
    case 32:
      return 28;
    default:
      return depth - 4;
  }
}

int64_t spatial_blocks_of(const CorrClipOptions& options, int64_t depth) {
  if (options.spatial_weight == 0) return 0;
  const int64_t blocks =
      options.spatial_blocks.value_or(published_spatial_blocks(depth));
  if (blocks >= 1 && blocks <= depth - 2) return blocks;
  throw Error(
      ErrorCode::kInvalidArg,
      (options.spatial_blocks
           ? "corrclip.spatialBlocks is " + std::to_string(blocks)
           : "CorrCLIP says nothing of towers") +
          std::string(options.spatial_blocks ? ", but this tower has "
                                             : " this shallow: this one has ") +
          std::to_string(depth) + " blocks, of which " +
          (depth > 2 ? "1 to " + std::to_string(depth - 2) : "none") +
          " can be averaged for the spatial branch. Pass corrclip: { "
          "spatialBlocks } in that range, or { spatialWeight: 0 } to go "
          "without that branch.");
}

/// The mean of the streams after the blocks before the last one but one.
class MeanOfBlocks final : public Tap {
 public:
  /// count 0: none.
  MeanOfBlocks(int64_t depth, int64_t count)
      : first_(depth - 2 - count), end_(depth - 2), count_(count) {}

  at::Tensor after(int64_t i, const at::Tensor& x) override {
    if (i >= first_ && i < end_) {
      const auto wide = x.to(at::kFloat);
      sum_ = sum_.defined() ? sum_.add_(wide) : wide.clone();
    }
    return x;
  }

  at::Tensor mean() { return sum_ / static_cast<double>(count_); }

 private:
  int64_t first_, end_, count_;  // blocks counted from 0
  at::Tensor sum_;
};

/// Copies of the class token that go up beside the others: each sees the class
/// token and the patches of its region, nobody sees them. Their keys and values
/// are those of the ordinary tokens.
class RegionTokens final : public Tap {
 public:
  /// x         input of block 0, [1, 1 + N, D]
  /// patches   int32 [N], region of every patch
  RegionTokens(const VisionTower& tower,
               const at::Tensor& x,
               Grid grid,
               const at::Tensor& patches)
      : tower_(tower), grid_(grid) {
    const int32_t* region = patches.const_data_ptr<int32_t>();
    std::map<int32_t, int32_t> groups;
    for (int64_t i = 0; i < patches.numel(); ++i) groups.emplace(region[i], 0);
    int32_t next = 0;
    for (auto& [number, group] : groups) group = ++next;
    auto keys = at::full({1, 1 + patches.numel()}, kEveryGroup, at::kInt);
    int32_t* key = keys.mutable_data_ptr<int32_t>() + 1;
    for (int64_t i = 0; i < patches.numel(); ++i) key[i] = groups[region[i]];
    scope_ = {at::arange(1, next + 1, at::kInt).unsqueeze(0).to(x.device()),
              keys.to(x.device())};
    row_of_patch_ = keys[0].slice(0, 1).to(at::kLong).sub_(1).to(x.device());
    tokens_ = x.slice(1, 0, 1).expand({1, next, x.size(2)}).contiguous();
  }

  bool wants_heads(int64_t) const override { return true; }
  void heads(int64_t i, const Heads& heads) override { advance(i, heads); }

  /// Through block i, whose ordinary tokens have these keys and values.
  void advance(int64_t i, const Heads& heads) {
    auto own = tower_.project(
        i, tower_.norm1(i, tokens_), {.q = true, .k = false, .v = false});
    const auto q = own.q;
    own.k = heads.k;
    if (tower_.traits().rotary) {
      own.q = q.slice(1, 0, 1);  // a class query stands at no position
      own.k = heads.k.clone();
      tower_.rotate(own, grid_);
    }
    AttentionOptions options;
    options.scope = scope_;
    const double scale = 1.0 / std::sqrt(static_cast<double>(q.size(3)));
    const auto merged = combine(
        tower_.numerics(), {{{{q, own.k}}, scale, 1.0}}, heads.v, options);
    tokens_ = tower_.feed_forward(i, tower_.output(i, merged, tokens_));
  }

  /// [r, D].
  at::Tensor tokens() const { return tokens_[0]; }
  /// int64 [N]: which of them is each patch's.
  const at::Tensor& row_of_patch() const { return row_of_patch_; }

 private:
  const VisionTower& tower_;
  Grid grid_;
  GroupScope scope_;
  at::Tensor row_of_patch_;
  at::Tensor tokens_;  // [1, r, D]
};

at::Tensor on_grid(const at::Tensor& values, Grid from, Grid to) {
  return resize_regions(values.view({from.h, from.w}), {to.h, to.w}).flatten();
}

/// Values of patches [1, N, C] at the cells of another grid, [1, M, C] float32.
at::Tensor resample(const at::Tensor& values, Grid from, Grid to) {
  const auto wide = values.to(at::kFloat);
  return at::upsample_bilinear2d(
             wide.transpose(1, 2).reshape({1, wide.size(2), from.h, from.w}),
             {to.h, to.w},
             /*align_corners=*/false)
      .flatten(2)
      .transpose(1, 2)
      .contiguous();
}

/// One picture; `features` are the foundation model's [1, C, Hv, Wv], `regions`
/// int32 [H, W] or undefined.
class OnePicture {
 public:
  OnePicture(const VisionTower& tower,
             const DenseOptions& options,
             const at::Tensor& features,
             const at::Tensor& regions)
      : tower_(tower),
        options_(options),
        cells_{features.size(2), features.size(3)} {
    const auto rows = features.flatten(2)[0].t().to(at::kFloat);  // (M, C)
    unit_ = (rows / rows.norm(2, {1}, true).clamp_min(1e-12)).contiguous();
    // The mean of all products is the product of the sums.
    const auto count = static_cast<double>(unit_.size(0));
    mean_ = unit_.sum(0, false, at::kDouble).square().sum().item<double>() /
            (count * count);
    const auto& own = options.corrclip;
    given_ = number_regions(regions.defined()
                                ? resize_regions(regions.to(at::kCPU, at::kInt),
                                                 {cells_.h, cells_.w})
                                      .flatten()
                                : at::zeros({unit_.size(0)}, at::kInt),
                            own.smallest_is_unsegmented);
    merged_ =
        own.merge && given_.count > 1
            ? merge_regions(given_, unit_, own.merge_distance, &distances_)
            : given_;
  }

  /// image [1, 3, H, W] -> [1, E, Hv, Wv].
  at::Tensor encode(const at::Tensor& image,
                    const Call& call,
                    Tap* tap,
                    CorrClipStages* stages) const {
    const auto grid = tower_.grid(image.size(2), image.size(3));
    const auto& own = options_.corrclip;
    const int64_t last = tower_.depth() - 1;
    const int64_t spatial_blocks = spatial_blocks_of(own, tower_.depth());
    const auto& recipe = recipe_of(DenseMode::kCorrClip);
    auto x = tower_.embed(image, options_.positions.value_or(recipe.positions));

    const auto on_tokens = on_grid(merged_.of, cells_, grid);
    RegionTokens copies(tower_, x, grid, on_tokens);
    MeanOfBlocks mean(tower_.depth(), spatial_blocks);
    x = walk(tower_, x, 0, last, grid, call, {&copies, &mean, tap});
    call.check();

    const auto heads = tower_.project(
        last, tower_.norm1(last, x), {.q = false, .k = true, .v = true});
    copies.advance(last, heads);
    std::vector<at::Tensor> values{heads.v.flatten(2).slice(1, 1)};
    if (spatial_blocks > 0) {
      const auto stream = mean.mean().to(x.scalar_type());
      const auto v = tower_
                         .project(last,
                                  tower_.norm1(last, stream),
                                  {.q = false, .k = false, .v = true})
                         .v;
      values.push_back(v.flatten(2).slice(1, 1));
    }
    const auto attended =
        attend_in_scope(resample(at::cat(values, 2), grid, cells_))
            .to(heads.v.scalar_type())
            .chunk(static_cast<int64_t>(values.size()), 2);
    std::vector<at::Tensor> branches;
    for (const auto& one : attended) {
      branches.push_back(tower_.output(last, one, {}));
    }

    auto sum = tower_.final_norm(branches[0]).to(at::kFloat);
    if (branches.size() > 1) {
      sum = sum +
            own.spatial_weight * tower_.final_norm(branches[1]).to(at::kFloat);
    }
    const auto row_of_cell =
        on_grid(copies.row_of_patch().to(at::kCPU), grid, cells_)
            .to(x.device());
    const auto normed = tower_.final_norm(copies.tokens()).to(at::kFloat);
    sum = sum + own.semantic_weight *
                    normed.index_select(0, row_of_cell).unsqueeze(0);
    if (stages != nullptr) {
      *stages = {unit_,
                 mean_,
                 given_,
                 merged_,
                 distances_,
                 on_tokens,
                 branches[0][0],
                 branches.size() > 1 ? branches[1][0] : at::Tensor(),
                 copies.tokens(),
                 copies.tokens().index_select(0, row_of_cell)};
    }
    return tower_.to_shared_space(sum.to(tower_.numerics().dtype))
        .transpose(1, 2)
        .unflatten(2, {cells_.h, cells_.w});
  }

 private:
  /// softmax(gain s) v in the scope of the regions, the same for every head:
  /// v [1, M, C] -> [1, M, C].
  at::Tensor attend_in_scope(const at::Tensor& v) const {
    const auto groups = merged_.of.unsqueeze(0).to(v.device());
    AttentionOptions attention;
    const double gain = options_.corrclip.gain;
    attention.scope = GroupScope{groups, groups, gain * mean_};
    const auto features = unit_.view({1, unit_.size(0), 1, unit_.size(1)});
    return combine(tower_.numerics(),
                   {{{{features, features}}, gain, 1.0}},
                   v.unsqueeze(2),
                   attention);
  }

  const VisionTower& tower_;
  const DenseOptions& options_;
  Grid cells_;
  at::Tensor unit_;  // [M, C]
  double mean_ = 0;
  RegionNumbers given_, merged_;
  at::Tensor distances_;
};

/// Lowest member of the set that i belongs to; halves the path to it.
int64_t root_of(std::vector<int64_t>& parent, int64_t i) {
  while (parent[i] != i) i = parent[i] = parent[parent[i]];
  return i;
}

}  // namespace

RegionNumbers number_regions(const at::Tensor& map,
                             bool smallest_is_unsegmented) {
  const auto flat = map.to(at::kCPU, at::kInt).flatten().contiguous();
  const int32_t* from = flat.const_data_ptr<int32_t>();
  std::map<int32_t, int32_t> numbers;
  for (int64_t i = 0; i < flat.numel(); ++i) numbers.emplace(from[i], 0);
  const int32_t none =
      smallest_is_unsegmented && !numbers.empty() ? numbers.begin()->first : 0;
  RegionNumbers out;
  for (auto& [value, number] : numbers) {
    if (value != none) number = static_cast<int32_t>(++out.count);
  }
  out.of = at::empty({flat.numel()}, at::kInt);
  int32_t* to = out.of.mutable_data_ptr<int32_t>();
  for (int64_t i = 0; i < flat.numel(); ++i) to[i] = numbers[from[i]];
  return out;
}

RegionNumbers merge_regions(const RegionNumbers& regions,
                            const at::Tensor& unit,
                            double distance,
                            at::Tensor* distances) {
  const auto row = regions.of.to(unit.device(), at::kLong);
  auto sums = at::zeros({1 + regions.count, unit.size(1)}, unit.options());
  sums.index_add_(0, row, unit);
  const auto patches =
      at::bincount(row, {}, 1 + regions.count).clamp_min(1).unsqueeze(1);
  auto mean = (sums / patches).slice(0, 1);  // the first is of no region
  mean = mean / mean.norm(2, {1}, true).clamp_min(1e-12);
  const auto products = at::matmul(mean, mean.t());
  const auto apart = (products.max() - products).to(at::kCPU).contiguous();
  if (distances != nullptr) *distances = apart;

  std::vector<int64_t> parent(static_cast<size_t>(regions.count));
  std::iota(parent.begin(), parent.end(), 0);
  const float* d = apart.const_data_ptr<float>();
  const auto most = static_cast<float>(distance);
  for (int64_t i = 0; i < regions.count; ++i) {
    for (int64_t j = i + 1; j < regions.count; ++j) {
      if (!(d[i * regions.count + j] <= most)) continue;
      const int64_t a = root_of(parent, i), b = root_of(parent, j);
      parent[std::max(a, b)] = std::min(a, b);
    }
  }
  // A set's root is its lowest region, so roots come in the clusters' order.
  std::vector<int32_t> cluster(static_cast<size_t>(regions.count) + 1, 0);
  RegionNumbers out;
  for (int64_t i = 0; i < regions.count; ++i) {
    const int64_t root = root_of(parent, i);
    cluster[i + 1] =
        root == i ? static_cast<int32_t>(++out.count) : cluster[root + 1];
  }
  out.of = at::empty_like(regions.of);
  const int32_t* from = regions.of.const_data_ptr<int32_t>();
  int32_t* to = out.of.mutable_data_ptr<int32_t>();
  for (int64_t i = 0; i < regions.of.numel(); ++i) to[i] = cluster[from[i]];
  return out;
}

at::Tensor corrclip_features(const VisionTower& tower,
                             const at::Tensor& image,
                             const DenseOptions& options,
                             const Call& call,
                             Tap* tap,
                             CorrClipStages* stages) {
  const int64_t pictures = image.size(0);
  const auto& regions = options.regions;
  const std::vector<int64_t> wanted{pictures, image.size(2), image.size(3)};
  if (regions.defined() && (regions.sizes() != at::IntArrayRef(wanted) ||
                            regions.scalar_type() != at::kInt)) {
    throw Error(ErrorCode::kInvalidArg,
                "regions must be an int32 tensor [" + std::to_string(pictures) +
                    ", " + std::to_string(image.size(2)) + ", " +
                    std::to_string(image.size(3)) +
                    "], the region of every pixel of the pictures as the model "
                    "gets them, 0 for none.");
  }
  std::vector<at::Tensor> out;
  for (int64_t b = 0; b < pictures; ++b) {
    const OnePicture one(
        tower,
        options,
        options.proxy_features.slice(0, b, b + 1).to(image.device()),
        regions.defined() ? regions[b] : at::Tensor());
    out.push_back(one.encode(image.slice(0, b, b + 1), call, tap, stages));
  }
  return pictures == 1 ? out[0] : at::cat(out);
}

}  // namespace declip
