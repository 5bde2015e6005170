// Tokens after any block, for every kind of tower, against the tower's own
// blocks one after the other.

#include "model/encoder.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <array>
#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "checkpoint/family.h"
#include "checkpoint_files.h"
#include "declip/model.h"
#include "families/dino_encoder.h"
#include "families/sam_encoder.h"
#include "model/dense_mode.h"
#include "random_planes.h"
#include "tap.h"

using declip::Call;
using declip::Checkpoint;
using declip::ErrorCode;
using declip::Numerics;
using declip::StageOptions;
using declip::VisionEncoder;
using declip::VisionTower;

namespace {

struct Kind {
  const char* file;
  int64_t prefix;  // tokens before the patches
};

constexpr std::array kKinds{Kind{"clip-tiny/state_dict.pt", 1},
                            Kind{"eva-tiny/eva-tiny.safetensors", 1},
                            Kind{"vfm/dino.safetensors", 1},
                            Kind{"vfm/dinov2-reg.safetensors", 5},
                            Kind{"families/dinov3.safetensors", 5},
                            Kind{"vfm/sam.safetensors", 0}};
constexpr std::array kWithModes{kKinds[0], kKinds[1]};

Checkpoint checkpoint(const Kind& kind) {
  const std::string file = kind.file;
  declip::ConfigOverrides overrides;
  if (file.find("vfm/dino") == 0) overrides.head_width = 32;
  return declip::load_checkpoint(files::fixture(file), overrides);
}

Numerics numerics(bool fused) {
  Numerics out;
  out.fused = fused;
  return out;
}

std::unique_ptr<VisionEncoder> encoder(const Checkpoint& from, bool fused) {
  const Call call;
  const declip::Weights weights(from.tensors, at::kCPU, at::kFloat, call);
  return from.config.family->make_encoder(
      from.config, weights, numerics(fused));
}

std::unique_ptr<VisionTower> tower(const Checkpoint& from, bool fused) {
  const Call call;
  const declip::Weights weights(from.tensors, at::kCPU, at::kFloat, call);
  return from.config.family->training->make_tower(
      from.config.vision, weights, numerics(fused));
}

at::Tensor pictures(const Checkpoint& of) {
  Random random;
  const int64_t patch = of.config.vision.patch;
  return random.tensor({2, 3, 3 * patch, 5 * patch});
}

/// The blocks themselves, with what stands before them.
struct ByHand {
  std::unique_ptr<VisionTower> clip;
  std::unique_ptr<VisionEncoder> other;
  const declip::Blocks* blocks = nullptr;

  ByHand(const Checkpoint& from, bool fused) {
    if (from.config.family->text != nullptr) {
      clip = tower(from, fused);
      blocks = clip.get();
    } else {
      other = encoder(from, fused);
      blocks = dynamic_cast<const declip::Blocks*>(other.get());
    }
  }

  at::Tensor embed(const at::Tensor& image) const {
    if (clip) return clip->embed(image, declip::Positions::kSize);
    if (const auto* sam = dynamic_cast<const declip::Sam*>(other.get())) {
      return sam->embed(image);
    }
    return dynamic_cast<const declip::Dino&>(*other).embed(image);
  }

  /// Tokens of one picture after every block.
  std::vector<at::Tensor> operator()(const at::Tensor& image,
                                     declip::Grid grid) const {
    std::vector<at::Tensor> out;
    auto x = embed(image);
    for (int64_t i = 0; i < blocks->depth(); ++i) {
      x = blocks->block(i, x, grid, {}, nullptr);
      out.push_back(x);
    }
    return out;
  }
};

}  // namespace

TEST(stages_are_the_tokens_between_blocks) {
  const c10::InferenceMode guard;
  for (const auto& kind : kKinds) {
    const auto file = checkpoint(kind);
    const auto image = pictures(file);
    for (const bool fused : {true, false}) {
      const tap::Case here(std::string(kind.file) +
                           (fused ? ", fused" : ", eager"));
      const auto model = encoder(file, fused);
      const ByHand by_hand(file, fused);
      const auto grid = model->grid(image.size(2), image.size(3));
      const int64_t last = file.config.vision.layers - 1;
      StageOptions options;
      options.blocks = {last, 0, last - 1, 0};
      options.features = true;
      const auto got = model->stages(image, options, {});
      CHECK(got.blocks.size() == 4);
      CHECK(got.features.equal(model->patches(image, {}, {})));
      for (int64_t b = 0; b < 2; ++b) {
        const auto tokens = by_hand(image.slice(0, b, b + 1), grid);
        for (size_t s = 0; s < 4; ++s) {
          const auto& wanted = tokens[static_cast<size_t>(options.blocks[s])];
          const auto& [map, prefix] = got.blocks[s];
          CHECK(prefix.size(1) == kind.prefix);
          CHECK(map.sizes() ==
                at::IntArrayRef({2, wanted.size(2), grid.h, grid.w}));
          // One picture's products may be summed in another order than two's.
          CHECK_CLOSE(
              distance(at::cat({prefix[b], map[b].flatten(1).t()}), wanted[0]),
              0,
              1e-5);
        }
      }
      // Without the features, the pass ends with the last block asked for.
      options.blocks = {1};
      options.features = false;
      const auto early = model->stages(image, options, {});
      CHECK(!early.features.defined());
      options.blocks = {1, last};
      const auto both = model->stages(image, options, {});
      CHECK(early.blocks[0].map.equal(both.blocks[0].map));
    }
  }
}

TEST(the_last_stage_is_the_modes) {
  const c10::InferenceMode guard;
  for (const auto& kind : kWithModes) {
    const auto file = checkpoint(kind);
    const auto image = pictures(file);
    const auto model = encoder(file, true);
    const auto clip = tower(file, true);
    for (const char* mode :
         {"vanilla", "maskclip", "csa", "itaclip", "naclip"}) {
      const tap::Case here(std::string(kind.file) + ", " + mode);
      StageOptions options;
      options.dense.mode = declip::dense_mode_from(mode);
      options.blocks = {clip->depth() - 1};
      options.features = true;
      const auto got = model->stages(image, options, {});
      const auto tokens = got.blocks[0].map.flatten(2).transpose(1, 2);
      const auto finished = clip->finish(tokens.contiguous())
                                .transpose(1, 2)
                                .view_as(got.features);
      CHECK_CLOSE(distance(finished, got.features), 0, 1e-5);
      CHECK(got.features.equal(model->patches(image, options.dense, {})));
    }
    // ProxyCLIP's last tokens lie on the grid of the other model's features.
    StageOptions proxy;
    proxy.dense.mode = declip::DenseMode::kProxyClip;
    proxy.dense.proxy_features = at::rand({2, 4, 2, 3});
    proxy.blocks = {clip->depth() - 1};
    CHECK_THROWS_CODE(model->stages(image, proxy, {}), ErrorCode::kInvalidArg);
    proxy.blocks = {0};
    proxy.features = true;
    const auto got = model->stages(image, proxy, {});
    CHECK(got.features.size(2) == 2 && got.features.size(3) == 3);
    CHECK(got.blocks[0].map.size(2) == 3 && got.blocks[0].map.size(3) == 5);
  }
}

TEST(a_walk_stops_between_blocks) {
  const c10::InferenceMode guard;
  struct Stop final : declip::Tap {
    Call call;
    int64_t seen = 0;
    at::Tensor after(int64_t i, const at::Tensor& x) override {
      CHECK(i == seen++);
      if (i == 0) *call.cancelled = true;
      return x;
    }
  };
  for (const auto& kind : kKinds) {
    const tap::Case here(kind.file);
    const auto file = checkpoint(kind);
    const ByHand by_hand(file, true);
    const auto image = pictures(file).slice(0, 0, 1);
    Stop stop;
    stop.call.cancelled = std::make_shared<std::atomic<bool>>(false);
    CHECK_THROWS_CODE(declip::walk(*by_hand.blocks,
                                   by_hand.embed(image),
                                   0,
                                   by_hand.blocks->depth(),
                                   {3, 5},
                                   stop.call,
                                   {nullptr, &stop}),
                      ErrorCode::kAborted);
    CHECK(stop.seen == 1);
    CHECK_THROWS_CODE(encoder(file, true)->stages(image, {{0}}, stop.call),
                      ErrorCode::kAborted);
  }
}

TEST(taps_get_heads_before_they_are_turned) {
  const c10::InferenceMode guard;
  struct Keep final : declip::Tap {
    declip::Heads kept;
    bool wants_heads(int64_t i) const override { return i == 1; }
    void heads(int64_t i, const declip::Heads& heads) override {
      CHECK(i == 1);
      kept = heads;
    }
  };
  for (const auto& kind : kKinds) {
    const tap::Case here(kind.file);
    const auto file = checkpoint(kind);
    const auto image = pictures(file).slice(0, 0, 1);
    Keep fused, eager;
    for (const bool is_fused : {true, false}) {
      const ByHand by_hand(file, is_fused);
      declip::walk(*by_hand.blocks,
                   by_hand.embed(image),
                   0,
                   2,
                   {3, 5},
                   {},
                   {is_fused ? &fused : &eager});
    }
    const auto& v = file.config.vision;
    CHECK(fused.kept.q.size(2) == v.heads);
    CHECK(fused.kept.q.size(3) == v.width / v.heads);
    CHECK_CLOSE(distance(fused.kept.q, eager.kept.q), 0, 1e-4);
    CHECK_CLOSE(distance(fused.kept.k, eager.kept.k), 0, 1e-4);
    CHECK_CLOSE(distance(fused.kept.v, eager.kept.v), 0, 1e-4);
  }
}

TEST(blocks_that_a_model_does_not_have_are_refused) {
  for (const auto& kind : kKinds) {
    const tap::Case here(kind.file);
    const auto file = checkpoint(kind);
    const auto model = encoder(file, true);
    const auto image = pictures(file);
    for (const int64_t block : {int64_t{-1}, file.config.vision.layers}) {
      CHECK_THROWS_CODE(model->stages(image, {{0, block}}, {}),
                        ErrorCode::kInvalidArg);
    }
  }
}

TEST(a_model_gives_stages_in_float32) {
  declip::LoadOptions options;
  options.device = "cpu";
  options.dtype = "bfloat16";
  for (const auto& kind : kWithModes) {
    const auto model =
        declip::Model::load(files::fixture(kind.file), options, {});
    const auto image = pictures(checkpoint(kind));
    StageOptions stages;
    stages.blocks = {0, 1};
    stages.features = true;
    const auto got = model->encode_stages(image, stages, {});
    for (const auto& stage : got.blocks) {
      CHECK(stage.map.scalar_type() == at::kFloat);
      CHECK(stage.prefix.scalar_type() == at::kFloat);
    }
    CHECK(got.features.equal(model->encode_dense(image, {}, false, {})));
    CHECK_THROWS_CODE(model->encode_stages(at::zeros({3, 8, 8}), stages, {}),
                      ErrorCode::kInvalidArg);
  }
}
