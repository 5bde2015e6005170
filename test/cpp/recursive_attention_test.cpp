#include "model/recursive_attention.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <cmath>
#include <limits>
#include <memory>
#include <string>

#include "checkpoint/family.h"
#include "declip/model.h"
#include "golden.h"
#include "model/dense_mode.h"
#include "random_planes.h"
#include "tap.h"

using declip::Call;

namespace {

std::unique_ptr<declip::VisionTower> recursive_tower(
    const std::string& file,
    bool fused,
    const declip::ConfigOverrides& overrides = {}) {
  const auto from = declip::load_checkpoint(file, overrides);
  declip::Numerics numerics;
  numerics.fused = fused;
  const Call call;
  const declip::Weights weights(from.tensors, at::kCPU, at::kFloat, call);
  return from.config.family->training->make_tower(
      from.config.vision, weights, numerics);
}

}  // namespace

TEST(attending_twice_is_radsegs) {
  const c10::InferenceMode guard;
  const Golden golden("leading-methods");
  const std::string id = "attend-twice";
  for (const bool fused : {true, false}) {
    const auto& config = *golden.at(id).find("config");
    declip::ConfigOverrides overrides;
    overrides.head_width = *config.find("vision_width")->integer() /
                           *config.find("vision_heads")->integer();
    const auto tower =
        recursive_tower(golden.path("clip12.safetensors"), fused, overrides);
    const auto tokens =
        golden.tensor(*golden.at(id).find("inputs")->find("tokens"));
    const int64_t last =
        *golden.at(id).find("options")->find("block")->integer() - 1;
    const auto merged = declip::attend_twice(
        *tower, last, tower->project(last, tokens, {}), {1, 29});
    golden.compare(id, "attention_output", tower->output(last, merged, {}));
  }
}

TEST(the_mode_scra_is_the_block_with_its_attention_replaced) {
  const c10::InferenceMode guard;
  Random random;
  for (const char* file :
       {"clip-tiny/state_dict.pt", "eva-tiny/eva-tiny.safetensors"}) {
    for (const bool fused : {true, false}) {
      const tap::Case here(std::string(file) + (fused ? ", fused" : ", eager"));
      const auto tower = recursive_tower(files::fixture(file), fused);
      const int64_t patch = tower->config().patch, last = tower->depth() - 1;
      const declip::Grid grid{random.integer(2, 4), random.integer(5, 8)};
      const auto image = random.tensor({2, 3, grid.h * patch, grid.w * patch});
      declip::DenseOptions options;
      options.mode = declip::DenseMode::kScra;
      const auto x = declip::dense_tokens(*tower, image, options, last, Call());
      // By the definition, one [L, L] map per head.
      auto heads = tower->project(last, tower->norm1(last, x), {});
      tower->rotate(heads, grid);
      const auto by_head = [](const at::Tensor& t) {
        return t.transpose(1, 2).to(at::kDouble);
      };
      const auto attended = [&](const at::Tensor& scores) {
        return tower->output(last,
                             at::matmul(scores.softmax(3), by_head(heads.v))
                                 .transpose(1, 2)
                                 .flatten(2)
                                 .to(at::kFloat),
                             {});
      };
      const auto q = by_head(heads.q), k = by_head(heads.k);
      const auto once =
          attended(at::matmul(q, k.transpose(2, 3)) / std::sqrt(q.size(3)));
      auto z = by_head(declip::split_heads(once, q.size(1)));
      z = z / z.norm(2, {3}, true);
      const auto scores = 10 * at::matmul(z, z.transpose(2, 3));
      const auto twice = attended(scores.masked_fill(
          scores < 0, -std::numeric_limits<double>::infinity()));
      const auto wanted = tower->feed_forward(last, x + twice);
      const auto got =
          declip::dense_tokens(*tower, image, options, tower->depth(), Call());
      const double off =
          distance(got, wanted) / wanted.abs().max().item<double>();
      CHECK_CLOSE(off, 0, 1e-5);
    }
  }
}
