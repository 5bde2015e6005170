#include "checkpoint/timm_config.h"

#include <array>
#include <cmath>

#include "checkpoint/json_fields.h"

namespace declip {
namespace {

// Arguments of timm's constructors that are kept beside the weights and change
// no result, or that the tensors tell; any other one is refused.
constexpr std::array kArguments{
    KnownField{"img_size"},
    KnownField{"patch_size"},
    KnownField{"in_chans", "3"},
    KnownField{"num_classes"},
    KnownField{"embed_dim"},
    KnownField{"depth"},
    KnownField{"num_heads"},
    KnownField{"mlp_ratio"},
    KnownField{"init_values"},
    KnownField{"global_pool"},
    KnownField{"drop_rate"},
    KnownField{"pos_drop_rate"},
    KnownField{"patch_drop_rate"},
    KnownField{"proj_drop_rate"},
    KnownField{"attn_drop_rate"},
    KnownField{"drop_path_rate"},
    KnownField{"dynamic_img_size"},
    KnownField{"dynamic_img_pad", "false"},
};

/// input_size [3, s, s] -> s; 0 if it is missing.
int64_t input_side(const Fields& f) {
  const Json* found = f.find("input_size");
  if (found == nullptr) return 0;
  const Json::Array* sides = found->array();
  if (sides == nullptr || sides->size() != 3) {
    f.reject("input_size", "channels, height and width");
  }
  const auto height = (*sides)[1].integer(), width = (*sides)[2].integer();
  if ((*sides)[0].integer() != 3 || !height || *height < 1 || width != height) {
    f.refuse("input_size", "where [3, side, side] is expected");
  }
  return *height;
}

/// timm's transforms_factory.py, for evaluation.
Preprocess read_timm_preprocess(const Fields& f, int64_t side) {
  Preprocess out;
  const std::string* filter = f.text("interpolation");
  if (filter != nullptr && *filter != "bicubic" && *filter != "bilinear") {
    f.refuse("interpolation",
             "a filter that this package does not have; it has bicubic and "
             "bilinear");
  }
  out.bicubic = filter == nullptr || *filter == "bicubic";
  const double share = f.number("crop_pct").value_or(0.875);
  if (!(share > 0) || share > 1) f.reject("crop_pct", "above 0 and at most 1");
  out.crop_side = side;
  out.side =
      static_cast<int64_t>(std::floor(static_cast<double>(side) / share));
  const std::string* mode = f.text("crop_mode");
  if (mode == nullptr || *mode == "center") return out;
  if (*mode != "squash") {
    f.refuse("crop_mode",
             "which this package does not do; it does \"center\" and "
             "\"squash\"");
  }
  out.resize = Preprocess::Resize::kSquash;
  out.crop = out.side != out.crop_side;
  return out;
}

void check_arguments(const Fields& arguments) {
  arguments.check(kArguments);
  const auto unknown = arguments.unknown(kArguments);
  if (unknown.empty()) return;
  arguments.refuse(unknown.front(),
                   "an argument that this package does not know and that may "
                   "change what the model computes");
}

}  // namespace

std::optional<TimmConfig> read_timm_config(const std::string& folder,
                                           const PixelStats& usual) {
  const auto file = read_json_if_there(folder, "config.json");
  if (!file || file->json.find("architecture") == nullptr ||
      file->json.find("model_type") != nullptr) {
    return std::nullopt;
  }
  const Fields top(*file);
  // Files of earlier versions have all fields at the top.
  const Fields trained =
      top.find("pretrained_cfg") != nullptr ? top.inner("pretrained_cfg") : top;
  const Fields arguments = top.inner("model_args");
  check_arguments(arguments);
  TimmConfig out;
  out.path = file->path;
  out.architecture = *top.text("architecture");
  if (const auto* tag = trained.text("tag")) out.tag = *tag;
  for (const Fields& f : {top, arguments}) {
    if (const auto* pool = f.text("global_pool")) out.global_pool = *pool;
  }
  out.heads = arguments.size("num_heads");
  out.image_size = input_side(trained);
  out.pixels = pixel_stats(trained, "mean", "std").value_or(usual);
  out.preprocess = read_timm_preprocess(trained, out.image_size);
  return out;
}

}  // namespace declip
