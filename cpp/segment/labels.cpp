#include "segment/labels.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <string>

#include "declip/error.h"
#include "kernels/pamr.h"
#include "kernels/postprocess.h"
#include "kernels/resize_plane.h"
#include "segment/label_bands.h"
#include "segment/plane_source.h"

namespace declip {
namespace {

/// The picture that PAMR follows, in the size of the result.
at::Tensor resize_image(const at::Tensor& image, Size size, at::Device device) {
  if (!image.defined() || image.dim() != 4 || image.size(1) != 3) {
    throw Error(ErrorCode::kInternal,
                "PAMR needs the normalised image [1, 3, H, W].");
  }
  const auto in = image.to(device, at::kFloat).contiguous();
  auto out = at::empty({1, 3, size.height, size.width}, in.options());
  for (int64_t c = 0; c < 3; ++c) resize_plane(in[0][c], out[0][c]);
  return out;
}

}  // namespace

Segmentation labels_from_windows(const at::Tensor& low,
                                 const WindowPlan& plan,
                                 const at::Tensor& image,
                                 const std::vector<int64_t>& word_class,
                                 const PostOptions& post,
                                 Size size,
                                 const Call& call,
                                 const ScoreShare* share) {
  if (post.pamr_iterations > 0 && image.defined() && image.dim() == 4 &&
      (image.size(2) != plan.height || image.size(3) != plan.width)) {
    throw Error(ErrorCode::kInternal,
                "PAMR needs the image in the plan's size.");
  }
  return labels_from_planes(
      PlaneSource(low, plan, size, share), image, word_class, post, call);
}

Segmentation labels_from_planes(const WordPlanes& source,
                                const at::Tensor& image,
                                const std::vector<int64_t>& word_class,
                                const PostOptions& post,
                                const Call& call) {
  const int64_t words = source.words();
  const Size size = source.size();
  const at::Device device = source.options().device();
  if (static_cast<int64_t>(word_class.size()) != words) {
    throw Error(ErrorCode::kInvalidArg,
                "wordClass must have one entry per word (" +
                    std::to_string(words) + "), received " +
                    std::to_string(word_class.size()) + ".");
  }
  if (post.pamr_iterations == 0 && device.is_cpu()) {
    return label_in_bands(source, word_class, post, call);
  }
  Postprocess postprocess(word_class, post, size.height, size.width, device);
  PamrAffinity affinity;
  if (post.pamr_iterations > 0) {
    call.check();
    affinity =
        pamr_affinity(resize_image(image, size, device), post.pamr_dilations);
  }
  // Only PAMR gains from several planes at a time; each takes 4 bytes a pixel.
  const int64_t together =
      std::min(post.pamr_iterations > 0 ? kPamrPlanes : 1, words);
  const auto planes =
      at::empty({together, size.height, size.width}, source.options());
  at::Tensor scratch;
  const int64_t passes = post.word_threshold > 0 ? 3 : 1;
  int64_t done = 0;  // planes of those passes
  // Makes the planes of some words, a few at a time, and hands each over.
  const auto each_plane = [&](const std::vector<int64_t>& chosen, auto&& take) {
    const auto total = static_cast<int64_t>(chosen.size());
    for (int64_t first = 0; first < total; first += together) {
      const int64_t count = std::min(together, total - first);
      for (int64_t k = 0; k < count; ++k) {
        call.check();
        source.write(chosen[first + k], {0, size.height}, planes[k], scratch);
      }
      if (post.pamr_iterations > 0) {
        pamr_apply(affinity, planes, count, post.pamr_iterations, call);
      }
      for (int64_t k = 0; k < count; ++k) take(chosen[first + k], planes[k]);
      const bool again = done == passes * words;
      call.report(Step::kPixels,
                  again ? first + count : done + first + count,
                  again ? total : passes * words);
    }
    done = std::min(done + total, passes * words);
  };
  const auto add_all = [&] {
    each_plane(postprocess.order(), [&](int64_t, const at::Tensor& plane) {
      postprocess.add(plane);
    });
  };
  add_all();
  if (post.word_threshold > 0) {
    std::vector<bool> absent(words);
    each_plane(postprocess.order(), [&](int64_t word, const at::Tensor& plane) {
      absent[word] = postprocess.may_leave_out(word) &&
                     postprocess.largest_probability(plane) <
                         static_cast<float>(post.word_threshold);
    });
    postprocess.leave_out(absent);
    postprocess.restart(size.height);
    add_all();
  }
  each_plane(postprocess.missing(), [&](int64_t word, const at::Tensor& plane) {
    postprocess.add_missing(word, plane);
  });
  return postprocess.finish();
}

at::Tensor planes_from_windows(const at::Tensor& low,
                               const WindowPlan& plan,
                               Size size,
                               const Call& call,
                               const ScoreShare* share) {
  return all_planes(PlaneSource(low, plan, size, share), call);
}

at::Tensor all_planes(const WordPlanes& source, const Call& call) {
  const Size size = source.size();
  auto planes =
      at::empty({source.words(), size.height, size.width}, source.options());
  at::Tensor scratch;
  for (int64_t q = 0; q < source.words(); ++q) {
    call.check();
    source.write(q, {0, size.height}, planes[q], scratch);
  }
  return planes;
}

}  // namespace declip
