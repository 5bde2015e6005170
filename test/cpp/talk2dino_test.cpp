// Talk2DINO against its authors' code, and against a slow version in loops on
// shapes that the golden tests do not have.

#include "declip/talk2dino.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "checkpoint_files.h"
#include "declip/encoded_image.h"
#include "declip/model.h"
#include "declip/safetensors.h"
#include "families/dino_encoder.h"
#include "golden.h"
#include "random_planes.h"
#include "segment/talk2dino.h"
#include "tap.h"

using declip::Call;
using declip::EncodedImage;
using declip::ErrorCode;
using declip::Model;
using declip::Talk2DinoWindows;
using declip::TextProjection;

namespace {

const Golden& talk_golden() {
  static const Golden golden("leading-methods");
  return golden;
}

std::shared_ptr<const Model> talk_model(const std::string& file) {
  declip::LoadOptions options;
  options.device = "cpu";
  options.dtype = "float32";
  // Of the DINOv2s, whose files do not tell how many heads there are.
  if (file.starts_with("vfm/")) options.overrides.head_width = 32;
  return Model::load(files::fixture(file), options, Call());
}

/// option `name` of a case
double option(const std::string& id, const char* name) {
  return *talk_golden().at(id).find("options")->find(name)->number();
}

int64_t whole(const std::string& id, const char* name) {
  return static_cast<int64_t>(option(id, name));
}

/// Written on purpose without the tensor library's reductions.
struct SlowTalk {
  std::vector<std::vector<double>> f, a, t;  // [N][C], [heads][N], [Q][C]

  static double dot(const std::vector<double>& x,
                    const std::vector<double>& y) {
    double sum = 0;
    for (size_t i = 0; i < x.size(); ++i) sum += x[i] * y[i];
    return sum;
  }
  static std::vector<double> softmax(std::vector<double> x) {
    double sum = 0;
    for (double& v : x) sum += v = std::exp(v);
    for (double& v : x) v /= sum;
    return x;
  }
  static std::vector<double> unit(std::vector<double> x) {
    const double length = std::sqrt(dot(x, x));
    for (double& v : x) v /= length;
    return x;
  }

  std::vector<std::vector<double>> scores(bool clean, double weight) const {
    std::vector<std::vector<double>> p, b, e;
    for (const auto& head : a) {
      std::vector<double> mean(f[0].size(), 0);
      for (size_t j = 0; j < f.size(); ++j) {
        for (size_t c = 0; c < mean.size(); ++c) mean[c] += head[j] * f[j][c];
      }
      e.push_back(unit(mean));
    }
    for (const auto& word : t) {
      std::vector<double> row, heads;
      for (const auto& patch : f) {
        row.push_back(1 / (1 + std::exp(-dot(unit(word), unit(patch)))));
      }
      for (const auto& head : e) heads.push_back(dot(unit(word), head));
      heads = softmax(heads);
      std::vector<double> looked(f.size(), 0);
      for (size_t h = 0; h < a.size(); ++h) {
        for (size_t j = 0; j < f.size(); ++j) looked[j] += heads[h] * a[h][j];
      }
      p.push_back(row);
      b.push_back(softmax(looked));
    }
    if (!clean) return p;
    const auto range = [](const std::vector<std::vector<double>>& x) {
      double low = 1e9, high = -1e9;
      for (const auto& row : x) {
        for (const double v : row) {
          low = std::min(low, v);
          high = std::max(high, v);
        }
      }
      return std::pair{low, high};
    };
    const auto [b_low, b_high] = range(b);
    const auto [p_low, p_high] = range(p);
    for (size_t k = 0; k < p.size(); ++k) {
      for (size_t j = 0; j < f.size(); ++j) {
        const double scaled =
            (b[k][j] - b_low) / b_high * (p_high - p_low) + p_low;
        p[k][j] = (p[k][j] + weight * scaled) / (1 + weight);
      }
    }
    return p;
  }
};

std::vector<std::vector<double>> rows_of(const at::Tensor& x) {
  std::vector<std::vector<double>> out;
  for (int64_t i = 0; i < x.size(0); ++i) {
    const auto row = x[i].to(at::kDouble).contiguous();
    out.emplace_back(row.const_data_ptr<double>(),
                     row.const_data_ptr<double>() + row.numel());
  }
  return out;
}

}  // namespace

TEST(talk2dino_words_are_those_of_the_authors) {
  const c10::InferenceMode guard;
  const auto& golden = talk_golden();
  const std::string id = "talk2dino-text";
  const auto text = talk_model("clip-tiny/state_dict.pt");
  const auto projection =
      declip::read_text_projection(golden.path("talk2dino.safetensors"));
  const auto ids = golden.tensor(*golden.at(id).find("inputs")->find("ids"));
  const int64_t templates = ids.size(1);
  const auto tokens = ids.flatten(0, 1);
  const auto mean = text->encode_text(tokens, false, Call())
                        .unflatten(0, {-1, templates})
                        .mean(1);
  golden.compare(id, "template_mean", mean);
  golden.compare(id, "projected", projection(mean));
  golden.compare(
      id,
      "text_features",
      declip::project_words(*text, tokens, templates, projection, Call()));
}

TEST(talk2dino_window_is_that_of_the_authors) {
  const c10::InferenceMode guard;
  const auto& golden = talk_golden();
  const std::string id = "talk2dino-window";
  const auto model = talk_model("vfm/dinov2-reg.safetensors");
  const auto& inputs = *golden.at(id).find("inputs");
  const auto& corners = *inputs.find("image")->find("window")->array();
  const auto corner = [&](size_t i) {
    return static_cast<int64_t>(*corners[i].number());
  };
  const auto image = golden.image(id)
                         .slice(2, corner(0), corner(2))
                         .slice(3, corner(1), corner(3))
                         .contiguous();
  const auto text = golden.tensor(*inputs.find("text_features"));
  const auto* dino = dynamic_cast<const declip::Dino*>(&model->encoder());
  const auto seen = dino->watched(image, Call());
  golden.compare(id, "patch_features", seen.features);
  golden.compare(id,
                 "class_token_logits",
                 seen.class_logits * option(id, "head_logit_scale"));

  declip::Talk2DinoOptions options;
  const int64_t window = whole(id, "window"), stride = whole(id, "stride");
  const auto made = [&](bool clean) {
    options.clean = clean;
    options.clean_weight = option(id, "clean_weight");
    return declip::talk2dino_windows(
        *model, image, false, window, stride, options, Call());
  };
  const auto plain = made(false);
  golden.compare(id, "cosine", at::matmul(text, plain.features[0].flatten(1)));
  golden.compare(id, "sigmoid", declip::talk2dino_scores(plain, text));
  const auto cleaned = declip::talk2dino_scores(made(true), text);
  golden.compare(id, "cleaned", cleaned);
  const int64_t every = whole(id, "stored_every");
  golden.compare(id,
                 "upsampled",
                 at::upsample_bilinear2d(cleaned, {window, window}, true)
                     .slice(2, 0, window, every)
                     .slice(3, 0, window, every));
}

TEST(talk2dino_scores_are_those_of_plain_loops) {
  const c10::InferenceMode guard;
  Random random;
  for (const bool clean : {false, true}) {
    const int64_t windows = 2, heads = 3, channels = 5, h = 4, w = 7, words = 4;
    const auto f = random.tensor({windows, channels, h * w});
    const auto a = random.tensor({windows, heads, h * w});
    const auto text = random.tensor({words, channels}) * 3;
    Talk2DinoWindows made;
    made.options = {.clean = clean, .clean_weight = 0.3};
    made.features = (f / f.norm(2, {1}, true)).unflatten(2, {h, w});
    made.class_logits = a;
    const auto seen = at::matmul(a, f.transpose(1, 2));
    made.head_features = seen / seen.norm(2, {2}, true);
    const auto got = declip::talk2dino_scores(made, text).flatten(2);
    for (int64_t i = 0; i < windows; ++i) {
      const SlowTalk slow{rows_of(f[i].t()), rows_of(a[i]), rows_of(text)};
      const auto expected = slow.scores(clean, 0.3);
      for (int64_t k = 0; k < words; ++k) {
        for (int64_t j = 0; j < h * w; ++j) {
          CHECK_CLOSE(got[i][k][j].item<double>(),
                      expected[static_cast<size_t>(k)][static_cast<size_t>(j)],
                      1e-5);
        }
      }
    }
  }
}

TEST(a_class_tokens_logits_are_products_of_its_query_and_the_keys) {
  const c10::InferenceMode guard;
  Random random;
  // with registers and without
  for (const char* file :
       {"vfm/dinov2-reg.safetensors", "vfm/dinov2.safetensors"}) {
    const tap::Case one(file);
    const auto model = talk_model(file);
    const auto image = random.tensor({2, 3, 42, 70});
    const auto* dino = dynamic_cast<const declip::Dino*>(&model->encoder());
    const auto seen = dino->watched(image, Call());
    const auto plain = model->encode_dense(image, {}, false, Call());
    CHECK(seen.features.sub(plain).abs().max().item<double>() < 1e-5);
    const auto& config = model->info().config;
    CHECK(seen.class_logits.sizes() ==
          at::IntArrayRef({2, config.vision.heads, 3 * 5}));
    const auto all = declip::read_safetensors(files::fixture(file)).tensors;
    // Tokens before the last block, then its norm and projection by hand.
    const int64_t last = config.vision.layers - 1;
    const auto stages = model->encode_stages(
        image, {.blocks = {last - 1}, .features = false}, Call());
    const auto& stage = stages.blocks[0];
    const auto x =
        at::cat({stage.prefix, stage.map.flatten(2).transpose(1, 2)}, 1);
    const auto get = [&](const std::string& name) {
      return all.at("blocks." + std::to_string(last) + "." + name)
          .to(at::kFloat);
    };
    const auto normed = at::layer_norm(x,
                                       {config.vision.width},
                                       get("norm1.weight"),
                                       get("norm1.bias"),
                                       config.vision.layer_norm_eps);
    const auto qkv =
        at::linear(normed, get("attn.qkv.weight"), get("attn.qkv.bias"))
            .unflatten(2, {3, config.vision.heads, -1});
    const auto q = qkv.select(2, 0), k = qkv.select(2, 1);
    const int64_t prefix = stage.prefix.size(1);
    for (int64_t b = 0; b < 2; ++b) {
      for (int64_t n = 0; n < config.vision.heads; ++n) {
        for (int64_t j = 0; j < 15; ++j) {
          CHECK_CLOSE(seen.class_logits[b][n][j].item<double>(),
                      q[b][0][n].dot(k[b][prefix + j][n]).item<double>(),
                      1e-4);
        }
      }
    }
  }
}

TEST(talk2dino_answers_any_size_and_any_words) {
  const c10::InferenceMode guard;
  Random random;
  const auto model = talk_model("vfm/dinov2-reg.safetensors");
  declip::EncodeOptions options;
  options.window = 60;  // no multiple of the patch
  options.stride = 40;
  options.talk2dino = std::make_shared<declip::Talk2DinoOptions>(
      declip::Talk2DinoOptions{.clean = true});
  declip::Picture picture;
  // lower than a window
  picture.pixels = random.tensor({37, 101, 3}).mul(40).add(128).to(at::kByte);
  const auto view = EncodedImage::encode(*model, picture, options, Call());
  CHECK(view->height() == 37);
  CHECK(view->width() == 101);
  CHECK(view->windows() == 3);
  const int64_t width = model->info().config.vision.embed_dim;
  declip::PostOptions post;
  post.logit_scale = 1;
  post.logits = true;
  post.pamr_iterations = 2;
  post.pamr_dilations = {1, 2};
  const auto text = random.tensor({5, width});
  const auto two = view->segment(text, {0, 1, 1, 2, 0}, post, Call());
  CHECK(two.labels.sizes() == at::IntArrayRef({37, 101}));
  CHECK(two.logits.sizes() == at::IntArrayRef({3, 37, 101}));
  CHECK(two.logits.min().item<double>() > 0);
  CHECK(two.logits.max().item<double>() < 1);

  // The background's words are nothing but a constant.
  post.background = 1;
  post.prob_threshold = 0.61;
  const auto with = view->segment(text, {0, 1, 1, 2, 0}, post, Call());
  auto other = text.clone();
  other.slice(0, 1, 3).neg_();
  const auto same = view->segment(other, {0, 1, 1, 2, 0}, post, Call());
  CHECK(with.labels.equal(same.labels));
  CHECK(with.logits[1].eq(0.61f).all().item<bool>());
  CHECK_THROWS_CODE(view->segment(
                        text.slice(0, 0, 1),
                        {0},
                        [&] {
                          auto alone = post;
                          alone.background = 0;
                          return alone;
                        }(),
                        Call()),
                    ErrorCode::kInvalidArg);
  CHECK_THROWS_CODE(
      view->segment(random.tensor({1, width + 1}), {0}, post, Call()),
      ErrorCode::kInvalidArg);
}

TEST(talk2dino_takes_dino_alone) {
  declip::EncodeOptions options;
  options.talk2dino = std::make_shared<declip::Talk2DinoOptions>();
  declip::Picture picture;
  picture.pixels = at::zeros({32, 32, 3}, at::kByte);
  CHECK_THROWS_CODE(
      EncodedImage::encode(
          *talk_model("clip-tiny/state_dict.pt"), picture, options, Call()),
      ErrorCode::kInvalidArg);
}

TEST(a_text_projection_says_what_is_wrong_with_it) {
  Random random;
  using Tensors = std::map<std::string, at::Tensor>;
  const Tensors good{{"linear_layer.weight", random.tensor({6, 4})},
                     {"linear_layer.bias", random.tensor({6})},
                     {"hidden_layers.0.weight", random.tensor({8, 6})},
                     {"hidden_layers.0.bias", random.tensor({8})},
                     {"hidden_layers.1.weight", random.tensor({3, 8})},
                     {"hidden_layers.1.bias", random.tensor({3})}};
  const files::TempFolder folder;
  const auto path = folder.path() + "/projection.safetensors";
  const auto read = [&](const Tensors& tensors) {
    declip::write_safetensors(path, tensors);
    return declip::read_text_projection(path);
  };
  const auto projection = read(good);
  CHECK(projection.input() == 4);
  CHECK(projection.output() == 3);
  const auto x = random.tensor({2, 4});
  auto slow = at::linear(
      x, good.at("linear_layer.weight"), good.at("linear_layer.bias"));
  slow = at::linear(slow.tanh(),
                    good.at("hidden_layers.0.weight"),
                    good.at("hidden_layers.0.bias"));
  slow = at::linear(slow.tanh(),
                    good.at("hidden_layers.1.weight"),
                    good.at("hidden_layers.1.bias"));
  CHECK(projection(x).sub(slow).abs().max().item<double>() < 1e-6);

  const auto refused = [&](const char* name, const at::Tensor& value) {
    const tap::Case one(name);
    auto tensors = good;
    tensors.erase(name);
    if (value.defined()) tensors[name] = value;
    CHECK_THROWS_CODE(read(tensors), ErrorCode::kWeights);
  };
  refused("linear_layer.weight", {});
  refused("hidden_layers.0.bias", {});
  refused("hidden_layers.0.weight", {});  // its bias is left over
  refused("hidden_layers.0.weight", random.tensor({8, 5}));
  refused("hidden_layers.1.bias", random.tensor({4}));
  refused("linear_layer.bias", at::zeros({6}, at::kLong));
  refused("linear_layer.bias", at::full({6}, NAN));
  refused("visual_projection.weight", random.tensor({2, 2}));

  const auto text = talk_model("clip-tiny/state_dict.pt");
  CHECK_THROWS_CODE(
      declip::project_words(
          *text, at::zeros({2, 8}, at::kInt), 2, projection, Call()),
      ErrorCode::kInvalidArg);
  CHECK_THROWS_CODE(
      declip::project_words(
          *text,
          at::zeros({2, 8}, at::kInt),
          2,
          TextProjection{{random.tensor({3, 2})}, {random.tensor({4})}},
          Call()),
      ErrorCode::kInvalidArg);
}
