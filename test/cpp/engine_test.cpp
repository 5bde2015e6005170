// The fused engine against LibTorch's own operators on the same checkpoints.

#include <ATen/ATen.h>

#include <memory>
#include <string>
#include <vector>

#include "declip/model.h"
#include "model/recipe.h"
#include "random_planes.h"
#include "tap.h"

namespace {

using ModelPtr = std::shared_ptr<const declip::Model>;

ModelPtr load(const std::string& file, bool eager, const char* dtype) {
  declip::LoadOptions options;
  options.dtype = dtype;
  options.device = "cpu";
  options.eager = eager;
  auto model = declip::Model::load(
      std::string(DECLIP_FIXTURES) + "/" + file, options, {});
  return model;
}

const std::vector<std::string> kCheckpoints{"clip-tiny/state_dict.pt",
                                            "eva-tiny/eva-tiny.safetensors"};

at::Tensor picture(const ModelPtr& model, int64_t batch) {
  Random random;
  const auto& vision = model->info().config.vision;
  return random.tensor({batch, 3, 3 * vision.patch, vision.image_size + 2});
}

/// Smallest cosine of any vector along `dim`.
double cosine(const at::Tensor& a, const at::Tensor& b, int64_t dim) {
  return at::cosine_similarity(a, b, dim, 1e-12).min().item<double>();
}

}  // namespace

TEST(fused_dense_features_are_the_eager_ones) {
  for (const auto& file : kCheckpoints) {
    const auto fused = load(file, false, "float32");
    const auto eager = load(file, true, "float32");
    CHECK(fused->engine() != eager->engine());
    const auto image = picture(fused, 2);
    for (const char* mode : {"vanilla",
                             "maskclip",
                             "qq",
                             "kk",
                             "vv",
                             "csa",
                             "all",
                             "itaclip",
                             "sclip",
                             "clearclip",
                             "naclip",
                             "proxyclip",
                             "corrclip"}) {
      const tap::Case here(file + ", " + mode);
      declip::DenseOptions options;
      options.mode = declip::dense_mode_from(mode);
      Random random;
      if (declip::recipe_of(options.mode).needs_proxy())
        options.proxy_features = random.tensor({2, 6, 4, 5});
      options.corrclip.spatial_blocks = 1;
      for (const bool variant : {false, true}) {
        options.self_attention = !variant;
        options.neighbours_only = variant;
        const auto a = fused->encode_dense(image, options, true, {});
        const auto b = eager->encode_dense(image, options, true, {});
        CHECK_CLOSE(distance(a, b), 0, 2e-5);
      }
    }
  }
}

TEST(fused_embeddings_are_the_eager_ones) {
  for (const auto& file : kCheckpoints) {
    const tap::Case here(file);
    const auto fused = load(file, false, "float32");
    const auto eager = load(file, true, "float32");
    const auto image = picture(fused, 3);
    CHECK_CLOSE(distance(fused->encode_image(image, {}, {}),
                         eager->encode_image(image, {}, {})),
                0,
                2e-5);
    if (!fused->info().config.text) continue;
    const auto& text = *fused->info().config.text;
    Random random;
    const auto tokens = at::zeros({9, text.context}, at::kLong);
    for (int64_t i = 0; i < 9; ++i) {
      const int64_t length = random.integer(1, text.context - 1);
      for (int64_t j = 0; j < length; ++j) tokens[i][j] = random.integer(1, 3);
      tokens[i][length] = text.vocab - 1;
    }
    CHECK_CLOSE(distance(fused->encode_text(tokens, true, {}),
                         eager->encode_text(tokens, true, {})),
                0,
                2e-5);
  }
}

TEST(smaller_types_stay_close_to_float32) {
  for (const auto& file : kCheckpoints) {
    const tap::Case here(file);
    const auto exact = load(file, true, "float32");
    const auto image = picture(exact, 2);
    declip::DenseOptions options;
    options.mode = declip::DenseMode::kSclip;
    const auto wanted = exact->encode_dense(image, options, true, {});
    const auto bfloat16 = load(file, false, "bfloat16");
    CHECK(bfloat16->dtype() == "bfloat16");
    CHECK(cosine(bfloat16->encode_dense(image, options, true, {}), wanted, 1) >
          0.999);
    try {
      const auto int8 = load(file, false, "int8");
      CHECK(int8->dtype() == "int8");
      CHECK(cosine(int8->encode_dense(image, options, true, {}), wanted, 1) >
            0.99);
      CHECK(cosine(int8->encode_image(image, {}, {}),
                   exact->encode_image(image, {}, {}),
                   1) > 0.99);
    } catch (const declip::Error& error) {
      // A processor without VNNI says so; nothing else may go wrong.
      CHECK(error.code() == declip::ErrorCode::kDevice);
    }
  }
}
