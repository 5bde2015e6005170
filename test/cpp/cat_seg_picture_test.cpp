// CAT-Seg from a picture to labels: the authors' windows, maps and labels, and
// the merging of windows against plain loops.

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "cat_seg/head.h"
#include "checkpoint/family.h"
#include "declip/checkpoint.h"
#include "declip/encoded_image.h"
#include "declip/model.h"
#include "declip/resize.h"
#include "golden.h"
#include "png.h"
#include "random_planes.h"
#include "segment/cat_seg_input.h"
#include "segment/cat_seg_planes.h"
#include "segment/cat_seg_view.h"
#include "segment/labels.h"
#include "tap.h"

using declip::CatSegGeometry;
using declip::CatSegLogits;
using declip::CatSegPlanes;
using declip::Json;
using declip::Size;

namespace {

/// One position of torch's bilinear resize, in double.
double plain_sample(const at::Tensor& map, double y, double x) {
  const auto in = map.accessor<double, 2>();
  const auto clamped = [](double at, int64_t extent) {
    return std::min(std::max(at, 0.0), static_cast<double>(extent - 1));
  };
  y = clamped(y, map.size(0));
  x = clamped(x, map.size(1));
  const auto top = static_cast<int64_t>(y), left = static_cast<int64_t>(x);
  const int64_t bottom = std::min(top + 1, map.size(0) - 1);
  const int64_t right = std::min(left + 1, map.size(1) - 1);
  const double v = y - static_cast<double>(top);
  const double u = x - static_cast<double>(left);
  return (1 - v) * ((1 - u) * in[top][left] + u * in[top][right]) +
         v * ((1 - u) * in[bottom][left] + u * in[bottom][right]);
}

at::Tensor plain_resize(const at::Tensor& map, int64_t height, int64_t width) {
  auto out = at::empty({height, width}, at::kDouble);
  const double down =
      static_cast<double>(map.size(0)) / static_cast<double>(height);
  const double across =
      static_cast<double>(map.size(1)) / static_cast<double>(width);
  for (int64_t y = 0; y < height; ++y) {
    for (int64_t x = 0; x < width; ++x) {
      out[y][x] = plain_sample(map,
                               (static_cast<double>(y) + 0.5) * down - 0.5,
                               (static_cast<double>(x) + 0.5) * across - 0.5);
    }
  }
  return out;
}

/// A word's plane by the description: windows, whole picture, halves.
at::Tensor plain_plane(const CatSegLogits& logits,
                       const CatSegGeometry& geometry,
                       int64_t word,
                       Size size) {
  const auto map_of = [&](int64_t input) -> at::Tensor {
    for (int64_t k = 0; k < logits.maps.size(1); ++k) {
      const int64_t kept =
          logits.kept.defined() ? logits.kept[input][k].item<int64_t>() : k;
      if (kept == word) return logits.maps[input][k].to(at::kDouble);
    }
    return {};
  };
  if (!geometry.sliding) {
    const auto map = map_of(0);
    if (!map.defined())
      return at::zeros({size.height, size.width}, at::kDouble);
    return plain_resize(map.sigmoid(), size.height, size.width);
  }
  const int64_t canvas = geometry.canvas.height, cut = geometry.cut;
  auto sum = at::zeros({canvas, canvas}, at::kDouble);
  auto count = at::zeros({canvas, canvas}, at::kDouble);
  for (int64_t i = 0; i < geometry.canvas.size(); ++i) {
    const auto window = geometry.canvas[i];
    const auto part = [&](const at::Tensor& x) {
      return x.slice(0, window.y1, window.y2).slice(1, window.x1, window.x2);
    };
    part(count).add_(1);
    const auto map = map_of(i);
    if (map.defined()) part(sum).add_(plain_resize(map, cut, cut).sigmoid());
  }
  CHECK(count.min().item<double>() >= 1);
  auto mean = sum / count;
  const auto whole = map_of(geometry.canvas.size());
  if (whole.defined()) {
    mean = mean + plain_resize(
                      plain_resize(whole, cut, cut).sigmoid(), canvas, canvas);
  }
  return plain_resize(mean / 2, size.height, size.width);
}

declip::CatSegOptions sides(int64_t side,
                            int64_t canvas,
                            int64_t cut,
                            int64_t stride) {
  declip::CatSegOptions out;
  out.side = side;
  out.canvas = canvas;
  out.cut = cut;
  out.stride = stride;
  return out;
}

/// A head whose logits are products of features and words, of which each window
/// keeps the first few that the limit allows, beginning with its own number.
class FakeHead final : public declip::CatSeg {
 public:
  explicit FakeHead(const declip::CatSegConfig& config) : CatSeg(config) {}

  declip::CatSegMaps encode(const declip::Stages& stages,
                            const declip::Call&) const override {
    const auto& f = stages.features;
    return {f, f.narrow(1, 0, 1), f.narrow(1, 0, 1), f.narrow(1, 0, 1)};
  }

  CatSegLogits logits(const declip::CatSegMaps& maps,
                      const at::Tensor& text,
                      const declip::CatSegQuestion& question,
                      const declip::Call&) const override {
    const auto& f = maps.features;
    const auto low =
        at::matmul(text, f.flatten(2)).unflatten(2, {f.size(2), f.size(3)});
    const auto all =
        at::upsample_nearest2d(low, {4 * f.size(2), 4 * f.size(3)});
    const int64_t limit = question.word_limit.value_or(config_.word_limit);
    CatSegLogits out;
    out.maps = all.contiguous();
    if (limit > 0 && text.size(0) > limit) {
      out.maps = all.narrow(1, 0, limit).contiguous();
      out.kept = at::arange(limit).expand({f.size(0), limit}).contiguous();
    }
    return out;
  }
};

const Golden& authors() {
  static const Golden golden("cat-seg");
  return golden;
}

const Json& field(const Json& json, const char* name) {
  const Json* found = json.find(name);
  if (found == nullptr) throw std::runtime_error(std::string("no ") + name);
  return *found;
}

int64_t integer_field(const Json& json, const char* name) {
  return field(json, name).integer().value();
}

}  // namespace

TEST(cat_seg_planes_are_merged_as_plain_loops_merge_them) {
  Random random;
  for (int round = 0; round < 24; ++round) {
    const int64_t canvas = random.integer(9, 40);
    const int64_t cut = random.integer(4, canvas);
    const int64_t stride = random.integer((cut + 1) / 2, cut);
    auto options = sides(8, canvas, cut, stride);
    options.sliding = round % 4 != 0;
    const auto geometry = declip::cat_seg_geometry({}, options, 4);
    const int64_t inputs = geometry.inputs(), words = 4;
    const int64_t grid = random.integer(1, 12);
    const bool limited = random.coin();
    CatSegLogits logits;
    logits.maps = random.tensor({inputs, limited ? 2 : words, grid, grid}) * 6;
    if (limited) {
      std::vector<at::Tensor> kept;
      for (int64_t i = 0; i < inputs; ++i) {
        const int64_t first = random.integer(0, 1);  // word 3 in none
        kept.push_back(at::tensor({first, int64_t{2}}));
      }
      logits.kept = at::stack(kept);
    }
    const Size size = round % 3 == 0
                          ? Size{canvas, canvas}
                          : Size{random.integer(5, 60), random.integer(5, 60)};
    const CatSegPlanes planes(
        {logits.maps.clone(), logits.kept}, geometry, words, size);
    const auto whole = at::empty({size.height, size.width}, at::kFloat);
    at::Tensor scratch;
    for (int64_t q = 0; q < words; ++q) {
      const auto expected = plain_plane(logits, geometry, q, size);
      planes.write(q, {0, size.height}, whole, scratch);
      CHECK_CLOSE((whole.to(at::kDouble) - expected).abs().max().item<double>(),
                  0,
                  2e-5);
      CHECK(planes.is_zero(q) == (expected.max().item<double>() == 0));
      // Some rows are those of the whole plane.
      const int64_t begin = random.integer(0, size.height - 1);
      const int64_t end = random.integer(begin + 1, size.height);
      const auto part = at::empty({end - begin, size.width}, at::kFloat);
      planes.write(q, {begin, end}, part, scratch);
      CHECK(part.equal(whole.slice(0, begin, end)));
    }
  }
}

TEST(cat_seg_labels_are_the_first_highest_score) {
  const c10::InferenceMode guard;
  Random random;
  for (int round = 0; round < 6; ++round) {
    const auto geometry = declip::cat_seg_geometry({}, sides(8, 24, 16, 8), 4);
    const int64_t words = 5;
    CatSegLogits logits;
    logits.maps = random.tensor({geometry.inputs(), words, 8, 8}) * 5;
    logits.maps.select(1, 3).copy_(logits.maps.select(1, 1));  // equal scores
    const Size size{random.integer(9, 50), random.integer(9, 50)};
    const CatSegPlanes planes({logits.maps, {}}, geometry, words, size);
    const auto all = declip::all_planes(planes, {});
    declip::PostOptions post;
    post.independent = true;
    post.probabilities = post.logits = true;
    const auto result =
        declip::labels_from_planes(planes, {}, {0, 1, 2, 3, 1}, post, {});
    const auto classes =
        at::stack({all[0], at::maximum(all[1], all[4]), all[2], all[3]});
    const auto [best, label] = classes.max(0);
    CHECK(result.probabilities.equal(classes));
    CHECK(result.logits.equal(classes));
    const auto got = result.labels.to(at::kLong);
    CHECK(classes.gather(0, got.unsqueeze(0)).squeeze(0).equal(best));
    // Word 3 has word 1's scores and comes later.
    CHECK(result.counts[3] == 0);
    CHECK(result.certainty.to(at::kInt).equal(
        (best.sqrt() * 255 + 0.5).to(at::kByte).to(at::kInt)));
    post.prob_threshold = 0.5;
    post.background = 2;
    const auto cut =
        declip::labels_from_planes(planes, {}, {0, 1, 2, 3, 1}, post, {});
    CHECK(cut.labels.to(at::kLong).equal(
        got.masked_fill(best < 0.5, int64_t{2})));
  }
}

TEST(cat_seg_pictures_are_resized_as_detectron2_does) {
  const auto& sizes = field(field(authors().at("declip-picture"), "values"),
                            "output_shapes_h_w");
  int64_t compared = 0;
  for (int64_t height = 1; height <= 2000; ++height) {
    // The table's keys are sizes: "375x500".
    for (const int64_t width : {300, 333, 480, 500, 900, 1000, 1400}) {
      const Json* expected =
          sizes.find(std::to_string(height) + "x" + std::to_string(width));
      if (expected == nullptr) continue;
      const Size got = declip::cat_seg_size({height, width}, 640, 2560);
      CHECK(got.height == (*expected->array())[0].integer().value());
      CHECK(got.width == (*expected->array())[1].integer().value());
      ++compared;
    }
  }
  CHECK(compared >= 5);
  CHECK((declip::cat_seg_size({200, 300}, 640, 2560, false) == Size{200, 300}));
  const auto rgb = png::read(authors().path(
      *field(field(field(authors().at("declip-picture"), "inputs"), "image"),
             "png")
           .string()));
  declip::EncodeOptions options;
  options.cat_seg = std::make_shared<declip::CatSegOptions>();
  options.short_side = 640;
  options.long_side = 2560;
  authors().compare("declip-picture",
                    "resized",
                    declip::resize_to_working_size(rgb, options)
                        .permute({2, 0, 1})
                        .to(at::kFloat));
}

TEST(cat_seg_sides_that_make_no_windows_are_refused) {
  using declip::ErrorCode;
  const auto refused = [](const declip::CatSegOptions& options) {
    return CHECK_THROWS_CODE(declip::cat_seg_geometry({}, options, 16),
                             ErrorCode::kInvalidArg);
  };
  CHECK(refused(sides(100, 640, 384, 256)).find("side") != std::string::npos);
  CHECK(refused(sides(96, 0, 384, 256)).find("canvas") != std::string::npos);
  CHECK(refused(sides(96, 160, 161, 64)).find("cut") != std::string::npos);
  CHECK(refused(sides(96, 160, 96, 97)).find("stride") != std::string::npos);
  CHECK(declip::cat_seg_geometry({}, {}, 16).inputs() == 5);
  declip::CatSegOptions whole;
  whole.sliding = false;
  CHECK(declip::cat_seg_geometry({}, whole, 16).inputs() == 1);
}

TEST(cat_seg_views_are_made_batch_by_batch_and_asked_input_by_input) {
  const c10::InferenceMode guard;
  Random random;
  declip::CatSegConfig config;
  config.embed_dim = 6;
  config.channels = 4;
  const auto geometry = declip::cat_seg_geometry({}, sides(32, 80, 48, 32), 8);
  const auto image = random.tensor({1, 3, 50, 70}) * 100 + 120;
  const declip::CatSegInput input(image, geometry, {});
  // A "tower" of means of patches.
  int64_t passes = 0;
  const auto tower = [&](const at::Tensor& x) {
    ++passes;
    const auto pooled = at::avg_pool2d(x, {8, 8});
    declip::Stages out;
    out.features = at::cat({pooled, pooled.flip(1)}, 1);
    return out;
  };
  const auto text = random.tensor({9, 6});
  std::vector<at::Tensor> answers;
  for (const int64_t together : {1, 2, 100}) {
    passes = 0;
    int64_t reported = 0;
    declip::Call call;
    call.progress = [&](declip::Step, int64_t done, int64_t) {
      reported = done;
    };
    const declip::CatSegView view(std::make_shared<FakeHead>(config),
                                  geometry,
                                  {1, 4},
                                  input,
                                  tower,
                                  together,
                                  call);
    CHECK(passes == (geometry.inputs() + together - 1) / together);
    CHECK(reported == geometry.inputs());
    const auto logits = view.logits(text, {});
    CHECK(logits.kept.size(1) == 4);
    answers.push_back(logits.maps);
  }
  for (const auto& answer : answers) {
    CHECK_CLOSE((answer - answers[0]).abs().max().item<double>(), 0, 1e-5);
  }
  declip::Call cancelled;
  cancelled.cancelled = std::make_shared<std::atomic<bool>>(true);
  CHECK_THROWS_CODE(declip::CatSegView(std::make_shared<FakeHead>(config),
                                       geometry,
                                       {},
                                       input,
                                       tower,
                                       1,
                                       cancelled),
                    declip::ErrorCode::kAborted);
}

TEST(cat_seg_pictures_become_the_authors_labels) {
  const c10::InferenceMode guard;
  for (const auto& id : authors().ids()) {
    const Json& one = authors().at(id);
    const Json* given = one.find("options");
    if (given == nullptr || given->find("sliding_window") == nullptr ||
        field(one, "outputs").find("sem_seg") == nullptr) {
      continue;  // stages alone: cat_seg_test.cpp
    }
    const tap::Case named(id);
    const std::string path = authors().path(*field(one, "weights").string());
    declip::LoadOptions load;
    load.device = "cpu";
    load.dtype = "float32";
    const auto model = declip::Model::load(path, load, {});
    const auto checkpoint = declip::load_checkpoint(path);
    auto config = checkpoint.cat_seg->config;
    const Json& told = field(one, "config");
    config.window = integer_field(told, "window");
    config.heads = integer_field(told, "heads");
    const declip::Call call;
    const declip::Weights weights(
        checkpoint.cat_seg->tensors, at::kCPU, at::kFloat, call);
    const std::shared_ptr<const declip::CatSeg> head =
        declip::make_cat_seg(config, weights, {});

    declip::CatSegOptions options;
    options.sliding = *field(*given, "sliding_window").boolean();
    options.side = (*field(told, "clip_resolution").array())[0].integer();
    if (options.sliding) {
      options.canvas = (*field(*given, "canvas").array())[0].integer();
      options.cut = field(*given, "kernel").integer();
      options.stride = field(*given, "stride").integer();
    }
    const auto geometry = declip::cat_seg_geometry(
        config, options, model->info().config.vision.patch);
    auto rgb = png::read(authors().path(
        *field(field(field(one, "inputs"), "image"), "png").string()));
    if (const Json* resize = given->find("test_resize")) {
      declip::EncodeOptions encode;
      encode.cat_seg = std::make_shared<declip::CatSegOptions>(options);
      encode.short_side = integer_field(*resize, "short");
      encode.long_side = integer_field(*resize, "long_limit");
      rgb = declip::resize_to_working_size(rgb, encode);
    }
    const auto image =
        rgb.permute({2, 0, 1}).unsqueeze(0).to(at::kFloat).contiguous();
    const declip::CatSegInput input(
        image, geometry, {model->info().config.pixels, false});
    for (const char* name : {"windows", "clip_input"}) {
      if (field(one, "outputs").find(name) != nullptr) {
        authors().compare(id, name, input.make(0, geometry.inputs()));
      }
    }
    declip::StageOptions stages;
    for (const Json& block : *field(told, "guidance_layers").array()) {
      stages.blocks.push_back(*block.integer());
    }
    stages.features = true;
    stages.dense.mode = config.mode;
    stages.dense.positions = declip::Positions::kSize;
    if (const Json* mode = given->find("dense_mode")) {
      stages.dense.mode = declip::dense_mode_from(*mode->string());
    }
    const declip::CatSegView view(
        head,
        geometry,
        {(*field(*given, "class_pooling").array())[0].integer().value(),
         integer_field(*given, "pad_length")},
        input,
        [&](const at::Tensor& x) {
          return model->encode_stages(x, stages, call);
        },
        2,
        call);
    const auto text = model->encode_text(
        authors().tensor(field(field(one, "inputs"), "ids")), true, call);
    const auto& to = *field(*given, "output_size").array();
    const Size size{to[0].integer().value(), to[1].integer().value()};
    const auto planes = view.planes(text, size, call);
    authors().compare(id, "sem_seg", declip::all_planes(planes, call));
    const Json* values = one.find("values");
    if (values == nullptr || values->find("label_png") == nullptr) continue;
    declip::PostOptions post;
    post.independent = true;
    std::vector<int64_t> classes;
    for (int64_t q = 0; q < text.size(0); ++q) classes.push_back(q);
    const auto result =
        declip::labels_from_planes(planes, image, classes, post, call);
    const auto got = result.labels.to(at::kLong);
    const auto bytes =
        png::read(authors().path(*field(*values, "label_png").string()))
            .to(at::kLong);
    const auto labels = bytes.size(2) == 1
                            ? bytes.select(2, 0)
                            : bytes.select(2, 0) * 256 + bytes.select(2, 1);
    const double share = got.eq(labels).to(at::kDouble).mean().item<double>();
    CHECK(share >= *field(*values, "label_min_agreement").number());
  }
}
