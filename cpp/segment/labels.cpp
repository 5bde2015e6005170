#include "segment/labels.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <string>

#include "declip/error.h"
#include "kernels/pamr.h"
#include "kernels/postprocess.h"
#include "kernels/resize_plane.h"
#include "kernels/window_blend.h"

namespace declip {
namespace {

const at::Tensor& checked(const at::Tensor& low, const WindowPlan& plan) {
  if (low.dim() != 4 || low.size(0) != plan.size() ||
      low.scalar_type() != at::kFloat || !low.is_contiguous()) {
    throw Error(ErrorCode::kInternal,
                "window logits must be contiguous float32 "
                "[windows, words, h, w].");
  }
  return low;
}

/// Makes the plane of one word in the size of the result.
class PlaneSource {
 public:
  PlaneSource(const at::Tensor& low, const WindowPlan& plan, Size size)
      : low_(checked(low, plan)),
        plan_(plan),
        size_(size),
        blend_(plan, low.size(2), low.size(3), low.device()) {
    check_size(size, "The picture");
    direct_ = plan.whole && plan.padding == Padding{};
    same_size_ = size == Size{plan.height, plan.width};
    if (!direct_ && !same_size_) {
      image_plane_ = at::empty({plan.height, plan.width}, low.options());
    }
  }

  int64_t words() const { return low_.size(1); }

  /// out is [size.height, size.width] on the device of the logits.
  void write(int64_t word, const at::Tensor& out) {
    const auto maps = low_.select(1, word);  // (nW, h, w)
    if (direct_) {
      resize_plane(maps[0], out);
    } else if (same_size_) {
      blend_.plane(maps, out);
    } else {
      blend_.plane(maps, image_plane_);
      resize_plane(image_plane_, out);
    }
  }

 private:
  at::Tensor low_;
  WindowPlan plan_;
  Size size_;
  WindowBlend blend_;
  bool direct_ = false;
  bool same_size_ = false;
  at::Tensor image_plane_;  // [plan.height, plan.width]
};

/// The picture that PAMR follows, in the size of the result.
at::Tensor resize_image(const at::Tensor& image,
                        const WindowPlan& plan,
                        Size size,
                        at::Device device) {
  if (!image.defined() || image.dim() != 4 || image.size(1) != 3 ||
      image.size(2) != plan.height || image.size(3) != plan.width) {
    throw Error(
        ErrorCode::kInternal,
        "PAMR needs the normalised image [1, 3, H, W] of the plan's size.");
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
                                 const Call& call) {
  PlaneSource source(low, plan, size);
  const int64_t words = source.words();
  if (static_cast<int64_t>(word_class.size()) != words) {
    throw Error(ErrorCode::kInvalidArg,
                "wordClass must have one entry per word (" +
                    std::to_string(words) + "), received " +
                    std::to_string(word_class.size()) + ".");
  }
  Postprocess postprocess(
      word_class, post, size.height, size.width, low.device());
  PamrAffinity affinity;
  if (post.pamr_iterations > 0) {
    call.check();
    affinity = pamr_affinity(resize_image(image, plan, size, low.device()),
                             post.pamr_dilations);
  }
  // Only PAMR gains from several planes at a time; each takes 4 bytes a pixel.
  const int64_t together =
      std::min(post.pamr_iterations > 0 ? kPamrPlanes : 1, words);
  const auto planes =
      at::empty({together, size.height, size.width}, low.options());
  // Makes the planes of some words, a few at a time, and hands each over.
  const auto each_plane = [&](const std::vector<int64_t>& chosen, auto&& take) {
    const auto total = static_cast<int64_t>(chosen.size());
    for (int64_t first = 0; first < total; first += together) {
      const int64_t count = std::min(together, total - first);
      for (int64_t k = 0; k < count; ++k) {
        call.check();
        source.write(chosen[first + k], planes[k]);
      }
      if (post.pamr_iterations > 0) {
        pamr_apply(affinity, planes, count, post.pamr_iterations, call);
      }
      for (int64_t k = 0; k < count; ++k) take(chosen[first + k], planes[k]);
      call.report(Step::kPixels, first + count, total);
    }
  };
  each_plane(postprocess.order(),
             [&](int64_t, const at::Tensor& plane) { postprocess.add(plane); });
  each_plane(postprocess.missing(), [&](int64_t word, const at::Tensor& plane) {
    postprocess.add_missing(word, plane);
  });
  return postprocess.finish();
}

at::Tensor planes_from_windows(const at::Tensor& low,
                               const WindowPlan& plan,
                               Size size,
                               const Call& call) {
  PlaneSource source(low, plan, size);
  auto planes =
      at::empty({source.words(), size.height, size.width}, low.options());
  for (int64_t q = 0; q < source.words(); ++q) {
    call.check();
    source.write(q, planes[q]);
  }
  return planes;
}

}  // namespace declip
