#include <map>

#include "kernels/mask_pool.h"
#include "kernels/nms.h"
#include "kernels/roi_align.h"
#include "kernels/roi_align_levels.h"
#include "kernels/vote_scores.h"
#include "reference.h"
#include "task.h"

namespace declip::bench {
namespace {

reference::Planes planes_of(const at::Tensor& chw) {
  reference::Planes planes(chw.size(0), chw.size(1), chw.size(2));
  const auto t = chw.to(at::kCPU, at::kDouble).contiguous();
  std::copy_n(t.const_data_ptr<double>(), t.numel(), planes.data.begin());
  return planes;
}

struct Sizes {
  int64_t channels, side, regions;
  explicit Sizes(const Request& request)
      : channels(request.integer("channels")),
        side(request.integer("side")),
        regions(request.integer("regions")) {}
  double products() const {
    return 2.0 * static_cast<double>(channels * side * side * regions);
  }
};

Task roi(const Request& request) {
  const Sizes sizes(request);
  const auto features = random({1, sizes.channels, sizes.side, sizes.side});
  const auto corners = random({sizes.regions, 2}).abs().clamp_max(2) *
                       (static_cast<double>(sizes.side) / 4);
  const auto extent = random({sizes.regions, 2}).abs().clamp(0.2, 2) *
                      (static_cast<double>(sizes.side) / 5);
  const auto boxes = at::cat({corners, corners + extent}, 1).cpu();
  const auto batch = at::zeros({sizes.regions}, at::kLong);
  Task task;
  task.run = [=] { return roi_align(features, boxes, batch, 1.0, 1.0); };
  task.flops = sizes.products();
  const auto got = task.run()[0].flatten();
  const auto box = boxes[0].to(at::kDouble).contiguous();
  const double* corner = box.const_data_ptr<double>();
  const auto expected =
      reference::roi_align(planes_of(features[0]), {corner, corner + 4}, 1, 1);
  task.error = largest_difference(got, at::tensor(expected.data, at::kDouble));
  task.tolerance = 5e-6;
  return task;
}

Task pool(const Request& request) {
  const Sizes sizes(request);
  const auto features = random({1, sizes.channels, sizes.side, sizes.side});
  const auto masks =
      random({sizes.regions, sizes.side, sizes.side}).gt(0.5).cpu();
  const auto batch = at::zeros({sizes.regions}, at::kLong);
  Task task;
  task.run = [=] { return mask_pool(features, masks, batch); };
  task.flops = sizes.products();
  const auto mask = masks[0].to(at::kDouble).contiguous();
  const double* values = mask.const_data_ptr<double>();
  const auto expected = reference::mask_pool(planes_of(features[0]),
                                             {values, values + mask.numel()});
  task.error =
      largest_difference(task.run()[0], at::tensor(expected, at::kDouble));
  task.tolerance = 1e-5;
  return task;
}

/// Boxes of a detector's sizes over the four levels of a square picture.
at::Tensor boxes_of(int64_t count, double side) {
  const auto low = random({count, 2}).abs().clamp_max(2) * (side / 4);
  const auto sides = (random({count, 2}) * 0.8 - 2).exp().clamp_max(0.5) * side;
  return at::cat({low, low + sides}, 1).clamp_max(side);
}

Task roi_levels(const Request& request) {
  const int64_t count = request.integer("regions");
  const int64_t channels = request.integer("channels");
  const int64_t side = request.integer("side"), out = request.integer("out");
  std::vector<RoiMap> maps;
  for (const int64_t stride : {4, 8, 16, 32}) {
    maps.push_back({random({1, channels, side / stride, side / stride})
                        .contiguous(at::MemoryFormat::ChannelsLast)
                        .to(request.dtype()),
                    1.0 / static_cast<double>(stride),
                    1.0 / static_cast<double>(stride)});
  }
  const auto boxes = boxes_of(count, static_cast<double>(side));
  const auto extent = boxes.slice(1, 2, 4) - boxes.slice(1, 0, 2);
  const auto level = (extent.prod(1).sqrt() / 56 + 1e-6)
                         .log2()
                         .floor()
                         .clamp(0, 3)
                         .to(at::kLong);
  const auto pictures = at::zeros_like(level);
  Task task;
  task.run = [=] {
    return roi_align_levels(maps, boxes, level, pictures, out, out);
  };
  const auto got = task.run();
  task.moved = 2.0 * static_cast<double>(got.nbytes());
  const auto which = static_cast<size_t>(level[0].item<int64_t>());
  auto box = (boxes[0].cpu() * static_cast<float>(maps[which].scale_y))
                 .to(at::kDouble)
                 .contiguous();
  const double* corner = box.const_data_ptr<double>();
  const auto expected = reference::roi_align(
      planes_of(maps[which].features[0]), {corner, corner + 4}, out, out);
  task.error = largest_difference(got[0].flatten(),
                                  at::tensor(expected.data, at::kDouble));
  task.tolerance = request.dtype() == at::kFloat ? 1e-4 : 3e-2;
  return task;
}

Task scores(const Request& request) {
  const int64_t rows = request.integer("rows"),
                words = request.integer("words");
  const auto cosines = random({rows, words}).tanh();
  const auto votes = random({rows, words}).tanh();
  const auto shares = random({words}).abs().clamp_max(1);
  Task task;
  task.run = [=] { return vote_scores(cosines, votes, {}, shares, 50, 75); };
  task.moved = 12.0 * static_cast<double>(rows * words);
  const auto of = [](const at::Tensor& x, double factor) {
    return at::log_softmax(factor * x[0].to(at::kDouble), 0);
  };
  const auto share = shares.to(at::kDouble);
  task.error = largest_difference(
      task.run()[0],
      ((1 - share) * of(cosines, 50) + share * of(votes, 75)).exp());
  task.tolerance = 1e-5;
  return task;
}

Task suppression(const Request& request) {
  const int64_t count = request.integer("regions");
  const int64_t classes = request.integer("classes");
  const int64_t limit = request.integer("limit");
  const auto boxes = boxes_of(count, 640);
  const auto values = random({count});
  const auto labels =
      at::arange(count, boxes.options().dtype(at::kLong)).remainder(classes);
  Task task;
  task.run = [=] { return nms(boxes, values, 0.7, labels, limit); };
  task.moved = 28.0 * static_cast<double>(count);
  // What is kept with a limit is the beginning of what is kept without one.
  const auto all = nms(boxes, values, 0.7, labels);
  const auto got = task.run();
  task.error = largest_difference(got, all.slice(0, 0, got.size(0)));
  return task;
}

}  // namespace

MakeTask find_region_task(const std::string& name) {
  static const std::map<std::string, MakeTask> tasks{
      {"roi-align", roi},
      {"mask-pool", pool},
      {"roi-align-levels", roi_levels},
      {"vote-scores", scores},
      {"nms", suppression},
  };
  const auto found = tasks.find(name);
  return found == tasks.end() ? nullptr : found->second;
}

}  // namespace declip::bench
