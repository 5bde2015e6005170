// A family that nobody trained, registered as those of cpp/families are: what
// it takes to add one, and that nothing else asks which family a model is of.

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/family.h"
#include "checkpoint/json_fields.h"
#include "checkpoint/tower_shapes.h"
#include "checkpoint_files.h"
#include "declip/initial.h"
#include "declip/model.h"
#include "declip/region_features.h"
#include "declip/safetensors.h"
#include "families/timm_names.h"
#include "model/encoder.h"
#include "random_planes.h"
#include "tap.h"

using declip::Call;
using declip::Checkpoint;
using declip::CheckpointSource;
using declip::ErrorCode;
using declip::FamilySpec;
using declip::KeyRule;
using declip::Layout;
using declip::ModelConfig;
using declip::ShapeChecker;
using declip::Signature;
using declip::write_safetensors;

// "Tiles": the mean colour of every tile of 4 x 4 pixels, times a matrix.
namespace tiles {
namespace {

constexpr int64_t kSide = 4;

class Encoder final : public declip::VisionEncoder {
 public:
  Encoder(const ModelConfig& config,
          const declip::Weights& weights,
          const declip::Numerics& numerics)
      : VisionEncoder(config, numerics, {}),
        colors_(weights.find("visual.colors")) {}

  at::Tensor class_features(const at::Tensor& image,
                            declip::Positions,
                            const Call& call) const override {
    return patches(image, {}, call).mean({2, 3});
  }
  declip::Stages stages(const at::Tensor& image,
                        const declip::StageOptions&,
                        const Call&) const override {
    const auto means = at::avg_pool2d(image, kSide);
    return {{}, at::einsum("ec,bchw->behw", {colors_, means})};
  }

 private:
  at::Tensor colors_;  // [E, 3]
};

void read(const CheckpointSource& source, Checkpoint& out) {
  ModelConfig& config = out.config;
  auto& v = config.vision;
  v.patch = kSide;
  v.grid = 2;
  v.image_size = kSide * v.grid;
  v.embed_dim = source.weights.need("visual.colors", 2).size(0);
  if (const auto file =
          declip::read_json_if_there(source.files.folder, "tiles.json")) {
    const declip::Fields fields(*file);
    const std::array known{declip::KnownField{"side", "4"}};
    fields.check(known);
  } else {
    out.notes.emplace_back("no tiles.json");
  }
}

constexpr std::array kNames{
    KeyRule{"tiles.colors", "visual.colors"},
    KeyRule{"tiles.*", "visual.*"},
};
constexpr Layout kLayout{"tile file", kNames, read};
constexpr std::array<std::string_view, 2> kPrefixes{"", "model."};
constexpr declip::Refusal kMosaic{
    .name = "A mosaic",
    .told_by = "`tiles.codebook`",
    .why = "it is a mosaic, whose tiles are looked up",
    .instead = "lay the tiles out"};
constexpr std::array kSignatures{
    Signature{.key = "tiles.codebook", .refusal = &kMosaic},
    Signature{.key = "tiles.colors", .layout = &kLayout, .prefixes = kPrefixes},
};

constexpr FamilySpec kFamily{
    .name = "tiles",
    .title = "Tiles",
    .signatures = kSignatures,
    .check_shapes =
        [](ShapeChecker& check, const ModelConfig& config) {
          check.need("visual.colors", {config.vision.embed_dim, 3});
        },
    .has_swiglu = [](const ModelConfig&) { return false; },
    .make_encoder = [](const ModelConfig& config,
                       const declip::Weights& weights,
                       const declip::Numerics& numerics)
        -> std::unique_ptr<declip::VisionEncoder> {
      return std::make_unique<Encoder>(config, weights, numerics);
    },
};

/// Those of the package and this one.
std::vector<const FamilySpec*> families() {
  const auto all = declip::all_families();
  std::vector<const FamilySpec*> out(all.begin(), all.end());
  out.push_back(&kFamily);
  return out;
}

}  // namespace
}  // namespace tiles

namespace {

bool says(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST(families_a_new_one_is_a_spec_and_a_line) {
  const files::TempFolder temp;
  const std::string path = temp.file("tiles.safetensors");
  Random random;
  const auto colors = random.tensor({5, 3});
  const auto families = tiles::families();
  for (const std::string prefix : {"", "model."}) {
    write_safetensors(
        path,
        {{prefix + "tiles.colors", colors}, {"head.weight", at::ones({2, 5})}});
    declip::LoadOptions options;
    options.families = families;
    options.device = "cpu";
    options.dtype = "float32";
    const auto model = declip::Model::load(path, options, {});
    const auto& info = model->info();
    CHECK(info.family == "tiles" && info.format == "tile file");
    CHECK(!info.text_space && !info.config.text && !info.dense_mode);
    CHECK(info.tokenizer == declip::TokenizerKind::kNone);
    CHECK(info.notes.size() == 2 && info.notes[0] == "no tiles.json");
    CHECK(says(info.notes[1], "head.weight"));

    const auto image = random.tensor({2, 3, 8, 12});
    const auto map = model->encode_dense(image, {}, /*normalize=*/false, {});
    CHECK(map.sizes() == at::IntArrayRef({2, 5, 2, 3}));
    const auto tile = image[1].slice(1, 4, 8).slice(2, 8, 12).mean({1, 2});
    CHECK(at::allclose(map[1].select(1, 1).select(1, 2), colors.matmul(tile)));
    const auto whole = model->encode_image(image, {.normalize = false}, {});
    CHECK(at::allclose(whole, map.mean({2, 3})));
    CHECK(
        says(CHECK_THROWS_CODE(model->check_text_space(), ErrorCode::kWeights),
             "(tiles)"));
    const auto boxes = at::tensor({0.0f, 0.0f, 8.0f, 8.0f}).view({1, 4});
    const auto pooled = declip::pool_boxes(
        model->encode_region_map(image, {}, {}, {}), {8, 12}, boxes, {});
    CHECK(pooled.sizes() == at::IntArrayRef({1, 5}));
  }
}

TEST(families_what_belongs_to_no_tower_stays_reachable) {
  const files::TempFolder temp;
  const std::string path = temp.file("tiles.safetensors");
  const auto head = at::arange(10, at::kFloat).view({2, 5});
  write_safetensors(
      path, {{"tiles.colors", at::ones({5, 3})}, {"head.weight", head}});
  const auto c = declip::load_checkpoint(path, {}, tiles::families());
  CHECK(c.tensors.size() == 1 && c.others.size() == 1);
  CHECK(at::equal(c.others.at("head.weight"), head));
}

TEST(families_a_new_one_refuses_what_it_does_not_run) {
  const files::TempFolder temp;
  const std::string path = temp.file("tiles.safetensors");
  const auto families = tiles::families();
  const auto failure = [&](const std::map<std::string, at::Tensor>& tensors) {
    write_safetensors(path, tensors);
    return CHECK_THROWS_CODE(declip::load_checkpoint(path, {}, families),
                             ErrorCode::kWeights);
  };
  const auto colors = at::ones({5, 3});
  CHECK(says(failure({{"tiles.codebook", colors}, {"tiles.colors", colors}}),
             "it is a mosaic, whose tiles are looked up; lay the tiles out."));
  CHECK(declip::all_refusals(families).models.size() ==
        declip::all_refusals().models.size() + 1);
  CHECK(says(failure({{"tiles.colors", at::ones({5, 4})}}),
             "\"tiles.colors\" must have shape [5, 3], found [5, 4]"));
  CHECK(says(failure({{"tiles.colors", colors}, {"tiles.other", colors}}),
             "\"tiles.other\""));
  temp.write("tiles.json", R"({"side": 8})");
  CHECK(says(failure({{"tiles.colors", colors}}), "\"side\" is 8"));

  // Unknown to those who do not list it.
  CHECK(says(failure({{"unknown", colors}}), "DINOv3, SAM or Tiles"));
  write_safetensors(path, {{"tiles.colors", colors}});
  CHECK(says(
      CHECK_THROWS_CODE(declip::load_checkpoint(path), ErrorCode::kWeights),
      "OpenAI, OpenCLIP, Hugging Face CLIP, EVA02-CLIP, TIPSv2, DINO, DINOv2, "
      "DINOv3 or SAM"));

  ModelConfig config;
  config.family = &tiles::kFamily;
  CHECK_THROWS_CODE(declip::initial_checkpoint(config, 1),
                    ErrorCode::kInvalidArg);
}

TEST(families_of_the_package_are_complete) {
  std::set<std::string_view> names;
  for (const FamilySpec* family : declip::all_families()) {
    const tap::Case one{std::string(family->name)};
    CHECK(names.insert(family->name).second);
    CHECK(&declip::family_named(std::string(family->name)) == family);
    CHECK(!family->title.empty() && !family->signatures.empty());
    CHECK(family->check_shapes && family->has_swiglu && family->make_encoder);
    for (const Signature& signature : family->signatures) {
      CHECK((signature.layout == nullptr) != (signature.refusal == nullptr));
    }
    if (family->training) {
      CHECK(family->text != nullptr);
      CHECK(family->training->make_tower && family->training->make_initial);
    }
  }
  CHECK(says(
      CHECK_THROWS_CODE(declip::family_named("resnet"), ErrorCode::kInvalidArg),
      "'resnet'"));
}

TEST(families_names_of_timm_behind_a_prefix) {
  constexpr auto kBehind =
      declip::Prefixed<declip::kTimmPoolingHead, declip::kTrunk>::kNames;
  const auto name = [](const std::string& part) {
    return "visual.trunk.attn_pool." + part;
  };
  Random random;
  std::map<std::string, at::Tensor> tensors{
      {name("latent"), random.tensor({1, 1, 4})},
      {name("q.weight"), random.tensor({4, 4})},
      {name("kv.weight"), random.tensor({8, 4})},
      {"attn_pool.q.weight", random.tensor({4, 4})},
  };
  const auto mapped = declip::to_internal(tensors, kBehind, "x");
  CHECK(mapped.tensors.size() == 2 && mapped.unused.size() == 1);
  CHECK(at::equal(
      mapped.need("visual.attn_pool.attn.in_proj_weight", 2),
      at::cat({tensors[name("q.weight")], tensors[name("kv.weight")]})));
  CHECK(declip::source_key(kBehind, "visual.attn_pool.probe") ==
        name("latent"));

  tensors[name("kv.weight")] = random.tensor({8, 5});
  CHECK(says(CHECK_THROWS_CODE(declip::to_internal(tensors, kBehind, "x"),
                               ErrorCode::kWeights),
             "must have the row length and type of"));
  tensors.erase(name("kv.weight"));
  CHECK(says(CHECK_THROWS_CODE(declip::to_internal(tensors, kBehind, "x"),
                               ErrorCode::kWeights),
             name("kv.weight")));
}
