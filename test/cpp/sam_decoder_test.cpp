// SAM's prompt encoder, mask decoder and what is around them: golden cases from
// its authors' code, and a slow version written apart from ours on sizes that
// the fixture does not have.

#include "families/sam_decoder.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <cmath>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "checkpoint/family.h"
#include "checkpoint_files.h"
#include "declip/checkpoint.h"
#include "declip/mask_decoder.h"
#include "declip/model.h"
#include "declip/resize.h"
#include "declip/safetensors.h"
#include "files/json.h"
#include "golden.h"
#include "png.h"
#include "tap.h"

using declip::Json;
using declip::MaskChoice;
using declip::MaskPrompts;
using declip::Model;
using declip::SamDecoder;
using declip::SamImage;
using declip::Size;

namespace {

const Golden& sam_golden() {
  static const Golden golden("sam-decoder");
  return golden;
}

bool is_there(const Json& one, const char* group, const char* name) {
  const Json* found = one.find(group);
  return found != nullptr && found->find(name) != nullptr;
}

/// Nested lists of numbers as a float64 tensor.
at::Tensor json_tensor(const Json& json) {
  if (const auto* list = json.array()) {
    std::vector<at::Tensor> parts;
    for (const Json& item : *list) parts.push_back(json_tensor(item));
    return at::stack(parts);
  }
  return at::scalar_tensor(*json.number(), at::kDouble);
}

Size json_size(const Json& json) {
  const auto& list = *json.array();
  return {*list[0].integer(), *list[1].integer()};
}

/// The first case's, which all share.
const Json& sam_config() {
  return *sam_golden().at(sam_golden().ids()[0]).find("config");
}

declip::LoadOptions sam_options(bool eager) {
  declip::LoadOptions options;
  options.device = "cpu";
  options.dtype = "float32";
  options.eager = eager;
  options.overrides.decoder_heads =
      *sam_config().find("decoder_heads")->integer();
  return options;
}

std::shared_ptr<const Model> sam_model(bool eager = false) {
  return Model::load(
      sam_golden().path("sam.safetensors"), sam_options(eager), {});
}

const SamDecoder& decoder_of(const Model& model) {
  return dynamic_cast<const SamDecoder&>(model.mask_decoder({}));
}

/// [B, N, C] of row-major places -> [B, C, G, G].
at::Tensor as_grid(const at::Tensor& places) {
  const auto side = static_cast<int64_t>(
      std::lround(std::sqrt(static_cast<double>(places.size(1)))));
  return places.transpose(1, 2).reshape(
      {places.size(0), places.size(2), side, side});
}

MaskPrompts prompts_of(const Json& one) {
  MaskPrompts out;
  const Json& inputs = *one.find("inputs");
  if (const Json* points = inputs.find("points_xy")) {
    out.points = json_tensor(*points);
    out.labels = json_tensor(*inputs.find("labels")).to(at::kLong);
  }
  if (const Json* boxes = inputs.find("boxes_xyxy")) {
    out.boxes = json_tensor(*boxes);
  }
  if (const Json* mask = inputs.find("mask_input")) {
    const Json* of = mask->find("case");
    if (of == nullptr) {
      out.masks = sam_golden().tensor(*mask);
    } else {
      const auto& spec = *sam_golden()
                              .at(*of->string())
                              .find("outputs")
                              ->find(*mask->find("output")->string());
      const int64_t index = *mask->find("index")->integer();
      out.masks = sam_golden().tensor(spec).slice(1, index, index + 1);
    }
    out.masks = out.masks.to(at::kFloat).contiguous();
  }
  return out;
}

void compare_if_there(const std::string& id,
                      const char* name,
                      const at::Tensor& got) {
  if (is_there(sam_golden().at(id), "outputs", name)) {
    sam_golden().compare(id, name, got);
  }
}

/// Cases of prompts: those whose options count them.
std::vector<std::string> prompt_cases() {
  std::vector<std::string> out;
  for (const auto& id : sam_golden().ids()) {
    if (is_there(sam_golden().at(id), "options", "chosen_masks")) {
      out.push_back(id);
    }
  }
  return out;
}

/// Pictures that a model has seen, by their files.
using Seen = std::map<std::string, SamImage>;

void check_prompts(const Model& model, const std::string& id, Seen& seen) {
  const tap::Case in(id);
  const auto& golden = sam_golden();
  const Json& one = golden.at(id);
  const std::string photo = *one.find("inputs")->find("photo")->string();
  if (!seen.contains(photo)) {
    seen[photo] =
        declip::encode_for_masks(model, png::read(golden.path(photo)), {});
  }
  const SamImage& image = seen.at(photo);
  const Json& options = *one.find("options");
  CHECK((image.input == json_size(*options.find("input_size"))));
  CHECK((image.picture == json_size(*options.find("original_size"))));

  const auto prompts = prompts_of(one);
  CHECK(prompts.count() == *options.find("prompts")->integer());
  const SamDecoder& decoder = decoder_of(model);
  const auto sparse = decoder.prompts().sparse(prompts, image);
  CHECK(sparse.size(1) == *options.find("sparse_tokens")->integer());
  compare_if_there(id, "sparse", sparse);
  at::Tensor dense;
  if (prompts.masks.defined()) {
    dense = decoder.prompts().dense(prompts.masks);
    compare_if_there(id, "dense", as_grid(dense));
  }
  declip::MaskTrace trace;
  const auto all =
      decoder.decode_some(image, sparse, dense, MaskChoice::kAll, &trace);
  for (const auto& [name, value] : trace) {
    compare_if_there(id, name.c_str(), value);
  }
  compare_if_there(id, "all_low_res", all.low_res);
  compare_if_there(id, "all_iou", all.iou);

  // What a caller gets.
  const bool multi = *options.find("multimask_output")->boolean();
  const auto choice = multi ? MaskChoice::kMulti : MaskChoice::kSingle;
  const auto answer = declip::masks_at(model, image, prompts, choice, {});
  compare_if_there(id, "low_res", answer.low_res);
  const auto iou = json_tensor(*one.find("values")->find("iou"));
  CHECK((answer.iou - iou).abs().max().item<double>() < 1e-4);
  const auto& areas = *one.find("values")->find("areas")->array();
  CHECK(areas.size() == answer.masks.size());
  const double allowed =
      1 - *one.find("values")->find("mask_min_agreement")->number();
  for (size_t i = 0; i < areas.size(); ++i) {
    CHECK_CLOSE(static_cast<double>(declip::rle_area(answer.masks[i])),
                *areas[i].number(),
                allowed * static_cast<double>(image.picture.height *
                                              image.picture.width));
  }
  const char* kLogits = "logits_every_4th";
  if (is_there(one, "outputs", kLogits)) {
    std::vector<at::Tensor> full;
    for (const auto& low : answer.low_res.flatten(0, 1).unbind(0)) {
      full.push_back(declip::full_size_logits(
          low.contiguous(), image, decoder.config().side));
    }
    golden.compare(
        id, kLogits, at::stack(full).slice(1, 0, {}, 4).slice(2, 0, {}, 4));
  }
}

}  // namespace

TEST(sam_decoder_preprocessing_as_golden) {
  const auto model = sam_model();
  const auto& golden = sam_golden();
  for (const auto& id : golden.ids()) {
    const Json& one = golden.at(id);
    if (!is_there(one, "outputs", "input_every_4th")) continue;
    const tap::Case in(id);
    const auto pixels =
        png::read(golden.path(*one.find("inputs")->find("photo")->string()));
    const auto input = declip::sam_input(pixels, *model);
    golden.compare(
        id, "input_every_4th", input.slice(2, 0, {}, 4).slice(3, 0, {}, 4));
    const auto expected = png::read(
        golden.path(*one.find("values")->find("resized_png")->string()));
    const Size to =
        declip::sam_input_size({pixels.size(0), pixels.size(1)},
                               model->info().config.vision.image_size);
    CHECK(declip::resize_pillow(pixels.const_data_ptr<uint8_t>(),
                                {pixels.size(0), pixels.size(1)},
                                to,
                                declip::PillowFilter::kBilinear)
              .equal(expected));
  }
}

TEST(sam_decoder_sizes_as_golden) {
  const Json& values = *sam_golden().at("sizes").find("values");
  const auto& pictures = *values.find("original_hw")->array();
  for (const auto& [name, list] : *values.object()) {
    const std::string beginning = "resized_hw_";
    if (!name.starts_with(beginning)) continue;
    const int64_t side = std::stoll(name.substr(beginning.size()));
    for (size_t i = 0; i < pictures.size(); ++i) {
      const tap::Case in(name + " " + std::to_string(i));
      const Size expected = json_size((*list.array())[i]);
      const Size picture = json_size(pictures[i]);
      if (expected.height < 1 || expected.width < 1) {
        CHECK_THROWS_CODE(declip::sam_input_size(picture, side),
                          declip::ErrorCode::kInvalidArg);
      } else {
        CHECK((declip::sam_input_size(picture, side) == expected));
      }
    }
  }
}

TEST(sam_decoder_embeddings_as_golden) {
  const c10::InferenceMode guard;
  const auto model = sam_model();
  const auto& golden = sam_golden();
  for (const auto& id : golden.ids()) {
    const Json& one = golden.at(id);
    if (!id.ends_with(".image-embedding")) continue;
    const tap::Case in(id);
    const auto resized =
        png::read(golden.path(*one.find("inputs")->find("resized")->string()));
    golden.compare(id,
                   "features",
                   declip::encode_for_masks(*model, resized, {}).embedding);
  }
}

TEST(sam_decoder_position_codes_as_golden) {
  const c10::InferenceMode guard;
  const auto model = sam_model();
  const auto& prompts = decoder_of(*model).prompts();
  const std::string id = "position-encoding";
  sam_golden().compare(id, "dense", as_grid(prompts.grid_codes().unsqueeze(0)));
  const auto points = json_tensor(*sam_golden().at(id).find("inputs")->find(
                                      "points_xy_input_frame"))
                          .to(at::kFloat);
  sam_golden().compare(id, "points", prompts.codes(points + 0.5));
}

TEST(sam_decoder_prompts_as_golden) {
  const c10::InferenceMode guard;
  for (const bool eager : {false, true}) {
    const tap::Case in(eager ? "eager" : "fused");
    const auto model = sam_model(eager);
    Seen seen;
    for (const auto& id : prompt_cases()) check_prompts(*model, id, seen);
  }
}

TEST(sam_decoder_chooses_as_golden) {
  const auto& table =
      *sam_golden().at("choose-one").find("values")->find("table")->array();
  for (const Json& row : table) {
    CHECK(declip::choose_mask(json_tensor(*row.find("iou")),
                              *row.find("tokens")->integer()) ==
          *row.find("chosen")->integer());
  }
}

TEST(sam_decoder_single_answer_as_golden) {
  const c10::InferenceMode guard;
  const auto model = sam_model();
  const std::string id = "export-single";
  const Json& one = sam_golden().at(id);
  const auto pixels = png::read(
      sam_golden().path(*one.find("inputs")->find("photo")->string()));
  const auto image = declip::encode_for_masks(*model, pixels, {});
  const auto answer =
      declip::masks_at(*model, image, prompts_of(one), MaskChoice::kBest, {});
  sam_golden().compare(id, "low_res", answer.low_res);
  sam_golden().compare(id, "iou", answer.iou);
}

TEST(sam_decoder_postprocessing_as_golden) {
  const auto& golden = sam_golden();
  int64_t cases = 0;
  for (const auto& id : golden.ids()) {
    const Json& one = golden.at(id);
    if (!is_there(one, "options", "stored_every")) continue;
    const tap::Case in(id);
    ++cases;
    const Json& options = *one.find("options");
    SamImage image;
    image.input = json_size(*options.find("input_size"));
    image.picture = json_size(*options.find("original_size"));
    const auto low =
        golden.tensor(*one.find("inputs")->find("low_res")).to(at::kFloat);
    const int64_t side = *options.find("image_size")->integer();
    const int64_t every = *options.find("stored_every")->integer();
    std::vector<at::Tensor> full;
    const auto& areas = *one.find("values")->find("areas")->array();
    for (int64_t m = 0; m < low.size(1); ++m) {
      full.push_back(declip::full_size_logits(low[0][m], image, side));
      CHECK_CLOSE((full.back() > 0).sum().item<double>(),
                  *areas[static_cast<size_t>(m)].number(),
                  0.0005 * static_cast<double>(full.back().numel()));
    }
    golden.compare(
        id,
        "logits",
        at::stack(full).slice(1, 0, {}, every).slice(2, 0, {}, every));
  }
  CHECK(cases > 0);
}

// --- A slow version, on sizes that the fixture does not have ----------------

namespace {

struct SlowSizes {
  int64_t width, grid, layers, heads, inner, hidden, masks, first, second,
      mask_hidden;
};

using Named = std::map<std::string, at::Tensor>;

Named random_decoder(const SlowSizes& z) {
  Named out;
  const auto put = [&](const std::string& name, at::IntArrayRef shape) {
    out[name] = at::randn(shape, at::kFloat) * 0.3;
  };
  const auto pair = [&](const std::string& name, at::IntArrayRef shape) {
    put(name + ".weight", shape);
    put(name + ".bias", {shape[0]});
  };
  const auto norm = [&](const std::string& name, int64_t width) {
    out[name + ".weight"] = 1 + at::randn({width}) * 0.2;
    put(name + ".bias", {width});
  };
  const auto attention = [&](const std::string& name, int64_t inner) {
    for (const char* part : {".q_proj", ".k_proj", ".v_proj"}) {
      pair(name + part, {inner, z.width});
    }
    pair(name + ".out_proj", {z.width, inner});
  };
  put("prompts.directions", {2, z.width / 2});
  for (int i = 0; i < 4; ++i) {
    put("prompts.point." + std::to_string(i), {1, z.width});
  }
  put("prompts.no_point", {1, z.width});
  put("prompts.no_mask", {1, z.width});
  pair("prompts.conv1", {z.mask_hidden / 2, 1, 2, 2});
  norm("prompts.norm1", z.mask_hidden / 2);
  pair("prompts.conv2", {z.mask_hidden, z.mask_hidden / 2, 2, 2});
  norm("prompts.norm2", z.mask_hidden);
  pair("prompts.conv3", {z.width, z.mask_hidden, 1, 1});
  put("masks.iou_token", {1, z.width});
  put("masks.mask_tokens", {z.masks, z.width});
  for (int64_t i = 0; i < z.layers; ++i) {
    const std::string layer = "masks.layers." + std::to_string(i);
    attention(layer + ".self", z.width);
    attention(layer + ".to_image", z.inner);
    attention(layer + ".to_tokens", z.inner);
    for (const char* n : {".norm1", ".norm2", ".norm3", ".norm4"}) {
      norm(layer + n, z.width);
    }
    pair(layer + ".mlp.lin1", {z.hidden, z.width});
    pair(layer + ".mlp.lin2", {z.width, z.hidden});
  }
  attention("masks.final", z.inner);
  norm("masks.final_norm", z.width);
  put("masks.up1.weight", {z.width, z.first, 2, 2});
  put("masks.up1.bias", {z.first});
  norm("masks.up_norm", z.first);
  put("masks.up2.weight", {z.first, z.second, 2, 2});
  put("masks.up2.bias", {z.second});
  for (int64_t m = 0; m < z.masks; ++m) {
    const std::string mlp = "masks.hyper." + std::to_string(m) + ".layers.";
    pair(mlp + "0", {z.width, z.width});
    pair(mlp + "1", {z.second, z.width});
  }
  pair("masks.iou.layers.0", {z.hidden, z.width});
  pair("masks.iou.layers.1", {z.masks, z.hidden});
  return out;
}

/// Sections 2 to 4 of the paper's appendix in float64, written from the
/// authors' description as plainly as LibTorch's operators allow.
class SlowDecoder {
 public:
  SlowDecoder(const Named& weights, const SlowSizes& sizes)
      : w_(weights), z_(sizes) {}

  at::Tensor code(const at::Tensor& unit) const {
    const auto phases =
        2 * M_PI * at::matmul(2 * unit - 1, of("prompts.directions"));
    return at::cat({phases.sin(), phases.cos()}, -1);
  }

  at::Tensor sparse(const MaskPrompts& p,
                    const SamImage& image,
                    double side) const {
    const auto scale = at::tensor(
        {static_cast<double>(image.input.width) / image.picture.width,
         static_cast<double>(image.input.height) / image.picture.height});
    std::vector<at::Tensor> rows;
    for (int64_t b = 0; b < p.count(); ++b) {
      std::vector<at::Tensor> tokens;
      if (p.points.defined()) {
        for (int64_t n = 0; n < p.points.size(1); ++n) {
          const auto label = p.labels[b][n].item<int64_t>();
          const auto at = code((p.points[b][n] * scale + 0.5) / side);
          if (label == -1) {
            tokens.push_back(of("prompts.no_point")[0]);
          } else {
            tokens.push_back(at +
                             of("prompts.point." + std::to_string(label))[0]);
          }
        }
        if (!p.boxes.defined()) tokens.push_back(of("prompts.no_point")[0]);
      }
      if (p.boxes.defined()) {
        for (int64_t c = 0; c < 2; ++c) {
          const auto corner = p.boxes[b].slice(0, 2 * c, 2 * c + 2);
          tokens.push_back(code((corner * scale + 0.5) / side) +
                           of("prompts.point." + std::to_string(2 + c))[0]);
        }
      }
      rows.push_back(tokens.empty() ? at::empty({0, z_.width}, at::kDouble)
                                    : at::stack(tokens));
    }
    return at::stack(rows);
  }

  at::Tensor dense(const MaskPrompts& p) const {
    if (!p.masks.defined()) {
      return of("prompts.no_mask").view({1, z_.width, 1, 1});
    }
    const auto conv = [&](const at::Tensor& x, const char* name, int64_t step) {
      const std::string at = std::string("prompts.") + name;
      return at::conv2d(x, of(at + ".weight"), of(at + ".bias"), step);
    };
    auto x = conv(p.masks.to(at::kDouble), "conv1", 2);
    x = at::gelu(places_norm(x, "prompts.norm1"));
    x = at::gelu(places_norm(conv(x, "conv2", 2), "prompts.norm2"));
    return conv(x, "conv3", 1);
  }

  std::pair<at::Tensor, at::Tensor> decode(const at::Tensor& embedding,
                                           const at::Tensor& sparse_tokens,
                                           const at::Tensor& dense_map) const {
    const int64_t count = sparse_tokens.size(0), g = z_.grid;
    const auto outputs =
        at::cat({of("masks.iou_token"), of("masks.mask_tokens")});
    const auto t0 = at::cat(
        {outputs.unsqueeze(0).expand({count, -1, -1}), sparse_tokens}, 1);
    const auto rows = (at::arange(g, at::kDouble) + 0.5) / g;
    const auto unit = at::stack(
        {rows.unsqueeze(0).expand({g, g}), rows.unsqueeze(1).expand({g, g})},
        2);
    const auto e = code(unit).flatten(0, 1).unsqueeze(0);
    auto k = (embedding.to(at::kDouble).unsqueeze(0) + dense_map)
                 .expand({count, -1, -1, -1})
                 .flatten(2)
                 .transpose(1, 2);
    auto q = t0;
    for (int64_t i = 0; i < z_.layers; ++i) {
      const std::string layer = "masks.layers." + std::to_string(i);
      q = i == 0 ? norm(attend_to(layer + ".self", q, q, q), layer + ".norm1")
                 : norm(q + attend_to(layer + ".self", q + t0, q + t0, q),
                        layer + ".norm1");
      q = norm(q + attend_to(layer + ".to_image", q + t0, k + e, k),
               layer + ".norm2");
      q = norm(q + linear(at::relu(linear(q, layer + ".mlp.lin1")),
                          layer + ".mlp.lin2"),
               layer + ".norm3");
      k = norm(k + attend_to(layer + ".to_tokens", k + e, q + t0, q),
               layer + ".norm4");
    }
    q = norm(q + attend_to("masks.final", q + t0, k + e, k),
             "masks.final_norm");
    auto up =
        at::conv_transpose2d(k.transpose(1, 2).reshape({count, z_.width, g, g}),
                             of("masks.up1.weight"),
                             of("masks.up1.bias"),
                             2);
    up = at::gelu(places_norm(up, "masks.up_norm"));
    up = at::gelu(at::conv_transpose2d(
        up, of("masks.up2.weight"), of("masks.up2.bias"), 2));
    std::vector<at::Tensor> masks;
    for (int64_t m = 0; m < z_.masks; ++m) {
      const auto y =
          mlp(q.select(1, 1 + m), "masks.hyper." + std::to_string(m));
      masks.push_back((y.unsqueeze(-1).unsqueeze(-1) * up).sum(1));
    }
    return {at::stack(masks, 1), mlp(q.select(1, 0), "masks.iou")};
  }

 private:
  at::Tensor of(const std::string& name) const {
    return w_.at(name).to(at::kDouble);
  }
  at::Tensor linear(const at::Tensor& x, const std::string& name) const {
    return at::linear(x, of(name + ".weight"), of(name + ".bias"));
  }
  at::Tensor mlp(const at::Tensor& x, const std::string& name) const {
    return linear(at::relu(linear(x, name + ".layers.0")), name + ".layers.1");
  }
  at::Tensor norm(const at::Tensor& x, const std::string& name) const {
    return at::layer_norm(
        x, {x.size(-1)}, of(name + ".weight"), of(name + ".bias"), 1e-5);
  }
  at::Tensor places_norm(const at::Tensor& x, const std::string& name) const {
    return at::layer_norm(x.permute({0, 2, 3, 1}),
                          {x.size(1)},
                          of(name + ".weight"),
                          of(name + ".bias"),
                          1e-6)
        .permute({0, 3, 1, 2});
  }
  at::Tensor attend_to(const std::string& name,
                       const at::Tensor& queries,
                       const at::Tensor& keys,
                       const at::Tensor& values) const {
    const auto heads = [&](const at::Tensor& x, const char* part) {
      const auto y = linear(x, name + part);
      return y.view({y.size(0), y.size(1), z_.heads, -1}).transpose(1, 2);
    };
    const auto q = heads(queries, ".q_proj");
    const auto scores = at::matmul(q, heads(keys, ".k_proj").transpose(2, 3)) /
                        std::sqrt(static_cast<double>(q.size(3)));
    return linear(at::matmul(scores.softmax(-1), heads(values, ".v_proj"))
                      .transpose(1, 2)
                      .flatten(2),
                  name + ".out_proj");
  }

  const Named& w_;
  SlowSizes z_;
};

void close_to(const at::Tensor& got,
              const at::Tensor& expected,
              const char* what) {
  const tap::Case in(what);
  CHECK(got.sizes() == expected.sizes());
  if (expected.numel() == 0) return;
  const double off =
      (got.to(at::kDouble) - expected).abs().max().item<double>();
  CHECK(off <= 2e-4 * (1 + expected.abs().max().item<double>()));
}

}  // namespace

TEST(sam_decoder_as_the_slow_version_has_it) {
  const c10::InferenceMode guard;
  at::manual_seed(16);
  for (const SlowSizes& z : {SlowSizes{32, 5, 3, 4, 16, 40, 3, 12, 6, 8},
                             SlowSizes{48, 7, 1, 3, 24, 20, 5, 8, 10, 12}}) {
    const Named weights = random_decoder(z);
    declip::MaskDecoderConfig config;
    config.embed_dim = z.width;
    config.grid = z.grid;
    config.side = 16 * z.grid;
    config.layers = z.layers;
    config.heads = z.heads;
    config.masks = z.masks;
    config.mask_hidden = z.mask_hidden;
    const declip::Call call;
    const declip::Weights given(weights, at::kCPU, at::kFloat, call);
    const SlowDecoder slow(weights, z);
    const auto embedding = at::randn({z.width, z.grid, z.grid});
    const auto points = at::rand({3, 2, 2}, at::kDouble) * 60;
    const auto labels =
        at::tensor({1, 0, -1, 1, 1, -1}, at::kLong).view({3, 2});
    const auto boxes = at::rand({3, 4}, at::kDouble) * 60;
    const auto masks = at::randn({3, 1, 4 * z.grid, 4 * z.grid});
    for (const bool fused : {false, true}) {
      declip::Numerics numerics;
      numerics.fused = fused;
      const SamDecoder decoder(config, given, numerics);
      const auto image =
          decoder.prepare(embedding, {config.side, 40}, {90, 70});
      for (int kinds = 0; kinds < 8; ++kinds) {
        const tap::Case in((fused ? "fused " : "eager ") +
                           std::to_string(kinds));
        MaskPrompts prompts;
        if (kinds & 1) {
          prompts.points = points;
          prompts.labels = labels;
        }
        if (kinds & 2) prompts.boxes = boxes;
        if (kinds & 4) prompts.masks = masks;
        const auto sparse =
            slow.sparse(prompts, image, static_cast<double>(config.side));
        close_to(decoder.prompts().sparse(prompts, image), sparse, "sparse");
        const auto [low_res, iou] =
            slow.decode(embedding, sparse, slow.dense(prompts));
        const auto got = decoder.decode(image, prompts, MaskChoice::kAll, call);
        close_to(got.low_res, low_res, "masks");
        close_to(got.iou, iou, "overlaps");
        const auto multi =
            decoder.decode(image, prompts, MaskChoice::kMulti, call);
        close_to(multi.low_res, low_res.slice(1, 1), "several masks");
        const auto single =
            decoder.decode(image, prompts, MaskChoice::kSingle, call);
        CHECK(single.iou.equal(got.iou.slice(1, 0, 1)));
      }
    }
  }
}

TEST(sam_decoder_refuses_what_it_does_not_know) {
  const auto original =
      declip::read_safetensors(sam_golden().path("sam.safetensors")).tensors;
  const files::TempFolder temp;
  const std::string path = temp.file("model.safetensors");
  const auto overrides = sam_options(false).overrides;
  const auto load = [&](const std::function<void(Named&)>& change) {
    Named tensors(original.begin(), original.end());
    change(tensors);
    declip::write_safetensors(path, tensors);
    return declip::load_checkpoint(path, overrides);
  };
  CHECK(load([](Named&) {}).mask_decoder != nullptr);
  // another model's
  for (const char* name :
       {"mask_decoder.obj_score_token.weight", "prompt_encoder.extra.weight"}) {
    CHECK(files::contains(
        CHECK_THROWS_CODE(load([&](Named& t) { t[name] = at::zeros({2, 2}); }),
                          declip::ErrorCode::kWeights),
        name));
  }
  CHECK(files::contains(CHECK_THROWS_CODE(load([](Named& t) {
                                            t["mask_decoder.hf_token.weight"] =
                                                at::zeros({1, 2});
                                          }),
                                          declip::ErrorCode::kWeights),
                        "SAM-HQ"));
  // not whole: the encoder is there all the same
  const auto part = load([](Named& t) {
    t.erase("mask_decoder.transformer.norm_final_attn.bias");
  });
  CHECK(part.mask_decoder == nullptr);
  CHECK(files::contains(part.mask_decoder_fault, "norm_final_attn.bias"));
  const auto model = Model::load(path, sam_options(false), {});
  CHECK(files::contains(
      CHECK_THROWS_CODE(model->mask_decoder({}), declip::ErrorCode::kWeights),
      "norm_final_attn.bias"));
  // diverged
  const auto broken = load([](Named& t) {
    t["mask_decoder.iou_token.weight"] =
        at::full_like(t["mask_decoder.iou_token.weight"], NAN);
  });
  CHECK(broken.mask_decoder != nullptr);
  const auto with_nan = Model::load(path, sam_options(false), {});
  CHECK(files::contains(CHECK_THROWS_CODE(with_nan->mask_decoder({}),
                                          declip::ErrorCode::kWeights),
                        "mask_decoder.iou_token.weight"));
}
