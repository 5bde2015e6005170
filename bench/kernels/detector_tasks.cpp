#include <algorithm>
#include <cmath>
#include <map>

#include "declip/call.h"
#include "declip/memory.h"
#include "detect/box_head.h"
#include "detect/boxes.h"
#include "detect/pyramid.h"
#include "detect/rpn.h"
#include "detect/up_sampling.h"
#include "kernels/winograd_math.h"
#include "model/layers.h"
#include "task.h"

namespace declip::bench {
namespace {

constexpr int64_t kChannels = 256;
constexpr int64_t kBoxesTogether = 128;  // as cpp/detect/f_vit.cpp

Numerics numerics_of(const Request& request) {
  Numerics numerics;
  numerics.fused = true;
  numerics.dtype = request.dtype();
  return numerics;
}

/// Random weights of F-ViT's RPN and heads under mmdetection's names, which
/// keep what goes through them at about its size.
std::map<std::string, at::Tensor> random_heads(int64_t hidden) {
  std::map<std::string, at::Tensor> out;
  const auto layer = [&](const std::string& name,
                         std::vector<int64_t> shape,
                         double gain = 1.4) {
    int64_t terms = 1;
    for (size_t i = 1; i < shape.size(); ++i) terms *= shape[i];
    out[name + ".weight"] =
        random(shape) * (gain / std::sqrt(static_cast<double>(terms)));
    out[name + ".bias"] = random({shape[0]}) * 0.1;
  };
  const auto normed = [&](const std::string& name) {
    layer(name + ".conv", {kChannels, kChannels, 3, 3});
    out.erase(name + ".conv.bias");
    out[name + ".bn.weight"] = at::ones({kChannels});
    out[name + ".bn.bias"] = random({kChannels}) * 0.1;
    out[name + ".bn.running_mean"] = at::zeros({kChannels});
    out[name + ".bn.running_var"] = at::ones({kChannels});
  };
  for (const char* i : {"0", "1"}) {
    layer(std::string("rpn_head.rpn_conv.") + i + ".conv",
          {kChannels, kChannels, 3, 3});
  }
  layer("rpn_head.rpn_cls", {3, kChannels, 1, 1});
  layer("rpn_head.rpn_reg", {12, kChannels, 1, 1}, 0.3);
  const std::string head = "roi_head.bbox_head.";
  for (const char* i : {"0", "1", "2", "3"}) {
    normed(head + "shared_convs." + i);
  }
  layer(head + "shared_fcs.0", {hidden, kChannels * 49});
  layer(head + "shared_fcs.1", {hidden, hidden});
  layer(head + "cls_fcs.0", {hidden, hidden});
  layer(head + "reg_fcs.0", {hidden, hidden});
  layer(head + "fc_reg", {4, hidden});
  return out;
}

/// Sides of the five maps of the pyramid.
std::vector<int64_t> sides_of(int64_t grid) {
  return {4 * grid, 2 * grid, grid, grid / 2, (grid / 2 + 1) / 2};
}

/// F-ViT's RPN and box head on the maps of a square picture: objectness and
/// offsets of every place, proposals, pooling, embeddings and offsets of boxes.
Task detector_heads(const Request& request) {
  const int64_t grid = request.integer("grid"),
                patch = request.integer("patch"),
                boxes = request.integer("boxes"),
                hidden = request.integer("hidden");
  const auto numerics = numerics_of(request);
  const auto stored = random_heads(hidden);
  const Call call;
  const Weights weights(stored, at::kCPU, at::kFloat, call);
  const Rpn rpn(Scope(weights, "rpn_head."), numerics);
  const BoxHead head(Scope(weights, "roi_head.bbox_head."), numerics);
  std::vector<at::Tensor> maps;
  for (const int64_t side : sides_of(grid)) {
    maps.push_back(random({1, kChannels, side, side})
                       .to(numerics.dtype)
                       .contiguous(at::MemoryFormat::ChannelsLast));
  }
  const double stride = static_cast<double>(patch);
  const std::vector<double> strides{
      stride / 4, stride / 2, stride, 2 * stride, 4 * stride};
  const Size picture{grid * patch, grid * patch};
  Task task;
  task.run = [=] {
    const MemoryScope memory;
    std::vector<at::Tensor> logits, deltas;
    for (const auto& map : maps) {
      auto level = rpn(map);
      logits.push_back(level.logits[0]);
      deltas.push_back(level.deltas[0]);
    }
    ProposalLimits limits;
    limits.keep = boxes;
    const auto found = propose(logits, deltas, strides, picture, limits);
    const std::vector<at::Tensor> levels(maps.begin(), maps.end() - 1);
    const std::vector<double> pooled_strides(strides.begin(),
                                             strides.end() - 1);
    for (const auto& some : found.boxes.split(kBoxesTogether)) {
      const auto pictures = at::zeros({some.size(0)}, at::kLong);
      head(pool_boxes_of_levels(
          levels, pooled_strides, some, pictures, BoxHead::kBins));
    }
    return at::Tensor();
  };
  return task;
}

/// The matrix products of the same and nothing else, each with a packed weight:
/// of convolutions either those of their 36 places of tiles, or, with "direct",
/// of nine taps.
Task detector_products(const Request& request) {
  const int64_t grid = request.integer("grid"),
                boxes = request.integer("boxes"),
                hidden = request.integer("hidden");
  const bool direct = request.has("direct");
  auto numerics = numerics_of(request);
  struct Product {
    Linear layer;
    at::Tensor x;
    int64_t times;
  };
  std::vector<Product> products;
  double flops = 0;
  const auto add = [&](int64_t rows,
                       int64_t in,
                       int64_t out,
                       int64_t times,
                       const Numerics& how) {
    products.push_back(
        {Linear(
             random({out, in}) / std::sqrt(static_cast<double>(in)), {}, how),
         random({rows, in}).to(how.dtype),
         times});
    flops += 2.0 * static_cast<double>(rows * in * out * times);
  };
  Numerics exact = numerics;
  exact.dtype = at::kFloat;
  const auto conv = [&](int64_t maps, int64_t side, int64_t times) {
    if (direct) {
      add(maps * side * side, 9 * kChannels, kChannels, times, numerics);
      return;
    }
    const int64_t tiles = (side + winograd::kOutputs - 1) / winograd::kOutputs;
    for (int64_t place = 0; place < winograd::kProducts; ++place) {
      add(maps * tiles * tiles, kChannels, kChannels, times, exact);
    }
  };
  for (const int64_t side : sides_of(grid)) {
    conv(1, side, 2);
    add(side * side, kChannels, 15, 1, exact);
  }
  for (int64_t first = 0; first < boxes; first += kBoxesTogether) {
    const int64_t count = std::min(kBoxesTogether, boxes - first);
    if (first == 0 || count < kBoxesTogether) {
      const int64_t times = count < kBoxesTogether ? 1 : boxes / count;
      conv(count, BoxHead::kBins, 4 * times);
      add(count, 49 * kChannels, hidden, times, numerics);
      add(count, hidden, hidden, times, numerics);
      add(count, hidden, hidden, 2 * times, exact);
      add(count, hidden, 4, times, exact);
    }
  }
  Task task;
  task.flops = flops;
  task.run = [products = std::move(products)] {
    const MemoryScope memory;
    for (const auto& [layer, x, times] : products) {
      for (int64_t i = 0; i < times; ++i) layer(x);
    }
    return at::Tensor();
  };
  return task;
}

}  // namespace

MakeTask find_detector_task(const std::string& name) {
  static const std::map<std::string, MakeTask> tasks{
      {"detector-heads", detector_heads},
      {"detector-products", detector_products},
  };
  const auto found = tasks.find(name);
  return found == tasks.end() ? nullptr : found->second;
}

}  // namespace declip::bench
