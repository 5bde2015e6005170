// The text tower of every configuration against a slow one, written from the
// definition: whole rows, masks in place of tokens that are left out, double
// precision.

#include "model/text_tower.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "checkpoint/tower_shapes.h"
#include "families/clip.h"
#include "families/clip_text.h"
#include "families/initial_weights.h"
#include "model/lazy_text_tower.h"
#include "random_planes.h"
#include "tap.h"

using declip::Activation;
using declip::Call;
using declip::ErrorCode;
using declip::Numerics;
using declip::TextConfig;
using declip::TextPool;
using declip::TextTower;

namespace {

using Tensors = std::map<std::string, at::Tensor>;

constexpr std::array kPools{
    TextPool::kEnd, TextPool::kFirst, TextPool::kLast, TextPool::kMean};
constexpr std::array kActivations{Activation::kQuickGelu,
                                  Activation::kGelu,
                                  Activation::kGeluTanh,
                                  Activation::kRelu};

at::Tensor activation(Activation kind, const at::Tensor& x) {
  switch (kind) {
    case Activation::kQuickGelu:
      return x / (1 + (-1.702 * x).exp());
    case Activation::kGelu:
      return 0.5 * x * (1 + (x / std::sqrt(2.0)).erf());
    case Activation::kGeluTanh: {
      const double factor = std::sqrt(2 / std::acos(-1.0));
      return 0.5 * x * (1 + (factor * (x + 0.044715 * x * x * x)).tanh());
    }
    default:
      return x * (x > 0);
  }
}

/// One row of `context` tokens at a time.
struct Slow {
  TextConfig config;
  Tensors weights;

  at::Tensor at(const std::string& name) const {
    return weights.at("text." + name).to(at::kDouble);
  }
  at::Tensor norm(const std::string& name, const at::Tensor& x) const {
    const auto mean = x.mean(-1, true);
    const auto variance = (x - mean).square().mean(-1, true);
    return (x - mean) / (variance + config.layer_norm_eps).sqrt() *
               at(name + ".weight") +
           at(name + ".bias");
  }
  at::Tensor linear(const std::string& weight,
                    const std::string& bias,
                    const at::Tensor& x) const {
    return at::matmul(x, at(weight).t()) + at(bias);
  }

  at::Tensor attention(const std::string& block,
                       const at::Tensor& x,
                       const at::Tensor& hidden) const {
    const auto parts =
        linear(block + "in_proj_weight", block + "in_proj_bias", x).chunk(3, 1);
    std::vector<at::Tensor> heads;
    const int64_t d = config.width / config.heads;
    for (int64_t h = 0; h < config.heads; ++h) {
      const auto of = [&](const at::Tensor& part) {
        return part.slice(1, h * d, (h + 1) * d);
      };
      const auto scores = at::matmul(of(parts[0]), of(parts[1]).t()) /
                          std::sqrt(static_cast<double>(d));
      const auto masked =
          scores.masked_fill(hidden, -std::numeric_limits<double>::infinity());
      heads.push_back(at::matmul(masked.softmax(-1), of(parts[2])));
    }
    return linear(
        block + "out_proj.weight", block + "out_proj.bias", at::cat(heads, 1));
  }

  /// ids [context] -> [E].
  at::Tensor operator()(const at::Tensor& ids) const {
    const int64_t length = config.context;
    auto hidden = at::zeros({length, length}, at::kBool);  // query, key
    if (config.causal) hidden = at::ones_like(hidden).triu(1);
    const auto padding = config.pad_token < 0 ? at::zeros({length}, at::kBool)
                                              : ids == config.pad_token;
    hidden = hidden.logical_or(padding.unsqueeze(0));
    auto x =
        at("token_embedding.weight").index({ids}) * config.embedding_scale +
        at("positional_embedding");
    for (int64_t i = 0; i < config.layers; ++i) {
      const auto block = "transformer.resblocks." + std::to_string(i) + ".";
      x = x + attention(block + "attn.", norm(block + "ln_1", x), hidden);
      const auto up = linear(block + "mlp.c_fc.weight",
                             block + "mlp.c_fc.bias",
                             norm(block + "ln_2", x));
      x = x + linear(block + "mlp.c_proj.weight",
                     block + "mlp.c_proj.bias",
                     activation(config.activation, up));
    }
    x = norm("ln_final", x);
    int64_t pooled = 0;
    if (config.pool == TextPool::kLast) pooled = length - 1;
    if (config.pool == TextPool::kEnd && config.eot_token < 0) {
      pooled = ids.argmax().item<int64_t>();
    } else if (config.pool == TextPool::kEnd) {
      for (pooled = length - 1; pooled > 0; --pooled) {
        const bool first = (ids.slice(0, 0, pooled) == config.eot_token)
                               .sum()
                               .item<int64_t>() == 0;
        if (ids[pooled].item<int64_t>() == config.eot_token && first) break;
      }
    }
    auto out = x[pooled];
    if (config.pool == TextPool::kMean) {
      const auto counts = padding.logical_not().to(at::kDouble).unsqueeze(1);
      const auto sum = x.masked_fill(padding.unsqueeze(1), 0).sum(0);
      out = sum / (counts.sum() + 1e-8);
    }
    if (weights.contains("text.text_projection")) {
      out = at::matmul(out, at("text_projection"));
    }
    if (weights.contains("text.text_projection_bias")) {
      out = out + at("text_projection_bias");
    }
    return out;
  }
};

TextConfig some_config(Random& random) {
  TextConfig t;
  t.heads = random.integer(1, 3);
  t.width = 8 * t.heads * random.integer(1, 2);
  t.layers = random.integer(1, 3);
  t.context = random.integer(3, 20);
  t.vocab = random.integer(5, 30);
  t.embed_dim = random.coin() ? t.width : random.integer(4, 24);
  t.activation = kActivations[random.integer(0, 3)];
  t.layer_norm_eps = random.coin() ? 1e-5 : 0.1;
  t.pool = kPools[random.integer(0, 3)];
  t.causal = random.coin();
  t.eot_token = random.coin() ? -1 : random.integer(0, t.vocab - 1);
  t.pad_token = random.coin() ? -1 : random.integer(0, 2);
  t.fill_token = random.integer(0, 2);
  t.embedding_scale =
      random.coin() ? 1 : std::sqrt(static_cast<double>(t.width));
  return t;
}

/// Weights under their internal names; no norm is one and no bias zero.
Tensors weights_of(const TextConfig& t, Random& random) {
  declip::InitialWeights initial(1);
  declip::initial_text_tower(initial, t);
  Tensors out;
  for (auto& [name, tensor] : initial.tensors) {
    if (!name.starts_with("text.")) continue;
    out.emplace(name, tensor + 0.2 * random.tensor(tensor.sizes()));
  }
  if (t.embed_dim == t.width && random.coin()) {
    out.erase("text.text_projection");
  } else if (random.coin()) {
    out.emplace("text.text_projection_bias", random.tensor({t.embed_dim}));
  }
  return out;
}

at::Tensor some_tokens(const TextConfig& t, Random& random) {
  const int64_t count = random.integer(1, 12);
  const int64_t length = random.integer(1, t.context);
  const auto tokens = at::zeros({count, length}, at::kLong);
  for (int64_t i = 0; i < count; ++i) {
    // One that begins with a token of its own, so that something is attended
    // to, then many alike.
    const int64_t text = random.integer(1, length);
    for (int64_t j = 0; j < length; ++j) {
      const int64_t padding = t.pad_token < 0 ? 0 : t.pad_token;
      const int64_t low = j == 0 ? 3 : 0;
      tokens[i][j] = j < text ? random.integer(low, t.vocab - 1) : padding;
    }
  }
  return tokens;
}

TextTower tower(const TextConfig& t,
                const Tensors& tensors,
                const Numerics& numerics) {
  const Call call;
  return {
      t, declip::Weights(tensors, at::kCPU, numerics.stream(), call), numerics};
}

Numerics numerics(bool fused, at::ScalarType dtype = at::kFloat) {
  Numerics out;
  out.fused = fused;
  out.dtype = dtype;
  return out;
}

std::string words(const TextConfig& t) {
  return "pool " + std::to_string(static_cast<int>(t.pool)) +
         (t.causal ? ", causal" : "") + ", pad " + std::to_string(t.pad_token) +
         ", end " + std::to_string(t.eot_token) + ", activation " +
         std::to_string(static_cast<int>(t.activation));
}

/// Rows as the definition has them: filled up to the whole context.
at::Tensor whole(const TextConfig& t, const at::Tensor& tokens) {
  const int64_t fill = t.pad_token < 0 ? t.fill_token : t.pad_token;
  return at::constant_pad_nd(tokens, {0, t.context - tokens.size(1)}, fill);
}

/// `tokens` where nothing that is missing can be the end token.
bool is_defined(const TextConfig& t, const at::Tensor& tokens) {
  if (t.pool != TextPool::kEnd) return true;
  const auto filled = whole(t, tokens);
  return t.eot_token < 0
             ? filled.argmax(1).lt(tokens.size(1)).all().item<bool>()
             : tokens.eq(t.eot_token).any(1).all().item<bool>();
}

}  // namespace

TEST(every_text_tower_is_what_its_definition_says) {
  const c10::InferenceMode guard;
  Random random;
  int compared = 0;
  for (int round = 0; round < 400; ++round) {
    const auto t = some_config(random);
    const auto tensors = weights_of(t, random);
    const auto tokens = some_tokens(t, random);
    if (!is_defined(t, tokens)) continue;
    ++compared;
    const tap::Case here(words(t));
    const Slow slow{t, tensors};
    std::vector<at::Tensor> rows;
    for (const auto& row : whole(t, tokens).unbind(0))
      rows.push_back(slow(row));
    const auto expected = at::stack(rows);
    for (const bool fused : {true, false}) {
      const auto got = tower(t, tensors, numerics(fused)).encode(tokens, {});
      CHECK(got.sizes() == expected.sizes());
      CHECK_CLOSE(distance(got, expected), 0, 2e-5);
    }
    if (round % 4 != 0) continue;
    const auto scale = expected.abs().max().item<double>();
    const auto bf16 = tower(t, tensors, numerics(true, at::kBFloat16));
    CHECK_CLOSE(distance(bf16.encode(tokens, {}), expected) / scale, 0, 0.05);
    const auto eager = tower(t, tensors, numerics(false, at::kBFloat16));
    CHECK_CLOSE(distance(eager.encode(tokens, {}), expected) / scale, 0, 0.08);
    if (!declip::Linear::int8_obstacle().empty()) continue;
    auto eight = numerics(true);
    eight.int8 = true;
    CHECK_CLOSE(
        distance(tower(t, tensors, eight).encode(tokens, {}), expected) / scale,
        0,
        0.1);
  }
  CHECK(compared > 200);
}

TEST(a_row_does_not_depend_on_its_neighbours) {
  const c10::InferenceMode guard;
  Random random;
  for (int round = 0; round < 60; ++round) {
    auto t = some_config(random);
    const auto tensors = weights_of(t, random);
    const auto tokens = some_tokens(t, random);
    const tap::Case here(words(t));
    const auto one = tower(t, tensors, numerics(true));
    const auto all = one.encode(tokens, {});
    for (int64_t i = 0; i < tokens.size(0); ++i) {
      CHECK_CLOSE(
          distance(one.encode(tokens.slice(0, i, i + 1), {}), all[i]), 0, 1e-5);
    }
  }
}

TEST(masked_padding_costs_nothing_and_changes_nothing) {
  const c10::InferenceMode guard;
  Random random;
  for (const auto pool : {TextPool::kEnd, TextPool::kFirst, TextPool::kMean}) {
    auto t = some_config(random);
    t.pool = pool;
    t.causal = false;
    t.context = 16;
    t.pad_token = 0;
    t.vocab = 20;
    t.eot_token = 19;
    const auto tensors = weights_of(t, random);
    const auto one = tower(t, tensors, numerics(true));
    const auto text = at::tensor({4, 7, 9, 19}, at::kLong).unsqueeze(0);
    const auto padded = at::constant_pad_nd(text, {0, 12}, 0);
    CHECK(one.encode(text, {}).equal(one.encode(padded, {})));
  }
}

TEST(a_text_of_nothing_but_padding_has_finite_features) {
  const c10::InferenceMode guard;
  Random random;
  for (const auto pool : kPools) {
    for (const bool causal : {true, false}) {
      auto t = some_config(random);
      t.pool = pool;
      t.causal = causal;
      t.pad_token = 0;
      t.eot_token = -1;
      auto tensors = weights_of(t, random);
      tensors.erase("text.text_projection_bias");
      const auto got = tower(t, tensors, numerics(true))
                           .encode(at::zeros({2, 3}, at::kLong), {});
      CHECK(got.sizes() == at::IntArrayRef({2, t.embed_dim}));
      CHECK(at::isfinite(got).all().item<bool>());
      if (pool == TextPool::kMean) CHECK(got.abs().max().item<double>() == 0);
    }
  }
}

TEST(tokens_that_do_not_fit_a_text_tower_are_refused) {
  Random random;
  const auto t = some_config(random);
  const auto one = tower(t, weights_of(t, random), numerics(true));
  CHECK(one.encode(at::zeros({0, 1}, at::kLong), {}).size(1) == t.embed_dim);
  const auto refused = [&](const at::Tensor& tokens) {
    CHECK_THROWS_CODE(one.encode(tokens, {}), ErrorCode::kInvalidArg);
  };
  refused(at::zeros({1, 0}, at::kLong));
  refused(at::zeros({1, t.context + 1}, at::kLong));
  refused(at::full({1, 1}, t.vocab, at::kLong));
  refused(at::full({1, 1}, -1, at::kLong));
}

TEST(towers_that_compute_differently_have_different_fingerprints) {
  Random random;
  const TextConfig usual = some_config(random);
  const auto tensors = weights_of(usual, random);
  const auto print = [&](const TextConfig& t) {
    return declip::LazyTextTower(t, tensors, at::kCPU, numerics(true), {}, {})
        .fingerprint();
  };
  TextConfig plain;
  plain.heads = usual.heads;
  std::vector<std::string> prints{print(plain)};
  const auto changed = [&](auto change) {
    TextConfig t = plain;
    change(t);
    prints.push_back(print(t));
  };
  changed([](auto& t) { t.pool = TextPool::kLast; });
  changed([](auto& t) { t.causal = false; });
  changed([](auto& t) { t.pad_token = 0; });
  changed([](auto& t) { t.fill_token = 1; });
  changed([](auto& t) { t.embedding_scale = 2; });
  changed([](auto& t) { t.activation = Activation::kRelu; });
  changed([](auto& t) { t.eot_token = 2; });
  changed([](auto& t) { t.layer_norm_eps = 1e-6; });
  std::sort(prints.begin(), prints.end());
  CHECK(std::adjacent_find(prints.begin(), prints.end()) == prints.end());
}

TEST(shapes_of_a_text_tower_may_lack_a_projection) {
  Random random;
  declip::ModelConfig config;
  TextConfig t = some_config(random);
  t.embed_dim = t.width;
  Tensors tensors = weights_of(t, random);
  tensors.insert_or_assign("text.text_projection",
                           at::zeros({t.width, t.embed_dim}, at::kFloat));
  const auto check = [&] {
    declip::TowerTensors weights{"f", {}, "", tensors, {}};
    declip::ShapeChecker checker(weights);
    declip::kClipText.check_shapes(checker, t);
    checker.reject_others();
  };
  check();
  tensors.insert_or_assign("text.text_projection_bias",
                           at::zeros({t.embed_dim}, at::kFloat));
  check();
  tensors.erase("text.text_projection_bias");
  tensors.erase("text.text_projection");
  check();
  t.embed_dim = t.width + 1;
  CHECK_THROWS_CODE(check(), ErrorCode::kWeights);
}
