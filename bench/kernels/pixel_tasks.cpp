#include <algorithm>
#include <map>
#include <numeric>

#include "image/windows.h"
#include "kernels/pamr.h"
#include "kernels/postprocess.h"
#include "kernels/resize_plane.h"
#include "kernels/window_blend.h"
#include "reference.h"
#include "segment/labels.h"
#include "task.h"

namespace declip::bench {
namespace {

reference::Planes planes_of(const at::Tensor& tensor) {
  const auto t = tensor.reshape({-1, tensor.size(-2), tensor.size(-1)})
                     .to(at::kCPU, at::kDouble)
                     .contiguous();
  reference::Planes planes(t.size(0), t.size(1), t.size(2));
  std::copy_n(t.const_data_ptr<double>(), t.numel(), planes.data.begin());
  return planes;
}

double difference_to(const at::Tensor& got, const reference::Planes& planes) {
  const auto expected = at::tensor(planes.data, at::kDouble).view_as(got);
  return largest_difference(got, expected);
}

/// On a GPU exp() and the order of sums are others.
double pamr_tolerance() { return device().is_cuda() ? 5e-6 : 2e-6; }

double pamr_error(const std::vector<int64_t>& dilations) {
  const auto image = random({1, 3, 40, 56}), masks = random({6, 40, 56});
  const auto expected =
      reference::pamr(planes_of(image), planes_of(masks), 3, dilations);
  return difference_to(pamr(image, masks, 3, dilations, Call()), expected);
}

/// All words of a picture, a few planes at a time, as segment/labels.cpp does.
Task pamr_words(const Request& request) {
  const auto image = request.file("image", "imageShape");
  const auto masks = request.file("masks", "shape").squeeze(0);
  const auto dilations = request.integers("dilations");
  const int64_t iterations = request.integer("iterations");
  Task task;
  task.run = [=] { return pamr(image, masks, iterations, dilations, Call()); };
  task.error = pamr_error(dilations);
  task.tolerance = pamr_tolerance();
  return task;
}

/// The iterations alone, on planes that fit one group.
Task pamr_steps(const Request& request) {
  const int64_t h = request.integer("height"), w = request.integer("width");
  const std::vector<int64_t> dilations{8, 16};
  const int64_t iterations = 10;
  const auto affinity = pamr_affinity(random({1, 3, h, w}), dilations);
  const auto planes = random({kPamrPlanes, h, w});
  Task task;
  task.run = [=] {
    pamr_apply(affinity, planes, kPamrPlanes, iterations, Call());
    return at::Tensor();
  };
  const auto visits = static_cast<double>(h * w * iterations);
  task.flops = visits * kPamrPlanes * 32.0;
  // 16 weights once for the group; each plane read and written
  task.moved = visits * (16 * 4 + kPamrPlanes * 8);
  task.error = pamr_error(dilations);
  task.tolerance = pamr_tolerance();
  return task;
}

Task pamr_weights(const Request& request) {
  const int64_t h = request.integer("height"), w = request.integer("width");
  const auto image = random({1, 3, h, w});
  Task task;
  task.run = [=] { return pamr_affinity(image, {8, 16}).weights; };
  task.moved = static_cast<double>(h * w) * (3 * 4 + 16 * 4);
  task.error = pamr_error({8, 16});
  task.tolerance = pamr_tolerance();
  return task;
}

std::vector<int64_t> one_word_per_class(int64_t words) {
  std::vector<int64_t> classes(words);
  std::iota(classes.begin(), classes.end(), 0);
  return classes;
}

PostOptions with_scale(double scale) {
  PostOptions options;
  options.logit_scale = scale;
  return options;
}

/// Upsampling, accumulation, softmax and argmax of every window's logits.
Task label_windows(const Request& request) {
  const auto maps = request.file("maps", "shape");
  const auto size = request.integers("size");
  const auto plan = plan_windows(
      size[0], size[1], request.integer("window"), request.integer("stride"));
  const auto classes = one_word_per_class(maps.size(1));
  const auto options = with_scale(request.number("scale"));
  Task task;
  task.run = [=] {
    return labels_from_windows(
               maps, plan, {}, classes, options, {size[0], size[1]}, Call())
        .labels;
  };
  return task;
}

double blend_error() {
  const auto plan = plan_windows(60, 75, 48, 16);
  const auto low = random({plan.size(), 4, 4});
  std::vector<reference::Planes> maps;
  for (int64_t i = 0; i < plan.size(); ++i) maps.push_back(planes_of(low[i]));
  const auto got = unwritten({60, 75});
  WindowBlend(plan, 4, 4, device()).plane(low, got);
  return difference_to(got, reference::blend_windows(maps, plan));
}

/// One word's plane from its windows.
Task window_blend(const Request& request) {
  const int64_t h = request.integer("height"), w = request.integer("width");
  const auto plan = plan_windows(h, w, 224, 28);
  const auto low = random({plan.size(), 14, 14});
  const auto out = unwritten({h, w});
  const auto blend = std::make_shared<WindowBlend>(plan, 14, 14, device());
  Task task;
  task.run = [=] {
    blend->plane(low, out);
    return at::Tensor();
  };
  task.moved = static_cast<double>(low.nbytes() + out.nbytes());
  task.error = blend_error();
  task.tolerance = 5e-6;
  return task;
}

Task resize(const Request& request) {
  const int64_t h = request.integer("height"), w = request.integer("width");
  const auto in = random({336, 448}), out = unwritten({h, w});
  Task task;
  task.run = [=] {
    resize_plane(in, out);
    return at::Tensor();
  };
  task.moved = static_cast<double>(in.nbytes() + out.nbytes());
  resize_plane(in, out);
  const auto expected = at::upsample_bilinear2d(
      in.view({1, 1, in.size(0), in.size(1)}), {h, w}, false);
  task.error = largest_difference(out, expected[0][0]);
  task.tolerance = 5e-6;
  return task;
}

/// The share of wrong labels among pixels whose best two words are not a tie.
double label_error() {
  const auto planes = random({5, 30, 40});
  const auto classes = one_word_per_class(5);
  Postprocess post(classes, with_scale(40), 30, 40, device());
  for (const int64_t word : post.order()) post.add(planes[word]);
  const auto expected =
      reference::postprocess(planes_of(planes), classes, with_scale(40));
  const auto want = at::tensor(expected.labels, at::kLong).view({30, 40});
  return post.finish()
      .labels.to(at::kLong)
      .ne(want)
      .to(at::kDouble)
      .mean()
      .item<double>();
}

/// Softmax and argmax of planes that exist.
Task label_planes(const Request& request) {
  const int64_t h = request.integer("height"), w = request.integer("width");
  const int64_t words = request.integer("classes");
  const auto planes = random({words, h, w});
  const auto classes = one_word_per_class(words);
  Task task;
  task.run = [=] {
    Postprocess post(classes, with_scale(40), h, w, device());
    for (const int64_t word : post.order()) post.add(planes[word]);
    return post.finish().labels;
  };
  // every plane once, the pixels' state once
  task.moved =
      static_cast<double>(h * w) * (4.0 * static_cast<double>(words) + 12 + 1);
  task.error = label_error();
  task.tolerance = 1e-9;
  return task;
}

}  // namespace

MakeTask find_pixel_task(const std::string& name) {
  static const std::map<std::string, MakeTask> tasks{
      {"pamr", pamr_words},
      {"pamr-steps", pamr_steps},
      {"pamr-weights", pamr_weights},
      {"label-windows", label_windows},
      {"window-blend", window_blend},
      {"resize-plane", resize},
      {"label-planes", label_planes},
  };
  const auto found = tasks.find(name);
  return found == tasks.end() ? nullptr : found->second;
}

}  // namespace declip::bench
