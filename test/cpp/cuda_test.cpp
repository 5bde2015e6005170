// Every op and the whole pipeline on a CUDA device against the CPU. Nothing of
// this runs without a device: emulator/emulated_test.cpp is what does.

#include <ATen/ATen.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "checkpoint_files.h"
#include "declip/encoded_image.h"
#include "declip/error.h"
#include "declip/model.h"
#include "detect/boxes.h"
#include "kernels/cuda/twin.h"
#include "kernels/dense_attention.h"
#include "kernels/layer_norm.h"
#include "kernels/mask_pool.h"
#include "kernels/nms.h"
#include "kernels/pamr.h"
#include "kernels/resize_plane.h"
#include "kernels/roi_align.h"
#include "kernels/rope.h"
#include "kernels/window_blend.h"
#include "model/device.h"
#include "random_planes.h"
#include "segment/labels.h"
#include "small_models.h"
#include "tap.h"

namespace {

const at::Device kCuda(at::kCUDA, 0);
const std::vector<at::ScalarType> kTypes{at::kFloat, at::kBFloat16, at::kHalf};

/// Runs a test where it can be run; says why where not.
void on_cuda(const std::function<void()>& test) {
  if (!declip::cuda::kBuilt) return tap::skip("this build has no CUDA");
  if (declip::cuda_devices() == 0) return tap::skip("no CUDA device");
  const c10::InferenceMode guard;
  test();
}

/// One step of a type at 1, with slack for float32's sums.
double device_step(at::ScalarType type) {
  switch (type) {
    case at::kBFloat16:
      return 1.0 / 128;
    case at::kHalf:
      return 1.0 / 1024;
    default:
      return 1e-5;
  }
}

double device_apart(const at::Tensor& actual, const at::Tensor& expected) {
  return distance(actual.to(at::kCPU), expected.to(at::kCPU));
}

using Terms = std::vector<declip::AttentionTerm>;

Terms moved(const Terms& terms, at::TensorOptions options) {
  Terms result = terms;
  for (auto& term : result) {
    for (auto& part : term.parts)
      part = {part.a.to(options), part.b.to(options)};
  }
  return result;
}

void compare_devices(const Terms& terms,
                     const at::Tensor& v,
                     const declip::AttentionOptions& options = {}) {
  for (const auto type : kTypes) {
    const auto rounded = at::TensorOptions(type).device(at::kCPU);
    const auto device = at::TensorOptions(type).device(kCuda);
    const auto exact = at::TensorOptions(at::kFloat).device(at::kCPU);
    const auto expected =
        declip::dense_attention(moved(moved(terms, rounded), exact),
                                v.to(type).to(at::kFloat),
                                options);
    const auto got =
        declip::dense_attention(moved(terms, device), v.to(device), options);
    CHECK(got.is_cuda() && got.scalar_type() == type);
    CHECK_CLOSE(device_apart(got, expected), 0, 3 * device_step(type));
  }
}

std::vector<at::Tensor> device_heads(
    Random& random, int64_t b, int64_t l, int64_t n, int64_t d) {
  std::vector<at::Tensor> heads;
  for (const auto& part : (2 * random.tensor({b, l, 3 * n * d})).chunk(3, -1))
    heads.push_back(part.unflatten(-1, {n, d}));
  return heads;
}

declip::ModelConfig device_config(const declip::FamilySpec* family) {
  auto config = small::config(family);
  config.vision.width = 64;
  config.vision.heads = 4;
  config.vision.mlp_hidden = family == &declip::families::eva ? 96 : 256;
  config.vision.embed_dim = config.text->embed_dim = 32;
  config.text->width = 32;
  config.text->context = 20;
  config.text->vocab = 100;
  return config;
}

/// Small models in files of their own, so that no fixture is needed.
std::shared_ptr<const declip::Model> load_on(const declip::FamilySpec* family,
                                             const char* device,
                                             const char* dtype,
                                             bool graphs = false) {
  static const files::TempFolder folder;
  const auto path = folder.file(std::string(family->name) + ".safetensors");
  if (!std::filesystem::exists(path))
    declip::write_initial_checkpoint(path, device_config(family), 1);
  declip::LoadOptions options;
  options.device = device;
  options.dtype = dtype;
  options.cuda_graphs = graphs;
  options.overrides.head_width = 16;
  options.overrides.text_heads = 2;
  return declip::Model::load(path, options, {});
}

}  // namespace

TEST(cuda_attention_is_that_of_the_cpu) {
  on_cuda([] {
    Random random;
    for (int round = 0; round < 6; ++round) {
      const int64_t tokens = round == 0 ? 300 : random.integer(1, 150);
      const int64_t d = random.integer(1, 140);
      const auto heads = device_heads(random, 2, tokens, 3, d);
      const auto &q = heads[0], &k = heads[1], &v = heads[2];
      const double scale = 1.0 / std::sqrt(static_cast<double>(d));
      compare_devices({{{{q, k}}, scale, 1.0}}, v);  // LibTorch's own
      compare_devices({{{{q, q}}, scale, 1.0}, {{{k, k}}, scale, 1.0}}, v);
      compare_devices({{{{q, q}, {k, k}, {v, v}}, scale / 3, 0.5}}, v);
      compare_devices(Terms(20, {{{q, k}}, scale, 0.05}), v);
      compare_devices({{{{q.slice(1, 0, 1), k}}, scale, 0.5}}, v);
      declip::AttentionOptions causal;
      causal.causal = true;
      compare_devices({{{{q, k}}, scale, 0.5}}, v, causal);
    }
    const auto heads = device_heads(random, 2, 1 + 9 * 14, 2, 64);
    declip::AttentionOptions prior;
    prior.prior = declip::NeighbourPrior{9, 14, 2.0, {}};
    compare_devices({{{{heads[1], heads[1]}}, 0.125, 1.0}}, heads[2], prior);
    prior.prior->factor = random.tensor({2}).abs();
    compare_devices({{{}, 1.0, 1.0}}, heads[2], prior);
    const auto f = random.tensor({1, 200, 1, 96});
    const auto unit = f / f.norm(2, {3}, true);
    declip::AttentionOptions proxy;
    proxy.shift = -0.4;
    proxy.drop_negative = true;
    const auto values = random.tensor({1, 200, 1, 300});
    compare_devices({{{{unit, unit}}, 3.0, 1.0}}, values, proxy);
    proxy.shift = -3.5;  // above the largest score: no row has one left
    compare_devices({{{{unit, unit}}, 3.0, 1.0}}, values, proxy);
    // Within groups alone: what is just above a threshold in one type is not in
    // another.
    declip::AttentionOptions scope;
    const auto groups = (random.tensor({1, 200}).abs() * 4).to(at::kInt);
    scope.scope = declip::GroupScope{groups, groups, 1000.0};
    compare_devices({{{{unit, unit}}, 3.0, 1.0}}, values, scope);
  });
}

TEST(cuda_norms_and_rotations_are_those_of_the_cpu) {
  on_cuda([] {
    Random random;
    for (const auto in : kTypes) {
      for (const auto out : kTypes) {
        const int64_t width = random.integer(1, 900);
        const auto x = random.tensor({37, 2 * width}).to(in);
        const auto weight = random.tensor({width}),
                   bias = random.tensor({width});
        const auto half = x.slice(1, 0, width);
        CHECK_CLOSE(
            device_apart(
                declip::layer_norm(half.to(kCuda),
                                   weight.to(kCuda),
                                   bias.to(kCuda),
                                   1e-5,
                                   out),
                declip::layer_norm(
                    half.to(at::kFloat), weight, bias, 1e-5, at::kFloat)),
            0,
            4 * device_step(out));
        CHECK_CLOSE(
            device_apart(
                declip::gated_layer_norm(
                    x.to(kCuda), weight.to(kCuda), bias.to(kCuda), 1e-6, out),
                declip::gated_layer_norm(
                    x.to(at::kFloat), weight, bias, 1e-6, at::kFloat)),
            0,
            8 * device_step(out));
      }
      const auto angle = 3 * random.tensor({20, 32});
      for (const int64_t prefix : {0, 1, 5}) {
        const auto expected =
            random.tensor({3, prefix + 20, 4, 32}).to(in).to(at::kFloat);
        const auto got = expected.to(kCuda, in);
        declip::rotate_pairs(expected, angle.cos(), angle.sin(), prefix);
        declip::rotate_pairs(
            got, angle.cos().to(kCuda), angle.sin().to(kCuda), prefix);
        CHECK_CLOSE(device_apart(got, expected), 0, device_step(in));
      }
    }
  });
}

TEST(cuda_planes_are_those_of_the_cpu) {
  on_cuda([] {
    Random random;
    for (int round = 0; round < 10; ++round) {
      const auto in =
          random.tensor({random.integer(1, 90), random.integer(1, 90)});
      const auto expected =
          at::empty({random.integer(1, 300), random.integer(1, 300)});
      const auto got =
          at::empty_like(expected, expected.options().device(kCuda));
      declip::resize_plane(in, expected);
      declip::resize_plane(in.to(kCuda), got);
      CHECK_CLOSE(device_apart(got, expected), 0, 5e-6);

      const auto plan = declip::plan_windows(
          random.integer(1, 200), random.integer(1, 200), 64, 24);
      const auto low = random.tensor({plan.size(), 4, 5});
      const auto wanted = at::empty({plan.height, plan.width});
      const auto blended =
          at::empty_like(wanted, wanted.options().device(kCuda));
      declip::WindowBlend(plan, 4, 5, at::kCPU).plane(low, wanted);
      declip::WindowBlend(plan, 4, 5, kCuda).plane(low.to(kCuda), blended);
      CHECK_CLOSE(device_apart(blended, wanted), 0, 5e-6);

      const auto image = random.tensor({1, 3, 40, 70});
      const auto masks = random.tensor({6, 40, 70});
      CHECK_CLOSE(
          device_apart(
              declip::pamr(image.to(kCuda), masks.to(kCuda), 5, {1, 8}, {}),
              declip::pamr(image, masks, 5, {1, 8}, {})),
          0,
          5e-6);
    }
  });
}

TEST(cuda_regions_are_those_of_the_cpu) {
  on_cuda([] {
    Random random;
    const auto features = random.tensor({2, 16, 12, 9});
    const auto corners = 6 * random.tensor({20, 2}) + 4;
    const auto boxes =
        at::cat({corners, corners + 8 * random.tensor({20, 2}).abs()}, 1);
    const auto batch = at::arange(20).remainder(2);
    CHECK_CLOSE(
        device_apart(
            declip::roi_align(features.to(kCuda), boxes, batch, 1, 1, 3, 2),
            declip::roi_align(features, boxes, batch, 1, 1, 3, 2)),
        0,
        1e-5);
    const auto masks = random.tensor({20, 12, 9}).gt(0.3);
    CHECK_CLOSE(
        device_apart(declip::mask_pool(features.to(kCuda), masks, batch),
                     declip::mask_pool(features, masks, batch)),
        0,
        1e-5);
  });
}

TEST(cuda_nms_is_that_of_the_cpu) {
  on_cuda([] {
    Random random;
    for (int round = 0; round < 10; ++round) {
      const int64_t count = random.integer(1, 3000);
      const auto corners = (200 * random.tensor({count, 2})).round();
      const auto sides = (90 * random.tensor({count, 2}).abs()).round();
      const auto boxes = at::cat({corners, corners + sides}, 1);
      const auto scores = (50 * random.tensor({count})).round();
      const auto classes =
          random.coin() ? at::randint(4, {count}, at::kLong) : at::Tensor();
      const int64_t limit = random.coin() ? -1 : random.integer(1, 100);
      CHECK(at::equal(
          declip::nms(boxes.to(kCuda), scores.to(kCuda), 0.5, classes, limit)
              .to(at::kCPU),
          declip::nms(boxes, scores, 0.5, classes, limit)));
    }
  });
}

TEST(cuda_boxes_and_scores_are_those_of_the_cpu) {
  on_cuda([] {
    Random random;
    const c10::InferenceMode off(false);
    for (int round = 0; round < 6; ++round) {
      const int64_t channels = random.integer(1, 300);
      const auto low = 300 * random.tensor({40, 2}).abs();
      const auto boxes =
          at::cat({low, low + 300 * random.tensor({40, 2}).abs()}, 1);
      const auto pictures = at::arange(40).remainder(2);
      const std::vector<double> strides{3.5, 7, 14};
      const auto type = round % 2 == 0 ? at::kFloat : at::kBFloat16;
      std::vector<at::Tensor> maps, on_device;
      for (const int64_t side : {80, 40, 20}) {
        const auto map = random.tensor({2, channels, side, side + 3})
                             .contiguous(at::MemoryFormat::ChannelsLast)
                             .to(type);
        maps.push_back(map.clone().requires_grad_());
        on_device.push_back(map.to(kCuda).requires_grad_());
      }
      const auto pooled =
          declip::pool_boxes_of_levels(maps, strides, boxes, pictures, 7);
      const auto got = declip::pool_boxes_of_levels(
          on_device, strides, boxes.to(kCuda), pictures, 7);
      const double step = device_step(type);
      CHECK_CLOSE(device_apart(got, pooled), 0, step);
      const auto upstream = random.tensor(pooled.sizes()).to(type);
      pooled.backward(upstream);
      got.backward(upstream.to(kCuda));
      for (size_t i = 0; i < maps.size(); ++i) {
        CHECK_CLOSE(
            device_apart(on_device[i].grad(), maps[i].grad()), 0, 8 * step);
      }
    }
    const auto rows = [&](int64_t count) {
      const auto some = random.tensor({count, 24});
      return some / some.norm(2, {1}, true);
    };
    const auto own = rows(90), votes = rows(90), words = rows(300);
    own[4].fill_(std::nan(""));
    const auto classes = at::arange(300).remainder(20);
    const auto novel = at::arange(19).remainder(3).eq(0);
    for (const bool grouped : {false, true}) {
      const auto word_class = grouped ? classes : at::Tensor();
      const auto is_novel = grouped ? novel : at::Tensor();
      const auto expected = declip::combined_scores(
          own, votes, words, word_class, is_novel, 0.1, 0.8, 50, 75);
      const auto got = declip::combined_scores(own.to(kCuda),
                                               votes.to(kCuda),
                                               words.to(kCuda),
                                               word_class,
                                               is_novel,
                                               0.1,
                                               0.8,
                                               50,
                                               75);
      CHECK(at::equal(got.isnan().cpu(), expected.isnan()));
      CHECK_CLOSE(
          device_apart(got.nan_to_num(), expected.nan_to_num()), 0, 2e-5);
    }
  });
}

TEST(cuda_proposals_and_objects_are_those_of_the_cpu) {
  on_cuda([] {
    Random random;
    for (int round = 0; round < 4; ++round) {
      std::vector<at::Tensor> logits, deltas, logits_there, deltas_there;
      for (const int64_t side : {40, 20, 10}) {
        logits.push_back(4 * random.tensor({3, side, side}));
        deltas.push_back(random.tensor({12, side, side}));
        logits_there.push_back(logits.back().to(kCuda));
        deltas_there.push_back(deltas.back().to(kCuda));
      }
      const declip::ProposalLimits limits{900, 200, 0.7};
      const auto cpu =
          declip::propose(logits, deltas, {4, 8, 16}, {130, 160}, limits);
      const auto there = declip::propose(
          logits_there, deltas_there, {4, 8, 16}, {130, 160}, limits);
      // Sigmoids and exponentials may round another way; few boxes change.
      const auto common = std::min(cpu.boxes.size(0), there.boxes.size(0));
      CHECK(std::abs(cpu.boxes.size(0) - there.boxes.size(0)) <= 2);
      const auto near = (there.boxes.slice(0, 0, common).cpu() -
                         cpu.boxes.slice(0, 0, common))
                            .abs()
                            .amax(1)
                            .lt(1e-2);
      CHECK(near.to(at::kDouble).mean().item<double>() > 0.95);
      const auto scores =
          random.tensor({cpu.boxes.size(0), 9}).abs().contiguous();
      const auto chosen =
          declip::choose_objects(cpu.boxes, scores, 0.3, 0.5, 100);
      const auto chosen_there = declip::choose_objects(
          cpu.boxes.to(kCuda), scores.to(kCuda), 0.3, 0.5, 100);
      CHECK(at::equal(chosen_there.rows.cpu(), chosen.rows));
      CHECK(at::equal(chosen_there.labels.cpu(), chosen.labels));
    }
  });
}

TEST(cuda_labels_are_those_of_the_cpu) {
  on_cuda([] {
    Random random;
    for (int round = 0; round < 8; ++round) {
      const auto plan = declip::plan_windows(
          random.integer(20, 90), random.integer(20, 90), 32, 12);
      const auto low = random.tensor({plan.size(), 8, 4, 4});
      const auto image = random.tensor({1, 3, plan.height, plan.width});
      declip::PostOptions post;
      post.pamr_iterations = random.integer(0, 3);
      post.pamr_dilations = {1, 4};
      post.prob_threshold = random.coin() ? 0.3 : 0;
      post.area_threshold = random.coin() ? 0.1 : 0;
      post.closing = random.coin();
      post.background = 0;
      post.logits = post.probabilities = true;
      const std::vector<int64_t> classes{0, 1, 2, 3, 3, 4, 5, 6};
      const auto run = [&](at::Device device) {
        return declip::labels_from_windows(low.to(device),
                                           plan,
                                           image.to(device),
                                           classes,
                                           post,
                                           {70, 101},
                                           {});
      };
      const auto expected = run(at::kCPU), got = run(kCuda);
      CHECK(got.labels.is_cpu() && got.logits.is_cpu());
      CHECK_CLOSE(distance(got.logits, expected.logits), 0, 1e-5);
      // Equal but for pixels whose two best classes differ by rounding.
      CHECK_CLOSE(
          got.labels.ne(expected.labels).to(at::kDouble).mean().item<double>(),
          0,
          1e-3);
    }
  });
}

TEST(cuda_towers_are_those_of_the_cpu) {
  on_cuda([] {
    for (const auto family : small::kFamilies) {
      const auto cpu = load_on(family, "cpu", "float32");
      const auto& vision = cpu->info().config.vision;
      Random random;
      const auto image =
          random.tensor({2, 3, 3 * vision.patch, vision.image_size + 2});
      for (const char* dtype : {"float32", "bfloat16", "float16"}) {
        const auto cuda = load_on(family, "cuda", dtype);
        const double closest =
            std::string(dtype) == "float32" ? 0.99999 : 0.998;
        const auto alike = [&](const at::Tensor& a, const at::Tensor& b) {
          const double worst =
              at::cosine_similarity(a.to(at::kCPU), b, 1, 1e-12)
                  .min()
                  .item<double>();
          CHECK_CLOSE(worst, 1, 1 - closest);
        };
        for (const char* mode :
             {"vanilla", "csa", "all", "itaclip", "naclip"}) {
          declip::DenseOptions options;
          options.mode = declip::dense_mode_from(mode);
          alike(cuda->encode_dense(image, options, true, {}),
                cpu->encode_dense(image, options, true, {}));
        }
        alike(cuda->encode_image(image, {}, {}),
              cpu->encode_image(image, {}, {}));
        if (!cpu->info().config.text) continue;
        const auto tokens =
            at::arange(cpu->info().config.text->context).unsqueeze(0) + 1;
        alike(cuda->encode_text(tokens, true, {}),
              cpu->encode_text(tokens, true, {}));
      }
    }
  });
}

// One small model of every other family, as its authors' code made it.
TEST(cuda_families_are_those_of_the_cpu) {
  on_cuda([] {
    struct Subject {
      const char* path;
      int64_t head_width;  // 0: as the files say
    };
    for (const Subject& subject :
         {Subject{"families/eva02-open_clip", 32},
          Subject{"families/siglip-hf", 0},
          Subject{"families/siglip2-open_clip", 0},
          Subject{"families/pe-core-open_clip", 0},
          Subject{"families/tipsv2-hf", 0},
          Subject{"families/dinov3-hf", 0},
          Subject{"families/dinov3-gated-timm.safetensors", 0},
          Subject{"vfm/dinov2-reg.safetensors", 32},
          Subject{"vfm/sam.safetensors", 0}}) {
      if (!std::filesystem::exists(files::fixture(subject.path))) {
        return tap::skip(
            "test/fixtures has packed folders: run node "
            "scripts/make/fixtures.mjs");
      }
      const auto load = [&](const char* device, const char* dtype) {
        declip::LoadOptions options;
        options.device = device;
        options.dtype = dtype;
        if (subject.head_width > 0) {
          options.overrides.head_width = subject.head_width;
        }
        return declip::Model::load(files::fixture(subject.path), options, {});
      };
      const auto cpu = load("cpu", "float32");
      const auto& config = cpu->info().config;
      Random random;
      const auto image = random.tensor(
          {2, 3, 3 * config.vision.patch, 5 * config.vision.patch});
      for (const char* dtype : {"float32", "bfloat16", "float16"}) {
        const auto cuda = load("cuda", dtype);
        const double closest =
            std::string(dtype) == "float32" ? 0.99999 : 0.995;
        const auto alike = [&](const std::string& what,
                               const at::Tensor& got,
                               const at::Tensor& wanted) {
          const double worst =
              at::cosine_similarity(got.to(at::kCPU), wanted, 1, 1e-12)
                  .min()
                  .item<double>();
          if (worst >= closest) return;
          tap::fail(__FILE__,
                    __LINE__,
                    std::string(subject.path) + ", " + dtype + ", " + what +
                        ": cosine " + std::to_string(worst));
        };
        int modes = 0;
        for (const char* mode :
             {"vanilla", "maskclip", "qq", "csa", "declip", "qq-projection"}) {
          declip::DenseOptions dense;
          dense.mode = declip::dense_mode_from(mode);
          at::Tensor wanted;
          try {
            wanted = cpu->encode_dense(image, dense, true, {});
          } catch (const declip::Error& error) {
            if (error.code() != declip::ErrorCode::kInvalidArg) throw;
            continue;  // no mode of this family
          }
          alike(mode, cuda->encode_dense(image, dense, true, {}), wanted);
          ++modes;
        }
        CHECK(modes > 0);
        if (cpu->info().family != "sam") {
          alike("image",
                cuda->encode_image(image, {}, {}),
                cpu->encode_image(image, {}, {}));
        }
        if (!config.text) continue;
        const auto tokens =
            at::arange(config.text->context).remainder(40).unsqueeze(0) + 3;
        alike("text",
              cuda->encode_text(tokens, true, {}),
              cpu->encode_text(tokens, true, {}));
      }
    }
  });
}

TEST(cuda_pipeline_labels_a_picture_as_the_cpu_does) {
  on_cuda([] {
    for (const auto family : small::kFamilies) {
      const auto cpu = load_on(family, "cpu", "float32");
      Random random;
      declip::Picture picture;
      picture.pixels = at::empty({70, 90, 3}, at::kByte);
      auto* pixels = picture.pixels.mutable_data_ptr<uint8_t>();
      for (int64_t i = 0; i < 70 * 90 * 3; ++i)
        pixels[i] = static_cast<uint8_t>(random.integer(0, 255));
      declip::EncodeOptions options;
      options.window = cpu->info().config.vision.image_size;
      options.stride = options.window / 2;
      options.augment = true;
      const auto text = declip::l2_normalize(
          random.tensor({4, cpu->info().config.vision.embed_dim}), 1);
      declip::PostOptions post;
      post.pamr_iterations = 2;
      post.logits = true;
      // Recorded passes: computed, recorded, replayed.
      const auto recording =
          load_on(family, "cuda", "float32", /*graphs=*/true);
      const auto run = [&](const declip::Model& model) {
        return declip::EncodedImage::encode(model, picture, options, {})
            ->segment(text, {0, 1, 2, 3}, post, {});
      };
      const auto expected = run(*cpu);
      const auto plain = run(*load_on(family, "cuda", "float32"));
      CHECK_CLOSE(distance(plain.logits, expected.logits), 0, 1e-3);
      for (int round = 0; round < 3; ++round) {
        const auto replayed = run(*recording);
        CHECK_CLOSE(distance(replayed.logits, plain.logits), 0, 1e-5);
      }
    }
  });
}
