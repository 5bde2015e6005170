// CAT-Seg: stages from its authors' code, and what its files may be like.

#include "declip/cat_seg.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cat_seg/head.h"
#include "cat_seg/plain_head.h"
#include "checkpoint/family.h"
#include "declip/checkpoint.h"
#include "declip/model.h"
#include "golden.h"
#include "png.h"
#include "tap.h"

using declip::CatSegConfig;
using declip::CatSegMaps;
using declip::Json;
using declip::Model;

namespace {

const Golden& cat_seg_golden() {
  static const Golden golden("cat-seg");
  return golden;
}

const Json& member(const Json& json, const char* name) {
  const Json* found = json.find(name);
  if (found == nullptr) throw std::runtime_error(std::string("no ") + name);
  return *found;
}

int64_t whole_number(const Json& json, const char* name) {
  return *member(json, name).integer();
}

/// A fixture's checkpoint with what its manifest says of a case.
struct CatSegCase {
  CatSegCase(const std::string& id, bool eager) : one(cat_seg_golden().at(id)) {
    const std::string path =
        cat_seg_golden().path(*member(one, "weights").string());
    declip::LoadOptions options;
    options.device = "cpu";
    options.dtype = "float32";
    options.eager = eager;
    model = Model::load(path, options, {});
    const auto checkpoint = declip::load_checkpoint(path);
    config = checkpoint.cat_seg->config;
    const Json& told = member(one, "config");
    config.blocks.clear();
    for (const Json& block : *member(told, "guidance_layers").array()) {
      config.blocks.push_back(*block.integer());
    }
    config.side = *(*member(told, "clip_resolution").array())[0].integer();
    config.window = whole_number(told, "window");
    config.heads = whole_number(told, "heads");
    const Json& given = member(one, "options");
    pooling = (*member(given, "class_pooling").array())[0].integer().value();
    limit = whole_number(given, "pad_length");
    sliding = *member(given, "sliding_window").boolean();
    if (const Json* mode = given.find("dense_mode")) {
      config.mode = declip::dense_mode_from(*mode->string());
    }
    for (const auto& [name, tensor] : checkpoint.cat_seg->tensors) {
      weights.emplace(name, tensor.to(at::kFloat));
    }
    if (const Json* edit = given.find("weight_edit")) {
      const double factor = *member(*edit, "multiply_by").number();
      for (const Json& name : *member(*edit, "tensors").array()) {
        const std::string own = name.string()->substr(
            std::string("sem_seg_head.predictor.").size());
        weights.at(own) = weights.at(own) * factor;
      }
    }
  }

  /// The tower's input [n, 3, side, side], written down here once more.
  at::Tensor input() const {
    const Json& spec = member(member(one, "inputs"), "image");
    const auto rgb =
        png::read(cat_seg_golden().path(*member(spec, "png").string()))
            .permute({2, 0, 1})
            .unsqueeze(0)
            .to(at::kFloat);
    const auto resized = [](const at::Tensor& x, int64_t side) {
      return at::upsample_bilinear2d(x, {side, side}, false);
    };
    const Json& told = member(one, "config");
    const auto channels = [&](const char* name) {
      std::vector<float> out;
      for (const Json& value : *member(told, name).array()) {
        out.push_back(static_cast<float>(*value.number()));
      }
      return at::tensor(out).view({1, 3, 1, 1});
    };
    const auto normal = [&](const at::Tensor& x) {
      return (x - channels("clip_mean")) / channels("clip_std");
    };
    if (!sliding) {
      const auto up = [](int64_t x) { return (x + 31) / 32 * 32; };
      const int64_t h = rgb.size(2), w = rgb.size(3);
      return resized(
          at::constant_pad_nd(normal(rgb), {0, up(w) - w, 0, up(h) - h}),
          config.side);
    }
    const Json& given = member(one, "options");
    const int64_t cut = whole_number(given, "kernel");
    const int64_t stride = whole_number(given, "stride");
    const int64_t canvas_side =
        *(*member(given, "canvas").array())[0].integer();
    const auto canvas = resized(rgb, canvas_side);
    std::vector<at::Tensor> windows;
    for (int64_t y = 0; y + cut <= canvas_side; y += stride) {
      for (int64_t x = 0; x + cut <= canvas_side; x += stride) {
        windows.push_back(canvas.slice(2, y, y + cut).slice(3, x, x + cut));
      }
    }
    windows.push_back(resized(rgb, cut));
    return resized(normal(at::cat(windows)), config.side);
  }

  at::Tensor text() const {
    const auto ids =
        cat_seg_golden().tensor(member(member(one, "inputs"), "ids"));
    return model->encode_text(ids, true, {});
  }

  declip::Stages stages(const at::Tensor& image) const {
    declip::StageOptions options;
    options.blocks = config.blocks;
    options.dense.mode = config.mode;
    options.features = true;
    return model->encode_stages(image, options, {});
  }

  const Json& one;
  std::shared_ptr<const Model> model;
  CatSegConfig config;
  declip::cat_seg::Tensors weights;
  int64_t pooling = 1, limit = 0;
  bool sliding = false;
};

std::vector<std::string> inference_cases() {
  std::vector<std::string> out;
  for (const auto& id : cat_seg_golden().ids()) {
    const Json* options = cat_seg_golden().at(id).find("options");
    if (options == nullptr || options->find("sliding_window") == nullptr ||
        options->find("test_resize") != nullptr) {
      continue;
    }
    out.push_back(id);
  }
  return out;
}

/// [n, T, ..] where a window's words are some of all.
at::Tensor scattered(const declip::CatSegLogits& logits, int64_t words) {
  if (!logits.kept.defined()) return logits.maps;
  const auto& maps = logits.maps;
  auto all =
      at::full({maps.size(0), words, maps.size(2), maps.size(3)}, -100.0);
  const auto index = logits.kept.unsqueeze(-1).unsqueeze(-1).expand_as(maps);
  return all.scatter(1, index, maps);
}

/// Stages are compared in the order in which they are made, so that the first
/// that is wrong is the first that is told.
void compare_stages(const std::string& id, bool eager) {
  const c10::InferenceMode guard;
  const tap::Case named(id + (eager ? " eager" : " fused"));
  const CatSegCase c(id, eager);
  const Json& outputs = member(c.one, "outputs");
  const auto compare = [&](const std::string& name, const at::Tensor& got) {
    if (outputs.find(name) != nullptr) cat_seg_golden().compare(id, name, got);
  };
  const auto input = c.input();
  compare("clip_input", input);
  compare("windows", input);
  const auto stages = c.stages(input);
  const char* const blocks[] = {"tower_block_first", "tower_block_second"};
  for (int i = 0; i < 2; ++i) {
    const auto& stage = stages.blocks[i];
    compare(blocks[i],
            at::cat({stage.prefix, stage.map.flatten(2).transpose(1, 2)}, 1));
  }
  const auto text = c.text().unsqueeze(1);
  compare("text_features", text.unsqueeze(0));
  const auto maps = declip::cat_seg::plain_maps(c.config,
                                                c.weights,
                                                stages.features,
                                                stages.blocks[0].map,
                                                stages.blocks[1].map,
                                                compare);
  const bool all = c.limit == 0 || text.size(0) <= c.limit;
  if (all) {
    declip::cat_seg::plain_logits(
        c.config, c.weights, maps, text, c.pooling, c.limit, compare);
  } else if (outputs.find("cost_maximum") != nullptr) {
    const auto cost =
        at::einsum("btp,bpn->btn",
                   {text.squeeze(1).unsqueeze(0), maps.features.flatten(2)});
    compare("cost_maximum", cost.amax({0, 2}));
  }
  // The head that a model has.
  const declip::Call call;
  const declip::Weights weights(c.weights, at::kCPU, at::kFloat, call);
  declip::Numerics numerics;
  numerics.fused = !eager;
  const auto head = declip::make_cat_seg(c.config, weights, numerics);
  const auto logits = head->logits(
      head->encode(stages, call), text, {c.pooling, c.limit}, call);
  compare("logits", scattered(logits, text.size(0)));
}

}  // namespace

TEST(cat_seg_stages_are_the_authors) {
  for (const auto& id : inference_cases()) {
    for (const bool eager : {true, false}) compare_stages(id, eager);
  }
}

TEST(cat_seg_text_is_the_authors) {
  for (const std::string id : {"text", "declip-text"}) {
    const auto& one = cat_seg_golden().at(id);
    declip::LoadOptions options;
    options.device = "cpu";
    options.dtype = "float32";
    const auto model = Model::load(
        cat_seg_golden().path(*member(one, "weights").string()), options, {});
    const auto ids =
        cat_seg_golden().tensor(member(member(one, "inputs"), "ids"));
    cat_seg_golden().compare(
        id, "text_features", model->encode_text(ids, true, {}));
  }
}

TEST(cat_seg_does_not_depend_on_how_many_words_are_at_work) {
  const c10::InferenceMode guard;
  const CatSegCase c("few-classes", true);
  const auto stages = c.stages(c.input());
  const auto maps = declip::cat_seg::plain_maps(c.config,
                                                c.weights,
                                                stages.features,
                                                stages.blocks[0].map,
                                                stages.blocks[1].map);
  at::manual_seed(3);
  const auto text = at::randn({7, c.config.prompts, c.config.embed_dim});
  for (const int64_t pooling : {1, 2}) {
    const auto at_once = declip::cat_seg::plain_logits(
        c.config, c.weights, maps, text, pooling, c.limit);
    for (const int64_t block : {1, 3, 50}) {
      const auto some = declip::cat_seg::plain_logits(
          c.config, c.weights, maps, text, pooling, c.limit, {}, block);
      CHECK_CLOSE((at_once - some).abs().max().item<double>(), 0, 1e-4);
    }
  }
}
