#include "cat_seg/cat_seg_file.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <string_view>
#include <utility>

#include "cat_seg/head.h"
#include "checkpoint/json_fields.h"
#include "checkpoint/tower_shapes.h"
#include "declip/error.h"
#include "files/text.h"

namespace declip {
namespace cat_seg_file {
namespace {

constexpr std::string_view kPredictor = "sem_seg_head.predictor.";
constexpr std::string_view kHead = "sem_seg_head.predictor.transformer.";
constexpr std::string_view kMask = ".attn_mask";  // made anew
constexpr const char* kMetadata = "declip.catSeg";
constexpr int64_t kMlp = 4;  // hidden channels of one
constexpr int64_t kLargeWidth = 1024;
constexpr int64_t kLargeSide = 336;

bool is_of_head(const std::string& key) {
  return key.starts_with(kHead) || key.starts_with("upsample1.") ||
         key.starts_with("upsample2.");
}

std::string own_name(const std::string& key) {
  return key.starts_with(kPredictor) ? key.substr(kPredictor.size()) : key;
}

// --- shapes ---

class CatSegShapes {
 public:
  CatSegShapes(const TowerTensors& weights, const VisionConfig& tower)
      : weights_(weights), check_(weights), tower_(tower) {}

  CatSegConfig read() {
    CatSegConfig c;
    const auto& cost = weights_.need("transformer.conv1.weight", 4);
    c.channels = cost.size(0);
    c.prompts = cost.size(1);
    // A convolution that keeps the grid.
    const int64_t side = cost.size(2) | 1;
    check_.need_pair("transformer.conv1", {c.channels, c.prompts, side, side});
    c.embed_dim = tower_.embed_dim;
    const std::string image = "transformer.guidance_projection.0";
    c.image_guidance = rows(image + ".weight", 4);
    check_.need_pair(image, {c.image_guidance, c.embed_dim, 3, 3});
    const std::string text = "transformer.text_guidance_projection.0";
    c.text_guidance = rows(text + ".weight", 2);
    check_.need_pair(text, {c.text_guidance, c.embed_dim});
    for (int64_t i = 0; i < 2; ++i) {
      const std::string n = std::to_string(i);
      const std::string up = "upsample" + std::to_string(i + 1);
      c.guidance.push_back(weights_.need(up + ".weight", 4).size(1));
      const int64_t scale = i == 0 ? 2 : 4;
      check_.need(up + ".weight", {tower_.width, c.guidance[i], scale, scale});
      check_.need(up + ".bias", {c.guidance[i]});
      const std::string to =
          "transformer.decoder_guidance_projection." + n + ".0";
      c.decoder_guidance.push_back(rows(to + ".weight", 4));
      check_.need_pair(to, {c.decoder_guidance[i], c.guidance[i], 3, 3});
    }
    c.layers = weights_.count_blocks("transformer.layers.");
    for (int64_t i = 0; i < std::max<int64_t>(c.layers, 1); ++i) layer(c, i);
    decoder(c);
    check_.reject_others();
    return c;
  }

 private:
  int64_t rows(const std::string& name, int64_t rank) const {
    return weights_.need(name, rank).size(0);
  }

  void layer(const CatSegConfig& c, int64_t i) {
    const int64_t n = c.channels;
    const auto name = "transformer.layers." + std::to_string(i) + ".";
    const auto swin = name + "swin_block.";
    check_.need_pair(swin + "guidance_norm", {c.image_guidance});
    for (const char* block : {"block_1.", "block_2."}) {
      const auto of = swin + block;
      check_.need_pair(of + "norm1", {n});
      check_.need_pair(of + "norm2", {n});
      check_.need_pair(of + "attn.q", {n, n + c.image_guidance});
      check_.need_pair(of + "attn.k", {n, n + c.image_guidance});
      check_.need_pair(of + "attn.v", {n, n});
      check_.need_pair(of + "attn.proj", {n, n});
      check_.need_pair(of + "mlp.fc1", {kMlp * n, n});
      check_.need_pair(of + "mlp.fc2", {n, kMlp * n});
    }
    const auto words = name + "attention.";
    check_.need(words + "padding_tokens", {1, 1, n});
    check_.need(words + "padding_guidance", {1, 1, c.text_guidance});
    check_.need_pair(words + "attention.q", {n, n + c.text_guidance});
    check_.need_pair(words + "attention.k", {n, n + c.text_guidance});
    check_.need_pair(words + "attention.v", {n, n});
    check_.need_pair(words + "norm1", {n});
    check_.need_pair(words + "norm2", {n});
    check_.need_pair(words + "MLP.0", {kMlp * n, n});
    check_.need_pair(words + "MLP.2", {n, kMlp * n});
  }

  void decoder(CatSegConfig& c) {
    int64_t in = c.channels;
    for (int64_t i = 0; i < 2; ++i) {
      const auto name = "transformer.decoder" + std::to_string(i + 1) + ".";
      const auto conv = name + "conv.double_conv.";
      const int64_t out = rows(conv + "0.weight", 4);
      const int64_t up = weights_.need(name + "up.weight", 4).size(1);
      check_.need(name + "up.weight", {in, up, 2, 2});
      check_.need(name + "up.bias", {up});
      check_.need(conv + "0.weight", {out, up + c.decoder_guidance[i], 3, 3});
      check_.need_pair(conv + "1", {out});
      check_.need(conv + "3.weight", {out, out, 3, 3});
      check_.need_pair(conv + "4", {out});
      c.decoder.push_back(out);
      in = out;
    }
    check_.need_pair("transformer.head", {1, in, 3, 3});
  }

  const TowerTensors& weights_;
  ShapeChecker check_;
  const VisionConfig& tower_;
};

// --- what shapes do not tell ---

void usual_values(const VisionConfig& tower, bool eva, CatSegConfig& c) {
  c.side = usual_cat_seg_side(tower);
  c.blocks = usual_guiding_blocks(tower.layers);
  c.mode = eva ? DenseMode::kCsa : DenseMode::kCatSeg;
  c.unit_patches = eva;
}

/// The masks of shifted windows, [windows, w w, w w], tell the window's side w
/// and the grid that was trained: they are there if the grid is larger.
void read_masks(const std::map<std::string, at::Tensor>& tensors,
                int64_t patch,
                CatSegConfig& c) {
  const auto root = [](int64_t square) {
    const auto side = static_cast<int64_t>(
        std::lround(std::sqrt(static_cast<double>(square))));
    return side * side == square ? side : 0;
  };
  for (const auto& [key, tensor] : tensors) {
    if (!is_of_head(key) || !key.ends_with(kMask) || tensor.dim() != 3 ||
        tensor.size(1) != tensor.size(2)) {
      continue;
    }
    const int64_t window = root(tensor.size(1)), along = root(tensor.size(0));
    if (window == 0 || along == 0) continue;
    c.window = window;
    c.side = patch * window * along;
    return;
  }
}

std::vector<std::string> name_list(const Fields& fields,
                                   const std::string& name) {
  const Json* found = fields.find(name);
  if (found == nullptr) return {};
  std::vector<std::string> out;
  if (found->array() == nullptr) fields.reject(name, "a list of texts");
  for (const Json& item : *found->array()) {
    if (item.string() == nullptr) fields.reject(name, "a list of texts");
    out.push_back(*item.string());
  }
  return out;
}

void apply_told(const std::string& text,
                const std::string& path,
                const VisionConfig& tower,
                CatSegConfig& c) {
  const std::string where = path + ": metadata " + in_quotes(kMetadata);
  const Json json = parse_json(text, where);
  const Fields fields(&json, where);
  c.side = fields.size("side", c.side);
  c.canvas = fields.size("canvas", c.canvas);
  c.cut = fields.size("cut", c.cut);
  c.stride = fields.size("stride", c.stride);
  c.heads = fields.size("heads", c.heads);
  c.window = fields.size("window", c.window);
  if (const auto limit = fields.integer("wordLimit")) {
    if (*limit < 0) fields.reject("wordLimit", "0 or more");
    c.word_limit = *limit;
  }
  if (const Json* blocks = fields.find("blocks")) {
    const std::string expected =
        "two blocks 0.." + std::to_string(tower.layers - 1);
    const Json::Array* list = blocks->array();
    if (list == nullptr || list->size() != 2) fields.reject("blocks", expected);
    c.blocks.clear();
    for (const Json& block : *list) {
      const int64_t i = block.integer().value_or(-1);
      if (i < 0 || i >= tower.layers) fields.reject("blocks", expected);
      c.blocks.push_back(i);
    }
  }
  if (const std::string* mode = fields.text("mode")) {
    try {
      c.mode = dense_mode_from(*mode);
    } catch (const Error& error) {
      fields.reject("mode", std::string("a dense mode (") + error.what() + ")");
    }
  }
  c.unit_patches = fields.flag("unitPatches", c.unit_patches);
  if (const std::string* prompt = fields.text("prompt")) {
    if (prompt->find("{}") == std::string::npos) {
      fields.reject("prompt", "a text with {} where the word goes");
    }
    c.prompt = *prompt;
  }
  c.names = name_list(fields, "names");
}

/// The caller's own number, which no file of the authors tells.
void apply_heads(int64_t given, CatSegConfig& c) {
  if (given < 1 || c.channels % given != 0) {
    throw Error(ErrorCode::kInvalidArg,
                "config.decoderHeads must be a divisor of " +
                    std::to_string(c.channels) +
                    ", the channels of CAT-Seg's aggregator, received " +
                    std::to_string(given) + ".");
  }
  c.heads = given;
}

/// What is not right about values that belong together.
void check_values(const TowerTensors& weights,
                  const VisionConfig& tower,
                  const CatSegConfig& c) {
  const auto refuse = [&](const std::string& why) {
    throw Error(ErrorCode::kWeights, weights.path + ": " + why);
  };
  if (c.heads < 1 || c.channels % c.heads != 0) {
    refuse("its aggregator has " + std::to_string(c.channels) +
           " channels, which " + std::to_string(c.heads) +
           " heads cannot share");
  }
  if (c.side % tower.patch != 0) {
    refuse("its pictures have a side of " + std::to_string(c.side) +
           " pixels, which is no multiple of the patch, " +
           std::to_string(tower.patch));
  }
  if (c.cut > c.canvas || c.stride > c.cut) {
    refuse("windows of " + std::to_string(c.cut) + " pixels every " +
           std::to_string(c.stride) + " do not cover a square of " +
           std::to_string(c.canvas));
  }
}

}  // namespace
}  // namespace cat_seg_file

std::vector<int64_t> usual_guiding_blocks(int64_t depth) {
  return {std::max<int64_t>((depth + 1) / 3 - 1, 0),
          std::max<int64_t>((2 * depth + 1) / 3 - 1, 0)};
}

int64_t usual_cat_seg_side(const VisionConfig& tower) {
  using namespace cat_seg_file;
  const int64_t side = tower.width == kLargeWidth ? kLargeSide : 384;
  return std::max<int64_t>(1, (side + tower.patch / 2) / tower.patch) *
         tower.patch;
}

void read_cat_seg(const CheckpointSource& source, Checkpoint& out) {
  using namespace cat_seg_file;
  std::map<std::string, std::string> keys;  // own names to the file's
  TowerTensors weights{source.weights.path, {}, "", {}, {}};
  for (const auto& [key, tensor] : source.weights.unused) {
    if (!is_of_head(key)) continue;
    keys.emplace(own_name(key), key);
    if (!key.ends_with(kMask)) weights.tensors.emplace(own_name(key), tensor);
  }
  if (keys.empty()) {
    out.cat_seg_fault = "it has towers inside a CAT-Seg and no head";
    return;
  }
  auto file = std::make_shared<CatSegFile>();
  const VisionConfig& tower = out.config.vision;
  try {
    CatSegConfig config = CatSegShapes(weights, tower).read();
    usual_values(tower, out.config.family->has_swiglu(out.config), config);
    read_masks(source.weights.unused, tower.patch, config);
    if (source.files.cat_seg) {
      apply_told(*source.files.cat_seg, source.weights.path, tower, config);
    }
    if (const auto& given = source.overrides.decoder_heads) {
      apply_heads(*given, config);
    }
    check_values(weights, tower, config);
    file->config = std::move(config);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kInvalidArg) throw;
    out.cat_seg_fault = error.what();
    out.notes.push_back(
        "no CAT-Seg: its head is not whole, or not the one of 2024");
    return;
  }
  file->check_finite = weights.finite_check();
  file->tensors = std::move(weights.tensors);
  for (const auto& [own, key] : keys) source.weights.unused.erase(key);
  file->make = make_cat_seg;
  out.cat_seg = std::move(file);
}

}  // namespace declip
