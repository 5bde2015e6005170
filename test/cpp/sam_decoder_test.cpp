// SAM's prompt encoder, mask decoder and what is around them: golden cases from
// its authors' code, and a slow version written apart from ours on sizes that
// the fixture does not have.

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "checkpoint_files.h"
#include "declip/mask_decoder.h"
#include "declip/model.h"
#include "declip/resize.h"
#include "declip/safetensors.h"
#include "families/sam_decoder.h"
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
  const auto side = static_cast<int64_t>(std::lround(
      std::sqrt(static_cast<double>(places.size(1)))));
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

void check_prompts(const Model& model, const std::string& id) {
  const tap::Case in(id);
  const auto& golden = sam_golden();
  const Json& one = golden.at(id);
  const auto pixels =
      png::read(golden.path(*one.find("inputs")->find("photo")->string()));
  const SamImage image = declip::encode_for_masks(model, pixels, {});
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
                allowed * static_cast<double>(pixels.numel() / 3));
  }
  const char* kLogits = "logits_every_4th";
  if (is_there(one, "outputs", kLogits)) {
    std::vector<at::Tensor> full;
    for (const auto& low : answer.low_res.flatten(0, 1).unbind(0)) {
      full.push_back(declip::full_size_logits(
          low.contiguous(), image, decoder.config().side));
    }
    golden.compare(id,
                   kLogits,
                   at::stack(full).slice(1, 0, {}, 4).slice(2, 0, {}, 4));
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
    golden.compare(id,
                   "input_every_4th",
                   input.slice(2, 0, {}, 4).slice(3, 0, {}, 4));
    const auto expected = png::read(
        golden.path(*one.find("values")->find("resized_png")->string()));
    const Size to = declip::sam_input_size(
        {pixels.size(0), pixels.size(1)},
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
    golden.compare(
        id,
        "features",
        declip::encode_for_masks(*model, resized, {}).embedding);
  }
}

TEST(sam_decoder_position_codes_as_golden) {
  const c10::InferenceMode guard;
  const auto model = sam_model();
  const auto& prompts = decoder_of(*model).prompts();
  const std::string id = "position-encoding";
  sam_golden().compare(
      id, "dense", as_grid(prompts.grid_codes().unsqueeze(0)));
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
    for (const auto& id : prompt_cases()) check_prompts(*model, id);
  }
}

TEST(sam_decoder_chooses_as_golden) {
  const auto& table = *sam_golden()
                           .at("choose-one")
                           .find("values")
                           ->find("table")
                           ->array();
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
  const auto answer = declip::masks_at(
      *model, image, prompts_of(one), MaskChoice::kBest, {});
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
    const auto low = golden.tensor(*one.find("inputs")->find("low_res"))
                         .to(at::kFloat);
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
