#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "declip/encoded_image.h"
#include "declip/memory.h"
#include "declip/model.h"
#include "model/layers.h"
#include "random_planes.h"
#include "tap.h"

namespace {

using Outputs = std::vector<at::Tensor>;
using Jobs = std::vector<std::function<Outputs()>>;

constexpr int kBeside = 4;

std::shared_ptr<const declip::Model> load_shared(const std::string& file,
                                                 const char* dtype) {
  declip::LoadOptions options;
  options.dtype = dtype;
  options.device = "cpu";
  return declip::Model::load(
      std::string(DECLIP_FIXTURES) + "/" + file, options, {});
}

/// Calls that share a model, on inputs of several sizes; planes are large
/// enough for the pool.
Jobs jobs_of(const std::shared_ptr<const declip::Model>& model,
             const at::Tensor& pixels,
             const at::Tensor& batch,
             const at::Tensor& tokens,
             const at::Tensor& words) {
  Jobs out;
  out.emplace_back(
      [=] { return Outputs{model->encode_text(tokens, true, {})}; });
  for (const int64_t side : {32, 48, 64}) {
    out.emplace_back([=] {
      const auto image = batch.slice(2, 0, side).slice(3, 0, side);
      return Outputs{model->encode_image(image, {}, {})};
    });
  }
  for (const auto mode : {declip::DenseMode::kVanilla,
                          declip::DenseMode::kCsa,
                          declip::DenseMode::kItaClip,
                          declip::DenseMode::kNaClip}) {
    declip::EncodeOptions options;
    options.dense.mode = mode;
    options.short_side = 64;
    options.window = 32;
    options.stride = 16;
    options.augment = mode == declip::DenseMode::kItaClip;
    declip::PostOptions post;
    post.pamr_iterations = mode == declip::DenseMode::kNaClip ? 2 : 0;
    post.logits = post.closing = true;
    out.emplace_back([=] {
      declip::Picture picture;
      picture.pixels = pixels;
      const auto view =
          declip::EncodedImage::encode(*model, picture, options, {});
      const auto got = view->segment(words, {0, 1, 1}, post, {});
      return Outputs{got.labels, got.logits, view->similarity(words, {})};
    });
  }
  return out;
}

/// As a lane's thread runs a job.
Outputs run_as_job(const std::function<Outputs()>& work) {
  const c10::InferenceMode mode;
  const declip::MemoryScope memory;
  return work();
}

bool equal_bits(const Outputs& a, const Outputs& b) {
  for (size_t i = 0; i < a.size(); ++i) {
    if (!at::equal(a[i], b[i])) return false;
  }
  return a.size() == b.size();
}

}  // namespace

TEST(jobs_side_by_side_give_bit_for_bit_what_each_gives_alone) {
  Random random;
  const auto pixels =
      (random.tensor({260, 300, 3}) * 60 + 128).clamp(0, 255).to(at::kByte);
  const auto batch = random.tensor({2, 3, 64, 64});
  const auto tokens = at::arange(1, 1 + 4 * 77).reshape({4, 77}) % 40;
  std::vector<const char*> dtypes{"float32", "bfloat16"};
  if (declip::Linear::int8_obstacle().empty()) dtypes.push_back("int8");

  for (const std::string file :
       {"clip-tiny/state_dict.pt", "eva-tiny/eva-tiny.safetensors"}) {
    const tap::Case of_file(file);
    for (const char* dtype : dtypes) {
      const tap::Case of_dtype(dtype);
      const auto words = [&] {
        const auto width =
            load_shared(file, dtype)->info().config.vision.embed_dim;
        const auto rows = random.tensor({3, width});
        return rows / rows.norm(2, {1}, true);
      }();
      // A fresh model each time: its text tower is made by who is first.
      const auto fresh = [&] {
        return jobs_of(load_shared(file, dtype), pixels, batch, tokens, words);
      };
      std::vector<Outputs> alone;
      std::thread([&] {
        at::set_num_threads(1);
        for (const auto& work : fresh()) alone.push_back(run_as_job(work));
      }).join();

      const auto shared = fresh();
      std::atomic<int> wrong{0};
      std::atomic<bool> over{false};
      // Weights come and go meanwhile, and free memory goes back.
      std::thread loading([&] {
        at::set_num_threads(1);
        while (!over) {
          load_shared(file, dtype);
          declip::give_back_memory();
        }
      });
      std::vector<std::thread> threads;
      for (size_t t = 0; t < kBeside; ++t) {
        threads.emplace_back([&, t] {
          at::set_num_threads(1);
          const size_t count = shared.size();
          for (size_t i = 0; i < 3 * count; ++i) {
            const size_t job = (i * (2 * t + 1) + t) % count;
            if (!equal_bits(run_as_job(shared[job]), alone[job])) ++wrong;
          }
        });
      }
      for (auto& thread : threads) thread.join();
      over = true;
      loading.join();
      CHECK(wrong == 0);
    }
  }
}
