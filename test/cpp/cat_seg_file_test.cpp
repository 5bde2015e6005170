// CAT-Seg's files: what is read, noted, and refused.

#include "cat_seg/cat_seg_file.h"

#include <ATen/ATen.h>

#include <cmath>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "checkpoint/family.h"
#include "checkpoint_files.h"
#include "declip/checkpoint.h"
#include "declip/model.h"
#include "declip/safetensors.h"
#include "files/torch_archive.h"
#include "golden.h"
#include "tap.h"

using declip::CatSegConfig;
using declip::Checkpoint;
using declip::ErrorCode;
using declip::Json;

namespace {

using FileTensors = std::map<std::string, at::Tensor>;

const std::vector<std::string> kCatSegFiles{"model.pth", "declip-model.pth"};
const std::string kPrefix = "sem_seg_head.predictor.";

const Golden& cat_seg_files() {
  static const Golden golden("cat-seg");
  return golden;
}

const Json& told_of(const std::string& file) {
  const std::string id =
      file == kCatSegFiles[0] ? "few-classes" : "declip-few-classes";
  return *cat_seg_files().at(id).find("config");
}

std::vector<int64_t> integers_of(const Json& list) {
  std::vector<int64_t> out;
  for (const Json& item : *list.array()) out.push_back(*item.integer());
  return out;
}

/// A file with what `change` makes of a fixture's tensors.
Checkpoint remade(const files::TempFolder& temp,
                  const std::string& name,
                  const std::function<void(FileTensors&)>& change,
                  const std::map<std::string, std::string>& metadata = {}) {
  FileTensors tensors =
      declip::read_torch_archive(cat_seg_files().path(name)).tensors;
  for (auto& [key, tensor] : tensors) tensor = tensor.clone();
  change(tensors);
  const std::string path = temp.file("model.safetensors");
  declip::write_safetensors(path, tensors, metadata);
  return declip::load_checkpoint(path);
}

const auto kUnchanged = [](FileTensors&) {};

bool says(const std::vector<std::string>& notes, const std::string& what) {
  for (const auto& note : notes) {
    if (note.find(what) != std::string::npos) return true;
  }
  return false;
}

}  // namespace

TEST(cat_seg_file_tells_the_golden_configurations) {
  for (const std::string& name : kCatSegFiles) {
    const tap::Case in(name);
    const Checkpoint file = declip::load_checkpoint(cat_seg_files().path(name));
    CHECK(file.cat_seg_fault.empty());
    CHECK(file.format == "cat-seg");
    CHECK(file.cat_seg != nullptr);
    if (file.cat_seg == nullptr) continue;
    const Json& told = told_of(name);
    const CatSegConfig& c = file.cat_seg->config;
    CHECK(c.channels == *told.find("hidden")->integer());
    CHECK(c.embed_dim == *told.find("embed_dim")->integer());
    CHECK(c.layers == *told.find("aggregator_layers")->integer());
    CHECK(c.prompts == 1);
    CHECK(c.window == *told.find("window")->integer());
    CHECK(c.image_guidance == integers_of(*told.find("image_guidance"))[1]);
    CHECK(c.text_guidance == integers_of(*told.find("text_guidance"))[1]);
    CHECK(c.guidance == integers_of(*told.find("guidance_channels")));
    CHECK(c.decoder == integers_of(*told.find("decoder")));
    CHECK(c.decoder_guidance == integers_of(*told.find("decoder_guidance")));
    CHECK(c.prompt == *told.find("template")->string());
    CHECK(c.side == integers_of(*told.find("clip_resolution"))[0]);
    const bool eva = *told.find("tower")->string() == "EVA02";
    CHECK(c.unit_patches == eva);
    CHECK(c.mode ==
          (eva ? declip::DenseMode::kCsa : declip::DenseMode::kCatSeg));
    // The optimiser's state lies in the file as well, and nobody reads it.
    CHECK(file.others.empty());
    CHECK(file.config.text.has_value());
    CHECK(declip::describe(file).cat_seg.has_value());
  }
}

TEST(cat_seg_file_takes_bare_dicts_and_what_metadata_say) {
  const files::TempFolder temp;
  for (const std::string& name : kCatSegFiles) {
    const tap::Case in(name);
    const Checkpoint bare = remade(temp, name, kUnchanged);
    CHECK(bare.cat_seg != nullptr);
    const int64_t patch = *told_of(name).find("patch")->integer();
    const std::string side = std::to_string(6 * patch);
    const Checkpoint file = remade(
        temp,
        name,
        kUnchanged,
        {{"declip.catSeg",
          "{\"side\":" + side +
              ",\"canvas\":160,\"cut\":96,\"stride\":64,\"heads\":2,"
              "\"window\":3,\"wordLimit\":7,\"blocks\":[0,1],\"mode\":\"qq\","
              "\"unitPatches\":true,\"prompt\":\"{} here\","
              "\"names\":[\"a\",\"b, c\"]}"}});
    CHECK(file.cat_seg != nullptr);
    if (file.cat_seg == nullptr) continue;
    const CatSegConfig& c = file.cat_seg->config;
    CHECK(c.side == 6 * patch);
    CHECK(c.canvas == 160 && c.cut == 96 && c.stride == 64);
    CHECK(c.heads == 2 && c.window == 3 && c.word_limit == 7);
    CHECK(c.blocks == std::vector<int64_t>({0, 1}));
    CHECK(c.mode == declip::DenseMode::kQq && c.unit_patches);
    CHECK(c.prompt == "{} here");
    CHECK(c.names == std::vector<std::string>({"a", "b, c"}));
  }
}

TEST(cat_seg_file_tells_the_window_by_its_masks) {
  const files::TempFolder temp;
  for (const std::string& name : kCatSegFiles) {
    const tap::Case in(name);
    const int64_t patch = *told_of(name).find("patch")->integer();
    const int64_t window = 5, along = 3;
    const auto with_masks = [&](FileTensors& all) {
      for (auto& [key, tensor] : all) {
        if (!key.ends_with(".attn_mask")) continue;
        tensor = at::zeros({along * along, window * window, window * window},
                           at::kHalf);
      }
    };
    const Checkpoint file = remade(temp, name, with_masks);
    CHECK(file.cat_seg != nullptr);
    if (file.cat_seg == nullptr) continue;
    CHECK(file.cat_seg->config.window == window);
    CHECK(file.cat_seg->config.side == patch * window * along);
    const auto told =
        remade(temp, name, with_masks, {{"declip.catSeg", "{\"window\":4}"}});
    CHECK(told.cat_seg != nullptr && told.cat_seg->config.window == 4);
    // Shapes that no window has say nothing.
    const auto odd = remade(temp, name, [](FileTensors& all) {
      for (auto& [key, tensor] : all) {
        if (key.ends_with(".attn_mask"))
          tensor = at::zeros({3, 7, 7}, at::kHalf);
      }
    });
    CHECK(odd.cat_seg != nullptr && odd.cat_seg->config.window == 12);
  }
}

TEST(cat_seg_file_whose_head_is_not_whole_keeps_its_towers) {
  const files::TempFolder temp;
  const std::string head = kPrefix + "transformer.";
  const std::vector<std::pair<std::string, std::function<void(FileTensors&)>>>
      faults{
          {"head.weight",
           [&](FileTensors& all) { all.erase(head + "head.weight"); }},
          {"upsample2",
           [&](FileTensors& all) {
             all.erase("upsample2.weight");
             all.erase("upsample2.bias");
           }},
          {"conv1.bias",
           [&](FileTensors& all) {
             all[head + "conv1.bias"] = at::zeros({3}, at::kHalf);
           }},
          {"attn.q.weight",
           [&](FileTensors& all) {
             auto& q = all[head + "layers.0.swin_block.block_2.attn.q.weight"];
             q = q.slice(1, 1).contiguous();
           }},
          // 2023's had layers of other kinds.
          {"cross_attention",
           [&](FileTensors& all) {
             all[head + "layers.0.cross_attention.weight"] =
                 at::zeros({2, 2}, at::kHalf);
           }},
  };
  for (const auto& [what, change] : faults) {
    const tap::Case in(what);
    const Checkpoint file = remade(temp, kCatSegFiles[0], change);
    CHECK(file.cat_seg == nullptr);
    CHECK(file.cat_seg_fault.find(what) != std::string::npos);
    CHECK(says(file.notes, "no CAT-Seg"));
    CHECK(file.config.text.has_value());
  }
}

TEST(cat_seg_file_with_metadata_that_cannot_be_keeps_its_towers) {
  const files::TempFolder temp;
  for (const std::string told : {"{\"side\":7}",
                                 "{\"blocks\":[0]}",
                                 "{\"blocks\":[0,99]}",
                                 "{\"heads\":5}",
                                 "{\"cut\":9999}",
                                 "{\"stride\":9999}",
                                 "{\"mode\":\"unheard-of\"}",
                                 "{\"prompt\":\"no place\"}",
                                 "{\"wordLimit\":-1}",
                                 "{\"names\":3}",
                                 "[]"}) {
    const tap::Case in(told);
    const Checkpoint file =
        remade(temp, kCatSegFiles[0], kUnchanged, {{"declip.catSeg", told}});
    CHECK(file.cat_seg == nullptr);
    CHECK(file.cat_seg_fault.find("declip.catSeg") != std::string::npos ||
          !file.cat_seg_fault.empty());
  }
}

TEST(cat_seg_file_with_numbers_that_are_none_is_refused_at_its_first_use) {
  const files::TempFolder temp;
  const Checkpoint file = remade(temp, kCatSegFiles[0], [&](FileTensors& all) {
    all[kPrefix + "transformer.conv1.bias"].fill_(std::nan(""));
  });
  CHECK(file.cat_seg != nullptr);
  declip::LoadOptions options;
  options.device = "cpu";
  const auto model = declip::Model::load(file.path, options, {});
  CHECK_THROWS_CODE(model->cat_seg({}), ErrorCode::kWeights);
}

TEST(cat_seg_file_without_a_head_says_so) {
  const files::TempFolder temp;
  const Checkpoint file = remade(temp, kCatSegFiles[1], [](FileTensors& all) {
    std::erase_if(all, [](const auto& named) {
      return !named.first.starts_with(kPrefix + "clip_model.");
    });
  });
  CHECK(file.cat_seg == nullptr);
  CHECK(!file.cat_seg_fault.empty());
}

TEST(cat_seg_guides_lie_where_they_were_released) {
  CHECK(declip::usual_guiding_blocks(12) == std::vector<int64_t>({3, 7}));
  CHECK(declip::usual_guiding_blocks(24) == std::vector<int64_t>({7, 15}));
}
