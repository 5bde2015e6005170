#include "model_options.h"

#include <ATen/ops/cat.h>

#include "bank_handle.h"
#include "declip/cat_seg.h"
#include "declip/error.h"
#include "declip/resize.h"
#include "declip/talk2dino.h"
#include "model_handle.h"
#include "read_options.h"

namespace declip {
namespace {

std::optional<Activation> find_activation(const Napi::Object& o,
                                          const char* key) {
  if (o.Get(key).IsUndefined()) return {};
  const auto name = get_string(o, key);
  if (name == "gelu") return Activation::kGelu;
  if (name == "gelu_tanh") return Activation::kGeluTanh;
  if (name == "quick_gelu") return Activation::kQuickGelu;
  if (name == "relu") return Activation::kRelu;
  throw wrong(key, "'quick_gelu', 'gelu', 'gelu_tanh' or 'relu'");
}

ScClipOptions to_scclip(const Napi::Object& o) {
  ScClipOptions s;
  s.middle_block = find_integer(o, "middleBlock").value_or(s.middle_block);
  s.early_block = find_integer(o, "earlyBlock").value_or(s.early_block);
  s.first_fused = find_integer(o, "firstFused").value_or(s.first_fused);
  s.last_fused = find_integer(o, "lastFused").value_or(s.last_fused);
  s.class_weight = find_number(o, "classWeight");
  s.threshold = find_number(o, "threshold").value_or(s.threshold);
  s.gain = find_number(o, "gain").value_or(s.gain);
  s.neighbours = find_integer(o, "neighbours").value_or(s.neighbours);
  s.anomalous_share =
      find_number(o, "anomalousShare").value_or(s.anomalous_share);
  return s;
}

CorrClipOptions to_corrclip(const Napi::Object& o) {
  CorrClipOptions c;
  c.merge = find_bool(o, "merge").value_or(c.merge);
  c.merge_distance = find_number(o, "mergeDistance").value_or(c.merge_distance);
  c.gain = find_number(o, "gain").value_or(c.gain);
  c.spatial_weight = find_number(o, "spatialWeight").value_or(c.spatial_weight);
  c.semantic_weight =
      find_number(o, "semanticWeight").value_or(c.semantic_weight);
  c.spatial_blocks = find_integer(o, "spatialBlocks");
  c.smallest_is_unsegmented =
      find_bool(o, "smallestIsUnsegmented").value_or(c.smallest_is_unsegmented);
  return c;
}

std::shared_ptr<const Talk2DinoOptions> to_talk2dino(const Napi::Object& o) {
  auto t = std::make_shared<Talk2DinoOptions>();
  t->clean = get_bool(o, "clean");
  t->clean_weight = find_number(o, "cleanWeight").value_or(t->clean_weight);
  return t;
}

std::shared_ptr<const CatSegOptions> to_cat_seg(const Napi::Object& o) {
  auto c = std::make_shared<CatSegOptions>();
  c->sliding = find_bool(o, "sliding").value_or(c->sliding);
  c->side = find_integer(o, "side");
  c->canvas = find_integer(o, "canvas");
  c->cut = find_integer(o, "cut");
  c->stride = find_integer(o, "stride");
  c->blocks = get_integers(o, "blocks");
  if (const auto mode = find_string(o, "mode")) {
    c->mode = dense_mode_from(*mode);
  }
  c->question.pooling =
      find_integer(o, "pooling").value_or(c->question.pooling);
  c->question.word_limit = find_integer(o, "wordLimit");
  return c;
}

}  // namespace

ConfigOverrides to_overrides(const Napi::Object& config) {
  ConfigOverrides overrides;
  overrides.name = find_string(config, "name");
  overrides.head_width = find_integer(config, "headWidth");
  overrides.text_heads = find_integer(config, "textHeads");
  overrides.decoder_heads = find_integer(config, "decoderHeads");
  overrides.activation = find_activation(config, "activation");
  overrides.text_activation = find_activation(config, "textActivation");
  overrides.layer_norm_eps = find_number(config, "layerNormEps");
  if (!config.Get("mean").IsUndefined()) {
    overrides.pixels =
        PixelStats{get_triple(config, "mean"), get_triple(config, "std")};
  }
  return overrides;
}

std::optional<Positions> find_positions(const Napi::Object& o) {
  const auto name = find_string(o, "positions");
  if (!name) return {};
  if (*name == "scale-factor") return Positions::kScaleFactor;
  if (*name == "size") return Positions::kSize;
  throw wrong("positions", "'scale-factor' or 'size'");
}

DenseOptions to_dense(const Napi::Object& o) {
  DenseOptions dense;
  dense.mode = dense_mode_from(get_string(o, "mode"));
  dense.positions = find_positions(o);
  dense.residual = find_bool(o, "residual");
  dense.feed_forward = find_bool(o, "feedForward");
  dense.layers = get_integers(o, "layers");
  dense.self_attention =
      find_bool(o, "selfAttention").value_or(dense.self_attention);
  dense.gaussian_std =
      find_number(o, "gaussianStd").value_or(dense.gaussian_std);
  dense.neighbours_only =
      find_bool(o, "neighboursOnly").value_or(dense.neighbours_only);
  dense.proxy_features = find_tensor(o, "proxyFeatures");
  const auto model = o.Get("proxyModel");
  if (!model.IsUndefined()) dense.proxy_model = ModelHandle::from(model);
  dense.proxy_beta = find_number(o, "proxyBeta").value_or(dense.proxy_beta);
  dense.proxy_gamma = find_number(o, "proxyGamma").value_or(dense.proxy_gamma);
  if (const auto part = find_string(o, "proxyPart")) {
    if (*part != "patches" && *part != "query-key") {
      throw wrong("proxyPart", "'patches' or 'query-key'");
    }
    dense.proxy_part =
        *part == "patches" ? ProxyPart::kPatches : ProxyPart::kQueryKey;
  }
  if (!o.Get("scclip").IsUndefined()) {
    dense.scclip = to_scclip(get_object(o, "scclip"));
  }
  if (!o.Get("corrclip").IsUndefined()) {
    dense.corrclip = to_corrclip(get_object(o, "corrclip"));
  }
  dense.regions = find_tensor(o, "regions");
  return dense;
}

EncodeOptions to_windows(const Napi::Object& pipeline) {
  EncodeOptions options;
  options.short_side = get_integer(pipeline, "shortSide");
  options.long_side =
      find_integer(pipeline, "longSide").value_or(options.long_side);
  options.enlarge = find_bool(pipeline, "enlarge").value_or(options.enlarge);
  options.window = get_integer(pipeline, "window");
  options.stride = get_integer(pipeline, "stride");
  options.pad_to = get_integer(pipeline, "padTo");
  options.aggregate_gain =
      find_number(pipeline, "aggregateGain").value_or(options.aggregate_gain);
  if (!pipeline.Get("catSeg").IsUndefined()) {
    options.cat_seg = to_cat_seg(get_object(pipeline, "catSeg"));
  }
  return options;
}

EncodeOptions to_encode(const Napi::Object& pipeline) {
  EncodeOptions options = to_windows(pipeline);
  options.dense = to_dense(get_object(pipeline, "dense"));
  options.augment = get_bool(pipeline, "augment");
  options.augment_weight = get_number(pipeline, "augmentWeight");
  options.regions = find_tensor(pipeline, "regions");
  options.proxy_sees_picture = find_bool(pipeline, "proxySeesPicture")
                                   .value_or(options.proxy_sees_picture);
  if (!pipeline.Get("talk2dino").IsUndefined()) {
    options.talk2dino = to_talk2dino(get_object(pipeline, "talk2dino"));
  }
  if (!pipeline.Get("bank").IsUndefined()) {
    options.bank = BankHandle::from(pipeline.Get("bank"));
    options.bank_neighbours = find_integer(pipeline, "bankNeighbours")
                                  .value_or(options.bank_neighbours);
    options.bank_share =
        find_number(pipeline, "bankShare").value_or(options.bank_share);
  }
  return options;
}

at::Tensor to_words(const Napi::Object& o) {
  const auto text = get_tensor(o, "text");
  const auto more = find_tensor(o, "bankText");
  return more.defined() ? at::cat({text.to(at::kFloat), more.to(at::kFloat)}, 1)
                        : text;
}

PostOptions to_post(const Napi::Object& o) {
  PostOptions post;
  post.logit_scale = get_number(o, "logitScale");
  post.independent = find_bool(o, "independent").value_or(post.independent);
  post.pamr_iterations = get_integer(o, "pamrIterations");
  post.pamr_dilations = get_integers(o, "pamrDilations");
  post.prob_threshold = get_number(o, "probThreshold");
  post.area_threshold = get_number(o, "areaThreshold");
  post.closing = get_bool(o, "closing");
  post.vote = find_bool(o, "vote").value_or(post.vote);
  post.word_threshold =
      find_number(o, "wordThreshold").value_or(post.word_threshold);
  post.background = get_integer(o, "background");
  post.logits = get_bool(o, "logits");
  post.probabilities = get_bool(o, "probabilities");
  return post;
}

Picture to_picture(const Napi::Object& o) {
  Picture picture;
  picture.normalised = find_tensor(o, "tensor");
  if (picture.normalised.defined()) return picture;
  picture.pixels = get_pixels(o);
  if (!o.Get("of").IsUndefined()) {
    const auto whole = get_object(o, "of");
    picture.size =
        Size{get_integer(whole, "height"), get_integer(whole, "width")};
    check_size(*picture.size, "The picture");
  }
  return picture;
}

}  // namespace declip
