#include <map>

#include "kernels/mask_pool.h"
#include "kernels/roi_align.h"
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

}  // namespace

MakeTask find_region_task(const std::string& name) {
  static const std::map<std::string, MakeTask> tasks{
      {"roi-align", roi},
      {"mask-pool", pool},
  };
  const auto found = tasks.find(name);
  return found == tasks.end() ? nullptr : found->second;
}

}  // namespace declip::bench
