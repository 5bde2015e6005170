#include <ATen/ATen.h>
#include <c10/util/StringUtil.h>

#include <exception>
#include <map>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "declip/encoded_image.h"
#include "declip/model.h"
#include "declip/safetensors.h"
#include "kernels/task.h"
#include "line.h"
#include "programs.h"
#include "random_checkpoint.h"

namespace declip::bench {
namespace {

using Outputs = std::map<std::string, at::Tensor>;
using LoadedModel = std::shared_ptr<const Model>;

const std::vector<std::string> kModes{"vanilla",
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
                                      "proxyclip"};
constexpr int64_t kWords = 21;

/// How far from the CPU's float32 a dtype may be: the least cosine of two
/// features, and the largest difference of two cosines with a word.
struct Limits {
  double cosine, logits;
};

Limits limits_of(const std::string& dtype) {
  if (dtype == "float32") return {0.99999, 2e-3};
  return dtype == "float16" ? Limits{0.9995, 1e-2} : Limits{0.995, 3e-2};
}

LoadedModel load(const std::string& path,
                 const std::string& device,
                 const std::string& dtype,
                 bool graphs = false) {
  LoadOptions options;
  options.cuda_graphs = graphs;
  options.device = device;
  options.dtype = dtype;
  return Model::load(path, options, {});
}

/// What every model is asked.
struct Questions {
  ClipShape shape;
  at::Tensor images;   // [2, 3, S, S + 2 patches]
  at::Tensor squares;  // [batch, 3, S, S]
  at::Tensor one;      // [1, 3, S, S]
  at::Tensor proxy;    // [2, 32, 9, 11]
  at::Tensor tokens;   // [3, 77]
  at::Tensor words;    // [kWords, E]
  Picture picture;

  Questions(const ClipShape& of, int64_t batch) : shape(of) {
    const int64_t s = shape.image;
    images = random({2, 3, s, s + 2 * shape.patch}).cpu();
    squares = random({batch, 3, s, s});
    one = squares.slice(0, 0, 1).contiguous();
    proxy = random({2, 32, 9, 11}).cpu();
    tokens = at::zeros({3, 77}, at::kLong);
    for (int64_t row = 0; row < 3; ++row) {
      const int64_t length = 5 + 20 * row;
      tokens[row].slice(0, 0, length) = 1000 + 37 * at::arange(length);
      tokens[row][0] = 49406;
      tokens[row][length - 1] = 49407;
    }
    words = random({kWords, shape.embed}).cpu();
    words = words / words.norm(2, {1}, true);
    // Tiles of one colour each, with noise: patches that differ.
    const int64_t height = 3 * s / 2, width = 2 * s;
    const auto tiles = random({3 * 6, 8, 3})
                           .repeat_interleave((s + 11) / 12, 0)
                           .repeat_interleave(s / 4, 1);
    const auto noise = 0.2 * random({height, width, 3});
    picture.pixels = (128 + 50 * (tiles.slice(0, 0, height) + noise))
                         .clamp(0, 255)
                         .to(at::kCPU, at::kByte)
                         .contiguous();
  }
};

DenseOptions dense_options(const std::string& mode, const Questions& ask) {
  DenseOptions options;
  options.mode = dense_mode_from(mode);
  if (mode == "proxyclip") options.proxy_features = ask.proxy;
  return options;
}

at::Tensor logits_of(const Model& model, const Questions& ask) {
  EncodeOptions encode;
  encode.window = ask.shape.image;
  encode.stride = ask.shape.image / 2;
  encode.dense.mode = DenseMode::kCsa;
  PostOptions post;
  post.pamr_iterations = 2;
  post.logits = true;
  std::vector<int64_t> classes(kWords);
  std::iota(classes.begin(), classes.end(), 0);
  return EncodedImage::encode(model, ask.picture, encode, {})
      ->segment(ask.words, classes, post, {})
      .logits;
}

/// Everything a model says, on the CPU.
Outputs answers(const Model& model, const Questions& ask) {
  Outputs out;
  for (const auto& mode : kModes) {
    out["dense-" + mode] =
        model.encode_dense(ask.images, dense_options(mode, ask), true, {})
            .cpu();
  }
  out["image"] = model.encode_image(ask.one.cpu(), {}, {}).cpu();
  out["text"] = model.encode_text(ask.tokens, true, {}).cpu();
  out["logits"] = logits_of(model, ask).cpu();
  return out;
}

bool agree(const Outputs& got,
           const Outputs& expected,
           const std::string& model,
           const std::string& device,
           const std::string& dtype) {
  const auto limits = limits_of(dtype);
  bool all = true;
  for (const auto& [what, wanted] : expected) {
    Line line("agreement");
    line.text("model", model)
        .text("device", device)
        .text("dtype", dtype)
        .text("what", what);
    const auto& x = got.at(what);
    bool ok = false;
    if (what == "logits") {
      const double off = largest_difference(x, wanted);
      const double other = x.argmax(0)
                               .ne(wanted.argmax(0))
                               .to(at::kDouble)
                               .mean()
                               .item<double>();
      ok = off <= limits.logits;
      line.number("off", off).number("limit", limits.logits);
      line.number("otherLabels", other);
    } else {
      const double least =
          at::cosine_similarity(x, wanted, 1, 1e-12).min().item<double>();
      ok = least >= limits.cosine;
      line.number("leastCosine", least).number("limit", limits.cosine);
    }
    line.flag("ok", ok);
    all &= ok;
  }
  return all;
}

class Timed {
 public:
  Timed(std::string model, std::string device, std::string dtype, double peak)
      : model_(std::move(model)),
        device_(std::move(device)),
        dtype_(std::move(dtype)),
        peak_(peak) {}

  /// `flops` of a picture; 0: not known.
  void print(const std::string& what,
             int64_t pictures,
             double flops,
             const std::function<void()>& run) const {
    Line line("speed");
    line.text("model", model_)
        .text("device", device_)
        .text("dtype", dtype_)
        .text("what", what)
        .integer("batch", pictures);
    const double ms = milliseconds(run);
    const double rate = 1e3 * static_cast<double>(pictures) / ms;
    line.number("ms", ms).number("perSecond", rate);
    if (flops > 0) {
      line.number("tflops", flops * rate / 1e12);
      if (peak_ > 0) line.number("shareOfMatrixPeak", flops * rate / peak_);
    }
  }

 private:
  std::string model_, device_, dtype_;
  double peak_;
};

void time_all(const Model& model,
              const Questions& ask,
              int64_t batch,
              const Timed& timed) {
  const auto x = ask.squares.slice(0, 0, batch);
  const double flops = ask.shape.flops();
  timed.print("image", batch, flops, [&] { model.encode_image(x, {}, {}); });
  for (const char* mode : {"vanilla", "csa", "itaclip"}) {
    const auto options = dense_options(mode, ask);
    timed.print(c10::str("dense-", mode), batch, flops, [&] {
      model.encode_dense(x, options, true, {});
    });
  }
  const auto tokens = ask.tokens.repeat({(batch + 2) / 3, 1});
  timed.print(
      "text", tokens.size(0), 0, [&] { model.encode_text(tokens, true, {}); });
  timed.print("segment", 1, 0, [&] { logits_of(model, ask); });
}

/// A picture alone: on a GPU the launches take longer than the work.
void time_single(const Model& model,
                 const Questions& ask,
                 const std::string& what,
                 const Timed& timed) {
  timed.print(
      what, 1, ask.shape.flops(), [&] { model.encode_image(ask.one, {}, {}); });
}

bool on_device(const std::string& path,
               const std::string& dtype,
               const Questions& ask,
               const Outputs& expected,
               double peak) {
  const std::string where = device().is_cuda() ? "cuda" : "cpu";
  const auto& name = ask.shape.name;
  try {
    const auto model = load(path, where, dtype);
    const bool ok = agree(answers(*model, ask), expected, name, where, dtype);
    const Timed timed(name, where, dtype, peak);
    time_all(*model, ask, ask.squares.size(0), timed);
    time_single(*model, ask, "one-image", timed);
    if (!device().is_cuda()) return ok;
    const auto recorded = load(path, where, dtype, /*graphs=*/true);
    bool same = true;
    for (int round = 0; round < 3; ++round) {  // computed, recorded, replayed
      same &= agree({{"logits", logits_of(*recorded, ask)}},
                    {{"logits", expected.at("logits")}},
                    name,
                    "cuda-graphs",
                    dtype);
    }
    Timed(name, "cuda-graphs", dtype, peak).print("segment", 1, 0, [&] {
      logits_of(*recorded, ask);
    });
    return ok && same;
  } catch (const std::exception& error) {
    Line("failure")
        .text("model", name)
        .text("device", where)
        .text("dtype", dtype)
        .text("failed", plain_text(error.what()));
    return false;
  }
}

}  // namespace

bool run_pipeline(const std::string& name,
                  const std::string& folder,
                  const Ceilings& ceilings,
                  bool small) {
  const auto shape = clip_shape(name);
  const auto path = folder + "/" + name + ".safetensors";
  write_random_checkpoint(shape, path);
  const int64_t batch = small ? 2 : shape.layers > 12 ? 32 : 64;
  const Questions ask(shape, batch);

  const auto cpu = load(path, "cpu", "float32");
  const auto expected = answers(*cpu, ask);
  auto file = expected;
  for (const char* mode : {"vanilla", "csa"}) {
    file[c10::str("one-", mode)] =
        cpu->encode_dense(ask.one.cpu(), dense_options(mode, ask), true, {});
  }
  file["input.images"] = ask.images;
  file["input.one"] = ask.one.cpu();
  file["input.tokens"] = ask.tokens;
  write_safetensors(folder + "/" + name + "-outputs.safetensors",
                    file,
                    {{"batch", std::to_string(batch)},
                     {"activation",
                      cpu->info().config.vision.activation == Activation::kGelu
                          ? "gelu"
                          : "quick_gelu"}});

  const std::vector<std::pair<std::string, double>> dtypes{
      {"float32", ceilings.float32},
      {"bfloat16", ceilings.bfloat16},
      {"float16", ceilings.float16}};
  bool ok = true;
  for (const auto& [dtype, peak] : dtypes) {
    ok &= on_device(path, dtype, ask, expected, peak);
  }
  if (device().is_cuda()) {
    Questions few = ask;
    few.squares = ask.squares.slice(0, 0, 4).cpu();
    time_all(*cpu, few, 4, Timed(name, "cpu", "float32", 0));
  }
  return ok;
}

}  // namespace declip::bench
