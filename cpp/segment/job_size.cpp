#include "declip/job_size.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "declip/bank.h"
#include "model/text_rows.h"
#include "segment/aggregate.h"
#include "segment/cat_seg_input.h"
#include "segment/cat_seg_view.h"

namespace declip {
namespace {

// Measured on an EPYC with AVX-512, float32: one thread does about 1e11 of a
// tower's operations in a second. For 2e9 operations (a picture of 128 x 96
// pixels and the bundled model) two threads take 1.2 times the processor time
// of one (24.6 ms against 20.4), so that side by side gives a third more
// pictures; for 3.5e10 (one of 224 x 224 and a ViT-B/16) they take no more than
// one (334 ms against 331) and keep 1.83 processors at work.

/// What is worth a thread: a tenth of a second, which nobody waits for.
constexpr double kOperationsPerThread = 1e10;
/// More than this is taken by one job at a time. A picture of 1.5 megapixels
/// needs about as much to be labelled.
constexpr double kMostBytes = 64 << 20;

// What takes as long as so many operations.
constexpr double kPerPixel = 100;         // resizing, normalising
constexpr double kPerPixelAndWord = 130;  // a plane and its softmax: 1.3 ns
constexpr double kPerPixelAndStep = 130;  // PAMR: iterations x dilations
constexpr double kBytesPerPixel =
    3;  // labels, before and after closing, certainty
constexpr double kRankBytesPerPixel = 5;    // of an area filter
constexpr double kPamrBytesPerPixel = 138;  // 16 weights, four planes, scores
constexpr double kBytesPerTokenAndChannel = 40;
constexpr double kRegions = 50;  // of a picture, which a bank is asked about
constexpr double kTokensPerText = 12;
constexpr double kHeadsAndTokens = 7;    // tokens of a click
constexpr double kOwnTokensPerText = 4;  // where prompts share the others

double area(Size size) {
  return static_cast<double>(size.height) * static_cast<double>(size.width);
}

/// Windows along a side of the picture; anything for options that will be
/// refused.
double along(int64_t side, int64_t window, int64_t stride) {
  if (window <= 0 || side <= window) return 1;
  return 1 + std::ceil(static_cast<double>(side - window) /
                       static_cast<double>(std::max<int64_t>(stride, 1)));
}

double transformer(
    double tokens, double width, double mlp, double layers, double batch) {
  return batch * layers *
         (2 * tokens * (4 * width * width + mlp * width) +
          4 * tokens * tokens * width);
}

/// Pictures of so many pixels through the image tower, all at once.
JobSize pass(const Model& model, double pictures, double pixels) {
  const auto& v = model.info().config.vision;
  const auto patch = static_cast<double>(std::max<int64_t>(v.patch, 1));
  const auto width = static_cast<double>(v.width);
  const double tokens = 1 + pixels / (patch * patch);
  const double mlp =
      static_cast<double>(v.mlp_hidden) * (model.info().swiglu ? 3 : 2);
  const bool head = model.info().config.pooling_head.has_value();
  const auto layers = static_cast<double>(v.layers + (head ? 1 : 0));
  return {transformer(tokens, width, mlp, layers, pictures),
          pictures * (12 * pixels + kBytesPerTokenAndChannel * tokens * width)};
}

/// Inputs of the tower and their side; none for options that will be refused.
struct SeenByCatSeg {
  int64_t inputs = 0, side = 0;
};

SeenByCatSeg seen_by_cat_seg(const CatSegConfig& config,
                             const EncodeOptions& options) {
  try {
    const auto geometry = cat_seg_geometry(config, *options.cat_seg, 0);
    return {geometry.inputs(), geometry.side};
  } catch (const Error&) {
    return {};  // the job says the same, and no more than that
  }
}

}  // namespace

JobSize operator+(const JobSize& a, const JobSize& b) {
  return {a.operations + b.operations, a.bytes + b.bytes};
}

JobSize unknown_size() { return {std::numeric_limits<double>::infinity(), 0}; }

int threads_of(const JobSize& size, int threads) {
  if (size.bytes > kMostBytes) return threads;
  const double wanted = std::ceil(size.operations / kOperationsPerThread);
  return wanted < threads ? std::max(1, static_cast<int>(wanted)) : threads;
}

bool is_small(const JobSize& size) {
  return threads_of(size, std::numeric_limits<int>::max()) == 1;
}

JobSize size_of_pass(const Model& model, int64_t pictures, Size size) {
  // A device is one for all: what is on it takes turns.
  if (!model.device().is_cpu()) return unknown_size();
  return pass(model, static_cast<double>(pictures), area(size));
}

JobSize size_of_crops(const Model& model,
                      const at::Tensor& pixels,
                      int64_t crops) {
  if (!model.device().is_cpu()) return unknown_size();
  const auto side = static_cast<double>(model.info().config.vision.image_size);
  auto out = pass(model, static_cast<double>(crops), side * side);
  // Some crops at a time are there.
  out.bytes = static_cast<double>(pixels.nbytes());
  return out;
}

JobSize size_of_pooling(const at::Tensor& map, const at::Tensor& regions) {
  if (map.dim() != 4 || regions.dim() < 1) return {};
  const auto count = static_cast<double>(regions.size(0));
  const auto values =
      static_cast<double>(map.size(1) * map.size(2) * map.size(3));
  const auto given = static_cast<double>(regions.numel());
  return {2 * count * values + kPerPixel * given,
          4 * given + static_cast<double>(regions.nbytes())};
}

JobSize size_of_encoding(const Model& model,
                         Size picture,
                         bool resized,
                         const EncodeOptions& options) {
  if (!model.device().is_cpu()) return unknown_size();
  if (options.cat_seg) {
    const auto& config = model.info().cat_seg;
    if (!config) return {};  // the job says so, and no more than that
    const auto seen = seen_by_cat_seg(*config, options);
    auto out = pass(model,
                    static_cast<double>(seen.inputs),
                    static_cast<double>(seen.side * seen.side));
    out.operations += kPerPixel * area(picture);
    out.bytes = 3 * area(picture);
    return out;
  }
  Size size = picture;
  if (resized && options.short_side > 0) {
    try {
      size = working_size(picture, options);
    } catch (const Error&) {
      return {};  // the job says the same, and no more than that
    }
  }
  size = aggregate_size(size, options);
  const auto side = [&](int64_t length) {
    const int64_t window =
        options.window > 0 ? std::min(options.window, length) : length;
    const auto unit = std::max<int64_t>(options.pad_to, 1);
    return static_cast<double>((window + unit - 1) / unit * unit);
  };
  const double windows = along(size.height, options.window, options.stride) *
                         along(size.width, options.window, options.stride) *
                         (options.augment ? 5 : 1);
  const double pixels = side(size.height) * side(size.width);
  auto out = pass(model, windows, pixels);
  if (options.dense.proxy_model) {
    out = out + pass(*options.dense.proxy_model, windows, pixels);
  }
  if (options.bank) {
    const auto& keys = options.dense.proxy_model;
    out = out + pass(keys ? *keys : model, 1, area(picture));
    out.operations += 2 * kRegions *
                      static_cast<double>(options.bank->info().regions) *
                      static_cast<double>(options.bank->info().key_width);
  }
  out.operations += kPerPixel * (area(picture) + area(size));
  if (aggregates(options)) {
    const auto& v = model.info().config.vision;
    const auto patch = static_cast<double>(std::max<int64_t>(v.patch, 1));
    const double patches = area(size) / (patch * patch);
    out.operations += 4 * patches * patches * static_cast<double>(v.embed_dim);
  }
  // Windows go through the tower a few at a time.
  out.bytes = 3 * area(picture) + 12 * area(size);
  return out;
}

JobSize size_of_labels(Size picture,
                       int64_t words,
                       const PostOptions& options) {
  const double pixels = area(picture), planes = static_cast<double>(words);
  JobSize out{kPerPixelAndWord * pixels * planes, kBytesPerPixel * pixels};
  // A pass that finds the words, and one over those that it did not.
  if (options.word_threshold > 0) out.operations *= 3;
  if (options.pamr_iterations > 0) {
    out.operations += kPerPixelAndStep * pixels * planes *
                      static_cast<double>(options.pamr_iterations) *
                      static_cast<double>(options.pamr_dilations.size());
    out.bytes += kPamrBytesPerPixel * pixels;
  }
  if (options.area_threshold > 0) out.bytes += kRankBytesPerPixel * pixels;
  if (options.logits) out.bytes += 4 * pixels * planes;
  if (options.probabilities) out.bytes += 4 * pixels * planes;
  return out;
}

JobSize size_of_asking(const Model& model,
                       const EncodeOptions& options,
                       int64_t words) {
  const auto& config = model.info().cat_seg;
  if (!options.cat_seg || !config || !model.device().is_cpu()) return {};
  const auto seen = seen_by_cat_seg(*config, options);
  const int64_t patch = std::max<int64_t>(model.info().config.vision.patch, 1);
  return {cat_seg_operations(*config,
                             options.cat_seg->question,
                             seen.inputs,
                             seen.side / patch,
                             words),
          0};
}

JobSize size_of_query(const EncodedImage& view, int64_t words) {
  return {view.operations(words), 0};
}

JobSize size_of_resizing(const at::Tensor& pixels) {
  const auto values = static_cast<double>(pixels.numel());
  return {kPerPixel / 3 * values, 2 * values};
}

JobSize size_of_conversion(const at::Tensor& tensor) {
  return {10 * static_cast<double>(tensor.numel()),
          2 * static_cast<double>(tensor.nbytes())};
}

JobSize size_of_prompts(const Model& model, Size picture, int64_t prompts) {
  if (!model.device().is_cpu()) return unknown_size();
  const auto& config = model.info().mask_decoder;
  if (!config) return {};
  const auto width = static_cast<double>(config->embed_dim);
  const auto places = static_cast<double>(config->grid * config->grid);
  // Two enlargements, and the places against the tokens: once in layer 0, four
  // times in others and twice in the end.
  const double against = kHeadsAndTokens * static_cast<double>(config->heads) *
                         (4 * static_cast<double>(config->layers) - 1);
  const double operations =
      2 * places * width * (width * 1.5 + against) + kPerPixel * area(picture);
  // A few prompts and one plane of the picture are there at a time.
  return {operations * static_cast<double>(prompts), 8 * area(picture)};
}

JobSize size_of_texts(const Model& model, int64_t texts) {
  if (!model.device().is_cpu()) return unknown_size();
  const auto& text = model.info().config.text;
  if (!text) return {};
  const auto width = static_cast<double>(text->width);
  double tokens = static_cast<double>(text->context);
  if (ends_at_pooled(*text)) {
    tokens = kOwnTokensPerText;
  } else if (text->pad_token >= 0) {
    tokens = std::min(tokens, kTokensPerText);
  }
  return {transformer(tokens,
                      width,
                      8 * width,
                      static_cast<double>(text->layers),
                      static_cast<double>(texts)),
          0};
}

}  // namespace declip
