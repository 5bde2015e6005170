// SigLIP 2 NaFlex: its patch embedding is SigLIP's in another order, its
// positions on another grid those of a SigLIP that has them there, and what its
// configurations say.

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "checkpoint_files.h"
#include "declip/model.h"
#include "declip/safetensors.h"
#include "families/siglip.h"
#include "random_planes.h"
#include "tap.h"

namespace naflex_test {
namespace {

using declip::ErrorCode;
using Tensors = std::map<std::string, at::Tensor>;

constexpr int64_t kWidth = 64, kPatch = 4, kGrid = 5, kHidden = 40;

/// An image tower alone, with patches as NaFlex has them.
Tensors naflex() {
  Tensors out;
  Random random;
  const auto put = [&](const std::string& name, at::IntArrayRef shape) {
    out["vision_model." + name] = random.tensor(shape) * 0.4;
  };
  const auto pair = [&](const std::string& name, at::IntArrayRef shape) {
    put(name + ".weight", shape);
    put(name + ".bias", {shape[0]});
  };
  const auto layer = [&](const std::string& name) {
    pair(name + "mlp.fc1", {kHidden, kWidth});
    pair(name + "mlp.fc2", {kWidth, kHidden});
  };
  pair("embeddings.patch_embedding", {kWidth, kPatch * kPatch * 3});
  put("embeddings.position_embedding.weight", {kGrid * kGrid, kWidth});
  for (const std::string i : {"0", "1"}) {
    const std::string name = "encoder.layers." + i + ".";
    pair(name + "layer_norm1", {kWidth});
    pair(name + "layer_norm2", {kWidth});
    for (const char* part : {"q_proj", "k_proj", "v_proj", "out_proj"}) {
      pair(name + "self_attn." + part, {kWidth, kWidth});
    }
    layer(name);
  }
  pair("post_layernorm", {kWidth});
  put("head.probe", {1, 1, kWidth});
  put("head.attention.in_proj_weight", {3 * kWidth, kWidth});
  put("head.attention.in_proj_bias", {3 * kWidth});
  pair("head.attention.out_proj", {kWidth, kWidth});
  pair("head.layernorm", {kWidth});
  layer("head.");
  return out;
}

const std::string kKernel = "vision_model.embeddings.patch_embedding.weight";
const std::string kPositions =
    "vision_model.embeddings.position_embedding.weight";

/// The same as a convolution, channel by channel.
at::Tensor kernel_of(const at::Tensor& rows) {
  auto out = at::empty({kWidth, 3, kPatch, kPatch}, at::kFloat);
  for (int64_t y = 0; y < kPatch; ++y) {
    for (int64_t x = 0; x < kPatch; ++x) {
      for (int64_t c = 0; c < 3; ++c) {
        out.select(1, c).select(1, y).select(1, x).copy_(
            rows.select(1, (y * kPatch + x) * 3 + c));
      }
    }
  }
  return out;
}

/// Row i of a table of `from` samples resized to `to`: a triangle as wide as a
/// sample of the smaller of the two.
at::Tensor row(int64_t i, int64_t from, int64_t to) {
  const double ratio = static_cast<double>(from) / static_cast<double>(to);
  const double centre = (static_cast<double>(i) + 0.5) * ratio;
  auto out = at::zeros({from}, at::kDouble);
  for (int64_t j = 0; j < from; ++j) {
    const double distance = std::abs(static_cast<double>(j) + 0.5 - centre);
    out[j] = std::max(1 - distance / std::max(ratio, 1.0), 0.0);
  }
  return out / out.sum();
}

/// Positions [N * N, D] on a grid of `side` x `side`.
at::Tensor resized(const at::Tensor& table, int64_t side) {
  std::vector<at::Tensor> rows;
  for (int64_t i = 0; i < side; ++i) rows.push_back(row(i, kGrid, side));
  const auto matrix = at::stack(rows);  // (side, N)
  return at::einsum("yi,xj,ijc->yxc",
                    {matrix,
                     matrix,
                     table.to(at::kDouble).view({kGrid, kGrid, kWidth})})
      .reshape({side * side, kWidth})
      .to(at::kFloat);
}

std::shared_ptr<const declip::Model> load(const std::string& path) {
  declip::LoadOptions options;
  options.device = "cpu";
  options.dtype = "float32";
  return declip::Model::load(path, options, {});
}

}  // namespace

TEST(naflex_is_siglip_with_patches_in_another_order) {
  const c10::InferenceMode guard;
  const files::TempFolder temp;
  const auto tensors = naflex();
  const auto path = temp.file("naflex.safetensors");
  declip::write_safetensors(path, tensors);
  const auto model = load(path);
  const auto& config = model->info().config;
  CHECK(config.family == &declip::families::siglip);
  CHECK(config.vision.any_shape && config.vision.patch == kPatch);
  CHECK(config.vision.image_size == kGrid * kPatch);
  CHECK(config.preprocess.resize == declip::Preprocess::Resize::kPatches);
  CHECK(config.preprocess.max_patches == 256 && !config.preprocess.bicubic);
  CHECK(config.preprocess.patch_side == kPatch);
  Random random;
  for (const int64_t side : {kGrid, int64_t{3}, int64_t{8}, int64_t{1}}) {
    auto other = tensors;
    other[kKernel] = kernel_of(tensors.at(kKernel));
    other[kPositions] = resized(tensors.at(kPositions), side);
    const auto other_path = temp.file("siglip.safetensors");
    declip::write_safetensors(other_path, other);
    const auto siglip = load(other_path);
    CHECK(!siglip->info().config.vision.any_shape);
    const auto image = random.tensor({2, 3, side * kPatch, side * kPatch});
    CHECK_CLOSE(distance(model->encode_image(image, {}, {}),
                         siglip->encode_image(image, {}, {})),
                0,
                1e-5);
    declip::DenseOptions qq;
    qq.mode = declip::DenseMode::kQq;
    CHECK_CLOSE(distance(model->encode_dense(image, qq, false, {}),
                         siglip->encode_dense(image, qq, false, {})),
                0,
                1e-4);
  }
  const auto wide = random.tensor({1, 3, 3 * kPatch + 1, 7 * kPatch});
  declip::DenseOptions declip_mode;
  declip_mode.mode = declip::DenseMode::kDeClip;
  CHECK(model->encode_dense(wide, declip_mode, true, {}).sizes() ==
        at::IntArrayRef({1, kWidth, 3, 7}));
}

TEST(naflex_configurations_and_what_does_not_fit) {
  const files::TempFolder temp;
  const auto path = temp.path();
  const auto write = [&](const Tensors& tensors, const std::string& vision) {
    declip::write_safetensors(temp.file("model.safetensors"), tensors);
    temp.write("config.json",
               R"({"model_type": "siglip2_vision_model", "hidden_size": 64,
                   "intermediate_size": 40, "num_hidden_layers": 2,
                   "num_attention_heads": 4, )" +
                   vision + "}");
  };
  const auto refused = [&](const std::string& part) {
    const auto message =
        CHECK_THROWS_CODE(declip::load_checkpoint(path), ErrorCode::kWeights);
    if (!files::contains(message, part))
      tap::fail(__FILE__, __LINE__, "no " + part + " in: " + message);
  };
  write(naflex(), R"("num_patches": 25, "patch_size": 4)");
  temp.write("preprocessor_config.json",
             R"({"image_processor_type": "Siglip2ImageProcessorFast",
                 "max_num_patches": 30, "patch_size": 4})");
  const auto c = declip::load_checkpoint(path);
  CHECK(c.config.vision.heads == 4 && c.config.vision.any_shape);
  CHECK(c.config.preprocess.max_patches == 30);
  CHECK(c.config.preprocess.patch_side == 4 && !c.config.preprocess.bicubic);
  CHECK(c.config.pixels.mean[0] == 0.5);
  CHECK(c.notes.empty());

  write(naflex(), R"("num_patches": 26, "patch_size": 4)");
  refused("a square number, found 26");
  write(naflex(), R"("num_patches": 36, "patch_size": 4)");
  refused("must have shape [36, 64]");
  auto tensors = naflex();
  tensors[kKernel] = at::zeros({kWidth, 50});
  write(tensors, R"("num_patches": 25, "patch_size": 4)");
  refused("3 * patch * patch columns");
  tensors[kKernel] = kernel_of(naflex().at(kKernel));
  write(tensors, R"("num_patches": 25, "patch_size": 4)");
  refused(R"("siglip2_vision_model")");

  const auto timm = temp.file("timm.safetensors");
  for (const std::string prefix : {"visual.trunk.", ""}) {
    declip::write_safetensors(
        timm,
        {{prefix + "embeds.proj.weight", at::zeros({kWidth, 48})},
         {prefix + "blocks.0.attn.qkv.weight", at::zeros({192, kWidth})}});
    CHECK(files::contains(
        CHECK_THROWS_CODE(declip::load_checkpoint(timm), ErrorCode::kWeights),
        "transformers' layout"));
  }
}

}  // namespace naflex_test
