#include "checkpoint/processor_config.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "checkpoint/json_fields.h"
#include "declip/error.h"

namespace declip {
namespace {

struct ProcessorFile {
  std::optional<JsonFile> file;
  bool nested = false;  // transformers 5's file of a whole processor

  explicit ProcessorFile(const std::string& folder)
      : file(read_json_if_there(folder, "preprocessor_config.json")) {
    if (file) return;
    file = read_json_if_there(folder, "processor_config.json");
    nested = true;
    if (file && file->json.find("image_processor") == nullptr) file.reset();
  }

  Fields fields() const {
    const Fields top(*file);
    return nested ? top.inner("image_processor") : top;
  }
};

// What a kind of processor does where its file says nothing.
struct Kind {
  std::string_view name;
  bool square;  // a size that is one number is that of both sides
  bool crop;
  bool bicubic;
  bool any_shape = false;  // pictures become whole patches, not a square
};
constexpr std::array kKinds{
    Kind{"CLIP", false, true, true},
    Kind{"ChineseCLIP", false, true, true},
    Kind{"Bit", false, true, true},
    Kind{"ViT", true, false, false},
    Kind{"Siglip", true, false, true},
    Kind{"Siglip2", true, false, false, true},
    Kind{"DINOv3ViT", true, false, false},
    Kind{"Tipsv2", true, false, false},
};

Kind kind_of(const Fields& f) {
  const std::string* type = f.text("image_processor_type");
  std::string field = "image_processor_type";
  if (type == nullptr) {
    type = f.text("feature_extractor_type");
    field = "feature_extractor_type";
  }
  if (type == nullptr) return kKinds[0];
  for (const Kind& kind : kKinds) {
    for (const char* end :
         {"ImageProcessor", "ImageProcessorFast", "FeatureExtractor"}) {
      if (*type == std::string(kind.name) + end) return kind;
    }
  }
  f.refuse(field, "whose rules for pictures this package does not know");
}

constexpr std::array kNotDone{
    KnownField{"do_pad", "false"},
    KnownField{"do_flip_channel_order", "false"},
    KnownField{"do_thumbnail", "false"},
    KnownField{"do_align_long_axis", "false"},
};

/// `name` as the side of a square; 0 if it is missing.
int64_t square_side_of(const Fields& f, const std::string& name) {
  const Json* found = f.find(name);
  if (found == nullptr) return 0;
  if (found->object() == nullptr) return f.size(name, 0);
  const Fields inner = f.inner(name);
  const int64_t height = inner.size("height", 0);
  if (height == 0 || inner.size("width", 0) != height) {
    f.refuse(name, "where the same height and width are expected");
  }
  return height;
}

void read_resize(const Fields& f, const Kind& kind, Preprocess& out) {
  using Resize = Preprocess::Resize;
  if (!f.flag("do_resize", true)) {
    out.resize = Resize::kNone;
    return;
  }
  const auto filter = f.integer("resample").value_or(kind.bicubic ? 3 : 2);
  if (filter != 2 && filter != 3) {
    f.refuse("resample",
             "a filter that this package does not have; it has 2 (bilinear) "
             "and 3 (bicubic)");
  }
  out.bicubic = filter == 3;
  if (kind.any_shape) {
    out.resize = Resize::kPatches;
    out.max_patches = f.size("max_num_patches", 256);
    out.patch_side = f.size("patch_size", 16);
    return;
  }
  const Json* size = f.find("size");
  const bool object = size != nullptr && size->object() != nullptr;
  if (object && size->find("shortest_edge") != nullptr) {
    const Fields inner = f.inner("size");
    if (inner.find("longest_edge") != nullptr) {
      f.refuse("size",
               "where one of shortest_edge and longest_edge is expected");
    }
    out.side = inner.size("shortest_edge", 0);
    out.resize =
        f.flag("use_square_size") ? Resize::kSquash : Resize::kShortest;
    return;
  }
  out.side = square_side_of(f, "size");
  const bool square = object || f.flag("default_to_square", kind.square) ||
                      f.flag("use_square_size");
  out.resize = square ? Resize::kSquash : Resize::kShortest;
}

void read_crop(const Fields& f, const Kind& kind, Preprocess& out) {
  out.crop = f.flag("do_center_crop", kind.crop);
  if (kind.any_shape && !out.crop) return;
  out.crop_rounds = false;
  if (out.crop) {
    out.crop_side = square_side_of(f, "crop_size");
  } else if (out.resize != Preprocess::Resize::kSquash) {
    f.refuse("do_center_crop",
             "and pictures of one square size are expected: crop them, or give "
             "size a height and a width",
             "false");
  }
}

/// value = (pixel * factor - mean) / std, on the scale where pixel / 255 is 1.
PixelStats read_pixels(const Fields& f, const PixelStats& usual) {
  PixelStats out{{0, 0, 0}, {1, 1, 1}};
  if (f.flag("do_normalize", true)) {
    out = usual;
    out.mean = f.channels("image_mean").value_or(usual.mean);
    out.std = f.channels("image_std").value_or(usual.std);
    if (!std::all_of(
            out.std.begin(), out.std.end(), [](double s) { return s > 0; })) {
      f.reject("image_std", "three numbers above 0");
    }
  }
  double scale = 255;  // of a picture that is not rescaled
  if (f.flag("do_rescale", true)) {
    const double factor = f.number("rescale_factor").value_or(1.0 / 255);
    if (!(factor > 0)) f.reject("rescale_factor", "a number above 0");
    scale = factor * 255;
  }
  if (std::abs(scale - 1) < 1e-6) return out;
  for (size_t c = 0; c < 3; ++c) {
    out.mean[c] /= scale;
    out.std[c] /= scale;
  }
  return out;
}

}  // namespace

std::optional<ProcessorConfig> read_processor_config(const std::string& folder,
                                                     const PixelStats& usual) {
  const ProcessorFile processor(folder);
  if (!processor.file) return std::nullopt;
  const Fields f = processor.fields();
  const Kind kind = kind_of(f);
  f.check(kNotDone);
  ProcessorConfig out;
  read_resize(f, kind, out.preprocess);
  read_crop(f, kind, out.preprocess);
  out.pixels = read_pixels(f, usual);
  return out;
}

std::optional<PixelStats> read_processor_pixels(const std::string& folder) {
  const ProcessorFile processor(folder);
  if (!processor.file) return std::nullopt;
  return pixel_stats(processor.fields(), "image_mean", "image_std");
}

}  // namespace declip
