// Configuration files beside the weights: each field that changes what a model
// computes is read or refused by its name.

#include <ATen/ATen.h>

#include <array>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "checkpoint_files.h"
#include "declip/checkpoint.h"
#include "declip/model.h"
#include "declip/safetensors.h"
#include "declip/train.h"
#include "small_models.h"
#include "tap.h"

using declip::Checkpoint;
using declip::ErrorCode;
using declip::load_checkpoint;
using declip::write_safetensors;
using files::fixture;
using Resize = declip::Preprocess::Resize;

namespace {

using Tensors = std::map<std::string, at::Tensor>;

bool mentions(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

Tensors weights_of(const std::string& name) {
  return declip::read_safetensors(fixture(name)).tensors;
}

/// Fails unless loading `path` is refused with all of `parts`.
void refused(const std::string& path, const std::vector<std::string>& parts) {
  const auto message =
      CHECK_THROWS_CODE(load_checkpoint(path), ErrorCode::kWeights);
  for (const auto& part : parts) {
    if (!mentions(message, part)) {
      tap::fail(__FILE__, __LINE__, "no " + part + " in: " + message);
    }
  }
}

}  // namespace

TEST(configuration_of_open_clip_refuses_other_arithmetic) {
  const files::TempFolder temp;
  const std::string path = temp.file("model.safetensors");
  write_safetensors(path, weights_of("clip-formats/open_clip.safetensors"));
  const auto with = [&](const std::string& part, const std::string& field) {
    temp.write("open_clip_config.json",
               R"({"model_cfg": {")" + part + R"(": {)" + field + "}}}");
  };
  const std::vector<std::pair<std::string, std::string>> vision{
      {"pool_type", "\"none\""},
      {"attentional_pool", "true"},
      {"attentional_pool", "\"parallel\""},
      {"block_type", "\"parallel\""},
      {"qk_norm", "true"},
      {"scaled_cosine_attn", "true"},
      {"scale_heads", "true"},
      {"scale_attn_inner", "true"},
      {"scale_attn", "true"},
      {"scale_fc", "true"},
      {"timm_model_name", "\"vit_base_patch16_siglip_224\""},
      {"global_average_pool", "true"},
      {"input_patchnorm", "true"},
      {"image_size", "[64,128]"},
      {"a_field_of_tomorrow", "1"}};
  for (const auto& [field, value] : vision) {
    with("vision_cfg", '"' + field + "\": " + value);
    refused(path,
            {temp.file("open_clip_config.json"),
             "\"vision_cfg\"",
             '"' + field + "\" is " + value});
  }
  const std::vector<std::pair<std::string, std::string>> text{
      {"pool_type", "\"none\""},
      {"embed_cls", "true"},
      {"proj_type", "\"mlp\""},
      {"hf_model_name", "\"roberta-base\""},
      {"tokenizer_mode", "\"clips\""},
      {"qk_norm", "true"},
      {"a_field_of_tomorrow", "\"x\""}};
  for (const auto& [field, value] : text) {
    with("text_cfg", '"' + field + "\": " + value);
    refused(path, {"\"text_cfg\"", '"' + field + "\" is " + value});
  }
  with("text_cfg", R"("tokenizer_kwargs": {"reduction_mask": "syntax"})");
  refused(path, {"\"tokenizer_kwargs\"", "\"reduction_mask\" is \"syntax\""});
  with("vision_cfg", R"("norm_kwargs": {"elementwise_affine": false})");
  refused(path, {"\"norm_kwargs\"", "\"elementwise_affine\" is false"});
  with("text_cfg", R"("pool_type": "eos", "eos_id": -1)");
  refused(path, {"\"eos_id\" must be"});
  with("text_cfg", R"("act_kwargs": {"approximate": "erf"})");
  refused(path, {"\"act_kwargs\"", "\"approximate\" is \"erf\""});
  with("text_cfg", R"("act_kwargs": {"inplace": true})");
  refused(path, {"\"act_kwargs\"", "\"inplace\" is true"});
  with("text_cfg",
       R"("hf_tokenizer_name": "google/mt5-base",
          "tokenizer_kwargs": {"clean": "upper"})");
  refused(path, {"\"tokenizer_kwargs\"", "\"clean\" is \"upper\""});
  with("text_cfg", R"("heads": 7)");
  refused(path, {"\"text_cfg\"", "\"heads\" is 7", "64"});
  with("multimodal_cfg", R"("layers": 12)");
  refused(path, {"\"multimodal_cfg\" is {\"layers\":12}", "CoCa"});
  // What the tensors do not bear out.
  with("vision_cfg", R"("no_ln_pre": true)");
  refused(path, {"visual.ln_pre", "belongs to no tower"});
  with("text_cfg", R"("proj_type": "none")");
  refused(path, {"text_projection"});
  temp.write("open_clip_config.json", R"({"model_cfg": {
      "quick_gelu": true,
      "vision_cfg": {"act_kwargs": {"approximate": "tanh"}}}})");
  refused(path, {"\"act_kwargs\" is", "\"quick_gelu\" is true"});
  temp.write("open_clip_config.json", R"({"model_cfg": {"clip_v3": true}})");
  refused(path, {"\"clip_v3\" is true", "does not know"});
  temp.write("open_clip_config.json",
             R"({"vision_cfg": {}, "text_cfg": {"embed_cls": true}})");
  refused(path, {"\"embed_cls\" is true"});
}

TEST(configuration_of_open_clip_must_be_that_of_the_weights) {
  const files::TempFolder temp;
  const std::string path = temp.file("model.safetensors");
  write_safetensors(path, weights_of("clip-formats/open_clip.safetensors"));
  const std::vector<std::array<std::string, 3>> sizes{
      {"vision_cfg", "width", "96"},
      {"vision_cfg", "layers", "3"},
      {"vision_cfg", "patch_size", "[14, 14]"},
      {"vision_cfg", "mlp_ratio", "3, \"width\": 128"},
      {"text_cfg", "width", "32"},
      {"text_cfg", "layers", "12"},
      {"text_cfg", "context_length", "32"},
      {"text_cfg", "vocab_size", "49408"}};
  for (const auto& [tower, field, value] : sizes) {
    temp.write("open_clip_config.json",
               R"({"model_cfg": {")" + tower + R"(": {")" + field +
                   "\": " + value + "}}}");
    refused(path, {'"' + tower + '"', '"' + field + '"', "other weights"});
  }
  temp.write("open_clip_config.json", R"({"model_cfg": {"embed_dim": 33}})");
  refused(path, {"\"embed_dim\" makes 33", "have 32"});
}

TEST(configuration_of_open_clip_is_run) {
  const files::TempFolder temp;
  const std::string path = temp.file("model.safetensors");
  auto weights = weights_of("clip-formats/open_clip.safetensors");
  weights.insert_or_assign("logit_bias", at::full({1}, -10, at::kFloat));
  write_safetensors(path, weights);
  const auto with = [&](const std::string& vision, const std::string& text) {
    temp.write("open_clip_config.json",
               R"({"model_cfg": {"init_logit_bias": -10, "vision_cfg": {)" +
                   vision + R"(}, "text_cfg": {)" + text + "}}}");
    return load_checkpoint(path);
  };
  using Activation = declip::Activation;
  using TextPool = declip::TextPool;
  using TokenizerKind = declip::TokenizerKind;
  auto c = with(R"("act_kwargs": {"approximate": "tanh"}, "pool_type": "avg",
                   "block_type": "custom")",
                R"("no_causal_mask": true, "pool_type": "last")");
  CHECK(c.config.vision.activation == Activation::kGeluTanh);
  CHECK(c.config.vision.mean_of_patches && !c.config.vision.norm_after_mean);
  CHECK(c.config.text->activation == Activation::kGelu);
  CHECK(c.config.text->pool == TextPool::kLast && !c.config.text->causal);
  CHECK(c.tokenizer == TokenizerKind::kOpenClip);
  CHECK_CLOSE(*declip::describe(c).logit_bias, -10, 0);
  c = with(R"("pool_type": "avg", "final_ln_after_pool": true)",
           R"("act_kwargs": {"approximate": "tanh"}, "pool_type": "first")");
  CHECK(c.config.vision.activation == Activation::kGelu);
  CHECK(c.config.vision.mean_of_patches && c.config.vision.norm_after_mean);
  CHECK(c.config.text->activation == Activation::kGeluTanh);
  CHECK(c.config.text->pool == TextPool::kFirst && c.config.text->causal);
  c = with("",
           R"("pool_type": "eos", "hf_tokenizer_name": "facebook/xlm-v-base")");
  CHECK(c.config.text->pool == TextPool::kEnd);
  CHECK(c.config.text->eot_token == 2);
  CHECK(c.tokenizer == TokenizerKind::kXlmV);
  c = with("", R"("pool_type": "eos", "eos_id": 1,
                  "hf_tokenizer_name": "google/mt5-base",
                  "tokenizer_kwargs": {"clean": "canonicalize"})");
  CHECK(c.config.text->eot_token == 1);
  CHECK(c.tokenizer == TokenizerKind::kOpenClipFolder);

  // Projections of other kinds.
  const auto projection = weights.extract("text_projection").mapped();
  auto linear = weights;
  linear.insert_or_assign("text_projection.weight",
                          projection.t().contiguous());
  linear.insert_or_assign("text_projection.bias", at::ones({32}, at::kFloat));
  write_safetensors(path, linear);
  c = with("", R"("proj_bias": true)");
  CHECK(c.tensors.at("text.text_projection").equal(projection));
  CHECK(c.tensors.contains("text.text_projection_bias"));
  declip::TrainOptions options;
  const auto message = CHECK_THROWS_CODE(
      declip::Trainer(c, {}, options, nullptr, {}), ErrorCode::kInvalidArg);
  CHECK(mentions(message, "projection has a bias"));
  // Without one, both towers' widths are what they are.
  write_safetensors(path, weights);
  temp.write("open_clip_config.json",
             R"({"model_cfg": {"text_cfg": {"proj_type": "none"}}})");
  refused(path, {"32 dimensions, found 64"});
}

TEST(configuration_of_a_tower_without_a_first_norm_is_needed) {
  const files::TempFolder temp;
  const std::string path = temp.file("model.safetensors");
  auto weights = weights_of("clip-formats/open_clip.safetensors");
  weights.erase("visual.ln_pre.weight");
  weights.erase("visual.ln_pre.bias");
  write_safetensors(path, weights);
  refused(path, {"visual.ln_pre.weight", "CLIPA"});
  temp.write("open_clip_config.json",
             R"({"model_cfg": {"vision_cfg": {"no_ln_pre": true}}})");
  CHECK(!load_checkpoint(path).config.vision.norm_before_blocks);
}

TEST(long_and_captioning_clips_are_refused_by_name) {
  const files::TempFolder temp;
  const std::string path = temp.file("model.safetensors");
  const auto with = [&](const std::string& name) {
    auto weights = weights_of("clip-formats/open_clip.safetensors");
    weights.insert_or_assign(name, at::zeros({2, 2}, at::kFloat));
    write_safetensors(path, weights);
  };
  with("positional_embedding_res");
  refused(path, {"Long-CLIP", "two tables of positions"});
  with("text.positional_embedding_res");
  refused(path, {"Long-CLIP"});
  with("visual.attn_pool.query");
  refused(path, {"CoCa"});
  with("text.cls_emb");
  refused(path, {"CoCa"});
}

TEST(configuration_of_open_clip_that_changes_nothing_is_taken) {
  const files::TempFolder temp;
  const std::string path = temp.file("model.safetensors");
  write_safetensors(path, weights_of("clip-formats/open_clip.safetensors"));
  temp.write("open_clip_config.json", R"({"model_cfg": {
      "embed_dim": 32, "quick_gelu": true, "init_logit_bias": null,
      "vision_cfg": {"image_size": [64, 64], "layers": 2, "width": 128,
        "head_width": 64, "patch_size": 16, "mlp_ratio": 4.0,
        "patch_dropout": 0.5, "pool_type": "tok", "output_tokens": true,
        "final_ln_after_pool": true, "act_kwargs": {}, "no_ln_pre": false,
        "norm_kwargs": {"eps": 0.001}, "timm_model_name": null,
        "attn_pooler_heads": 8, "unknown_but_off": false},
      "text_cfg": {"context_length": 77, "vocab_size": 600, "width": 64,
        "heads": 1, "layers": 2, "pool_type": "eos", "eos_id": 49407,
        "hf_tokenizer_name": "openai/clip-vit-base-patch32",
        "tokenizer_kwargs": {"clean": "lower"}, "norm_kwargs": {"eps": 0.01}}},
    "preprocess_cfg": {"size": 64, "mode": "RGB", "interpolation": "random",
      "resize_mode": "longest", "fill_color": [10, 20, 30]}})");
  const Checkpoint c = load_checkpoint(path);
  CHECK_CLOSE(c.config.vision.layer_norm_eps, 1e-3, 0);
  CHECK_CLOSE(c.config.text->layer_norm_eps, 1e-2, 0);
  CHECK(c.config.text->eot_token == 49407);
  const auto& p = c.config.preprocess;
  CHECK(p.resize == Resize::kLongest && p.bicubic && p.crop);
  CHECK(p.side == 64 && p.crop_side == 64 && p.crop_rounds);
  CHECK(p.fill[0] == 10 && p.fill[2] == 30);

  for (const std::string field : {R"("interpolation": "nearest")",
                                  R"("resize_mode": "crop")",
                                  R"("fill_color": 300)",
                                  R"("mode": "L")"}) {
    temp.write("open_clip_config.json",
               R"({"preprocess_cfg": {)" + field + "}}");
    refused(path, {"\"preprocess_cfg\"", field.substr(0, field.find(':'))});
  }
}

TEST(configuration_of_transformers_refuses_other_models) {
  const files::TempFolder temp;
  temp.write("model.safetensors",
             files::read(fixture("clip-formats/hf/model.safetensors")));
  const auto json = files::read(fixture("clip-formats/hf/config.json"));
  const auto with = [&](const std::string& before, const std::string& field) {
    auto text = json;
    text.insert(text.find(before) + before.size(), field);
    temp.write("config.json", text);
    return temp.path();
  };
  const auto of_type = [&](const std::string& type, const std::string& end) {
    auto text = json;
    text.replace(text.find("\"clip\""), 6, '"' + type + '"');
    const std::string field = "\"eos_token_id\": ";
    const size_t at = text.find(field) + field.size();
    text.replace(at, text.find_first_of(",}\n", at) - at, end);
    temp.write("config.json", text);
    return temp.path();
  };
  refused(of_type("align", "2"), {"align", "config.json"});
  // MetaCLIP 2 means the token 2, CLIP the largest.
  CHECK(load_checkpoint(of_type("clip", "2")).config.text->eot_token == -1);
  const auto metaclip = load_checkpoint(of_type("metaclip_2", "2"));
  CHECK(metaclip.config.text->eot_token == 2);
  CHECK(metaclip.tokenizer == declip::TokenizerKind::kXlmV);
  refused(with("\"text_config\": {", "\"model_type\": \"bert\","),
          {"\"text_config\"", "\"model_type\" is \"bert\""});
  refused(with("\"vision_config\": {", "\"num_channels\": 4,"),
          {"\"vision_config\"", "\"num_channels\" is 4"});

  // What transformers' CLIP ignores is ignored, and said.
  const Checkpoint c = load_checkpoint(
      with("\"text_config\": {",
           R"("rope_theta": 100, "_commit_hash": "x", "top_k": 50,)"));
  CHECK(c.notes.size() == 1 && mentions(c.notes[0], "\"rope_theta\""));
  CHECK(!mentions(c.notes[0], "_commit_hash"));
}

TEST(configuration_of_image_processors) {
  const files::TempFolder temp;
  temp.write("model.safetensors",
             files::read(fixture("clip-formats/hf/model.safetensors")));
  temp.write("config.json",
             files::read(fixture("clip-formats/hf/config.json")));
  const auto with = [&](const std::string& json) {
    temp.write("preprocessor_config.json", json);
    return temp.path();
  };
  const auto read = [&](const std::string& json) {
    return load_checkpoint(with(json)).config;
  };
  auto c = read(R"({"size": 72, "crop_size": 64, "resample": 3})");
  CHECK(c.preprocess.resize == Resize::kShortest && c.preprocess.side == 72);
  CHECK(c.preprocess.crop_side == 64 && !c.preprocess.crop_rounds);
  c = read(R"({"image_processor_type": "ViTImageProcessor", "size": 48})");
  CHECK(c.preprocess.resize == Resize::kSquash && c.preprocess.side == 48);
  CHECK(!c.preprocess.crop && !c.preprocess.bicubic);
  c = read(R"({"do_normalize": false})");
  CHECK_CLOSE(c.pixels.mean[0], 0, 0);
  CHECK_CLOSE(c.pixels.std[0], 1, 0);
  c = read(R"({"do_rescale": false, "image_mean": 127.5, "image_std": 51})");
  CHECK_CLOSE(c.pixels.mean[1], 0.5, 1e-12);
  CHECK_CLOSE(c.pixels.std[1], 0.2, 1e-12);

  const std::vector<std::pair<std::string, std::string>> mistakes{
      {R"({"resample": 1})", "\"resample\" is 1"},
      {R"({"image_processor_type": "ConvNextImageProcessor"})",
       "\"image_processor_type\" is \"ConvNextImageProcessor\""},
      {R"({"feature_extractor_type": "DonutFeatureExtractor"})", "Donut"},
      {R"({"size": {"longest_edge": 64}})", "\"size\" is"},
      {R"({"size": {"height": 64, "width": 32}})", "\"size\" is"},
      {R"({"size": {"shortest_edge": 64, "longest_edge": 96}})", "\"size\" is"},
      {R"({"crop_size": {"height": 64, "width": 32}})", "\"crop_size\" is"},
      {R"({"do_center_crop": false})", "\"do_center_crop\" is false"},
      {R"({"do_resize": false, "do_center_crop": false})", "do_center_crop"},
      {R"({"do_pad": true})", "\"do_pad\" is true"},
      {R"({"rescale_factor": 0})", "\"rescale_factor\""},
      {R"({"image_std": [1, 0, 1]})", "\"image_std\""},
      {R"({"do_normalize": "yes"})", "\"do_normalize\""}};
  for (const auto& [json, part] : mistakes) {
    refused(with(json), {"preprocessor_config.json", part});
  }
}

TEST(configuration_and_names_of_text_towers_alone) {
  const files::TempFolder temp;
  const std::string path = temp.file("model.safetensors");
  const auto all = weights_of("clip-formats/hf/model.safetensors");
  Tensors text, bare;
  for (const auto& [name, tensor] : all) {
    if (!name.starts_with("text_")) continue;
    text.emplace(name, tensor);
    if (name.starts_with("text_model.")) bare.emplace(name.substr(11), tensor);
  }
  for (const auto& tensors : {text, bare}) {
    write_safetensors(path, tensors);
    refused(path, {"it holds a text tower and no vision tower"});
  }
  auto bert = all;
  bert["text_model.embeddings.word_embeddings.weight"] = at::zeros({2});
  write_safetensors(path, bert);
  refused(path, {"BERT"});
}

TEST(configuration_two_tables_of_positions_or_another_vocabulary) {
  const files::TempFolder temp;
  const std::string path = temp.file("model.safetensors");
  auto tensors = weights_of("clip-formats/open_clip.safetensors");
  tensors["positional_embedding_res"] = at::zeros({77, 64}, at::kHalf);
  write_safetensors(path, tensors);
  refused(path, {"Long-CLIP"});
  tensors.erase("positional_embedding_res");
  auto& table = tensors.at("token_embedding.weight");
  table = at::zeros({60000, table.size(1)}, at::kHalf);
  write_safetensors(path, tensors);
  refused(path, {"\"token_embedding.weight\" has 60000 rows", "49408"});
}

TEST(configuration_is_exported_as_it_was_read) {
  const files::TempFolder temp;
  for (const auto* family : small::kFamilies) {
    auto config = small::config(family);
    config.vision.layer_norm_eps = 3e-4;
    config.text->layer_norm_eps = 2e-3;
    config.preprocess.bicubic = false;
    config.preprocess.resize = Resize::kLongest;
    config.preprocess.fill = {1, 2, 3};
    declip::write_initial_checkpoint(temp.path(), config, 1);
    const auto read = load_checkpoint(temp.path()).config;
    CHECK_CLOSE(read.vision.layer_norm_eps, 3e-4, 0);
    CHECK_CLOSE(read.text->layer_norm_eps, 2e-3, 0);
    CHECK(!read.preprocess.bicubic);
    CHECK(read.preprocess.resize == Resize::kLongest);
    CHECK(read.preprocess.fill == config.preprocess.fill);
    config.preprocess.resize = Resize::kSquash;
    declip::write_initial_checkpoint(temp.path(), config, 1);
    const auto squashed = load_checkpoint(temp.path()).config.preprocess;
    CHECK(squashed.resize == Resize::kSquash && !squashed.crop);
  }
}
