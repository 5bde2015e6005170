#include "checkpoint/refused.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string>

#include "checkpoint/json_fields.h"
#include "checkpoint/key_map.h"
#include "declip/error.h"
#include "files/mapped_file.h"
#include "files/text.h"

namespace declip {
namespace refused {
namespace {

constexpr std::string_view kTakeClip = "take a CLIP, SigLIP, PE-Core or TIPSv2";
constexpr std::string_view kOwnTexts =
    "save its image tower (visual.*) alone and give text features of your own, "
    "or take a model whose texts are read";
constexpr std::string_view kFoundation =
    "of the vision foundation models, DINO, DINOv2, DINOv3 (ViT) and SAM are "
    "run";

// --- by contents ---

constexpr Refusal kAdapter{
    .name = "LoRA and other adapters (PEFT)",
    .told_by = "`*lora_A*`, `*lora_down.weight`, `adapter_model.*`",
    .why =
        "it is an adapter, which changes another model's weights and is "
        "nothing without them",
    .instead =
        "merge it into its base with PEFT's merge_and_unload() and save "
        "that"};
constexpr Refusal kQuantised{
    .name =
        "Quantised weights (bitsandbytes, GPTQ, AWQ, compressed-tensors, "
        "scaled float8)",
    .told_by =
        "`*.qweight`, `*.SCB`, `*.absmax`, `*.weight_packed`, "
        "`*.weight_scale`, weights of 8-bit integers, "
        "`quantization_config` in `config.json`",
    .why =
        "its weights are quantised in a way that this package does not "
        "compute with",
    .instead =
        "take the float16, bfloat16 or float32 file of the model; "
        "dtype 'int8' makes 8 bits of it as it is loaded"};

constexpr std::array<std::string_view, 6> kAdapterKeys{
    "*lora_A*",
    "*lora_down.weight",
    "*lora_magnitude_vector*",
    "*hada_w1_a",
    "*ia3_l*",
    "prompt_embeddings",
};
constexpr std::array<std::string_view, 10> kQuantisedKeys{
    "*.qweight",
    "*.qzeros",
    "*.SCB",
    "*.absmax",
    "*.quant_map",
    "*.quant_state.*",
    "*.weight_packed",
    "*.weight_scale",
    "*.weight_scale_inv",
    "*.scale_weight",
};

// --- by config.json ---

constexpr Refusal kBlip{
    .name = "BLIP, BLIP-2, InstructBLIP",
    .told_by =
        "`model_type` in `config.json`, `qformer.*`, "
        "`text_decoder.bert.*`",
    .why = "it is BLIP, whose text tower attends to the picture",
    .instead = kTakeClip};
constexpr Refusal kGrounding{
    .name = "Grounding DINO",
    .told_by =
        "`model_type` in `config.json`, `*bert.encoder.layer.0.*` "
        "beside `*transformer.encoder.*`",
    .why =
        "it is Grounding DINO, a detector whose texts and pictures are read "
        "together",
    .instead =
        "take a CLIP, SigLIP, PE-Core or TIPSv2, which embed boxes "
        "(encodeBoxes)"};
constexpr Refusal kOwl{
    .name = "OWL-ViT, OWLv2",
    .told_by = "`owlvit.*`, `owlv2.*`",
    .why = "it is OWL-ViT, a detector whose class head is its own",
    .instead = "take the CLIP that it was made from"};
constexpr Refusal kClipSeg{
    .name = "CLIPSeg",
    .told_by = "`model_type` in `config.json`",
    .why = "it is CLIPSeg, a decoder on CLIP",
    .instead =
        "take the CLIP that it stands on (openai/clip-vit-base-patch16)"};
constexpr Refusal kLanguage{
    .name =
        "Language models, with or without pictures (LLaVA, Qwen-VL, "
        "PaliGemma, Florence-2)",
    .told_by =
        "`*lm_head.weight`, `*language_model.*`, `model_type` in "
        "`config.json`",
    .why =
        "it holds a language model, which writes texts and does not embed "
        "them",
    .instead = kTakeClip};
constexpr Refusal kDiffusion{
    .name = "Diffusion models",
    .told_by = "`*diffusion_model.*`, `first_stage_model.*`, `down_blocks.*`",
    .why = "it is a diffusion model, which makes pictures",
    .instead = kTakeClip};
constexpr Refusal kJina{
    .name = "jina-clip",
    .told_by = "`text_model.transformer.*`, `model_type` in `config.json`",
    .why = "it is jina-clip, whose text tower is a BERT of its own",
    .instead = "for texts in many languages take MetaCLIP 2 or SigLIP 2"};
constexpr Refusal kFgClip{
    .name = "FG-CLIP",
    .told_by = "`text_filip_projection.*`, `FGCLIPModel` in `config.json`",
    .why = "it is FG-CLIP, whose text tower has two tables of positions",
    .instead = "take a CLIP, or SigLIP 2"};
constexpr Refusal kBertText{
    .name = "Chinese-CLIP, AltCLIP and others with BERT's text tower",
    .told_by =
        "`text_model.embeddings.word_embeddings.weight`, "
        "`bert.embeddings.*`, `model_type` in `config.json`",
    .why =
        "its text tower is BERT's, which needs a tokenizer that this "
        "package does not have",
    .instead =
        "for other languages than English take SigLIP 2 or MetaCLIP 2; "
        "or save its image tower alone and give text features of your "
        "own"};
constexpr Refusal kHubText{
    .name =
        "open_clip with a text tower of transformers (XLM-RoBERTa, NLLB, "
        "mT5)",
    .told_by =
        "`text.transformer.embeddings.*`, `text.transformer.encoder.*`, "
        "`text.transformer.shared.weight`",
    .why = "its text tower is one of transformers (XLM-RoBERTa, NLLB, mT5)",
    .instead = kOwnTexts};
constexpr Refusal kOtherClip{.name = "ALIGN, FLAVA, GroupViT, X-CLIP",
                             .told_by = "`model_type` in `config.json`",
                             .why = "its towers are not built as CLIP's are",
                             .instead = kTakeClip};

// --- vision ---

constexpr Refusal kRadio{
    .name = "RADIO",
    .told_by = "`radio_model.*`, `*patch_generator.*`",
    .why = "it is RADIO, whose patches and positions are made in its own way",
    .instead = kFoundation};
constexpr Refusal kAim{
    .name = "AIMv2",
    .told_by = "`preprocessor.patchifier.*`, `embeddings.rms_norm.weight`",
    .why = "it is AIMv2, which has RMS norms and no class token",
    .instead = kFoundation};
constexpr Refusal kDinoText{
    .name = "dino.txt",
    .told_by = "`visual_model.head.*`",
    .why = "it is dino.txt, a text tower and a head for DINOv3's features",
    .instead =
        "take TIPSv2 or SigLIP 2, whose patches share a space with "
        "texts, or DINOv3 as ProxyCLIP's second model"};
constexpr Refusal kConvolutions{
    .name = "ConvNeXt (DINOv3's too), Swin and other towers that are no ViT",
    .told_by = "`stages.0.*`, `downsample_layers.*`, `layers.0.blocks.0.*`",
    .why = "it is no plain ViT: it has stages of different sizes",
    .instead = kFoundation};
constexpr Refusal kMobileClip{
    .name = "MobileCLIP, as its authors keep it",
    .told_by = "`image_encoder.model.*`",
    .why = "it is MobileCLIP, whose image tower begins with convolutions",
    .instead =
        "a small ViT is OpenAI's ViT-B-32 or PE-Core-T16; MobileCLIP2-L "
        "in open_clip's layout is run"};
constexpr Refusal kCoca{
    .name = "CoCa",
    .told_by = "`visual.attn_pool.query`",
    .why =
        "it is CoCa, whose image tower ends in a pooling head of many "
        "queries and whose texts have a class token",
    .instead = "take LAION's CLIP of the same size"};
constexpr Refusal kConvolutionalClip{
    .name =
        "CLIP with a ConvNeXt, MobileCLIP S0 to S4 (FastViT) and other "
        "towers with stages",
    .told_by = "`visual.trunk.stages.*`, `visual.trunk.stem.*`",
    .why = "its vision tower is no ViT: it has stages of different sizes",
    .instead =
        "take a ViT of the same data: LAION's, DataComp's or DFN's "
        "ViT-B-16 or ViT-L-14, MobileCLIP2-L-14"};
constexpr Refusal kHybridClip{
    .name = "MobileCLIP-B, ViTamin",
    .told_by = "`visual.trunk.patch_embed.backbone.*`",
    .why =
        "its vision tower begins with convolutions, not with the patches of "
        "a ViT",
    .instead =
        "take a ViT of the same data: LAION's, DataComp's or DFN's "
        "ViT-B-16 or ViT-L-14, MobileCLIP2-L-14"};
constexpr Refusal kTextOnly{
    .name = "A text tower alone",
    .told_by = "`text_model.*` or `token_embedding.weight`, and no image tower",
    .why = "it holds a text tower and no vision tower",
    .instead = "load the whole model, which gives text features too"};
constexpr Refusal kHeadsAlone{
    .name = "A detector's heads alone, detectors on other backbones",
    .told_by =
        "`roi_head.*` or `rpn_head.*`, and no tower in `backbone.visual.*`",
    .why =
        "it holds a detector's heads (roi_head.*, rpn_head.*) without the ViT "
        "that they stand on",
    .instead =
        "save the whole F-ViT detector, with its tower in backbone.visual.*; "
        "detectors on other backbones are not run"};
constexpr Refusal kOtherTimm{
    .name = "Other towers of timm's",
    .told_by = "`visual.trunk.*`",
    .why =
        "its vision tower is one of timm's (visual.trunk.*) that is no plain "
        "ViT, and dense features need one",
    .instead = kTakeClip};
constexpr Refusal kOtherVit{
    .name = "Other vision transformers",
    .told_by = "`blocks.0.attn.qkv.weight` and the like",
    .why =
        "it is a vision transformer whose names fit none of the layouts of "
        "DINO, DINOv2, DINOv3 or SAM",
    .instead =
        "a training checkpoint holds several models: save one of them "
        "alone"};
constexpr Refusal kOtherSam{
    .name = "SAM 2, SAM 3, MobileSAM and other kin of SAM",
    .told_by =
        "`image_encoder.*` or `vision_encoder.*` that is no ViT, "
        "`sam_mask_decoder.*`, `model_type` in `config.json`",
    .why =
        "it is a SAM with another image encoder than the ViT (SAM 2, "
        "MobileSAM)",
    .instead = "take SAM itself: ViT-B, -L or -H"};

constexpr Refusal kSamHq{
    .name = "SAM-HQ",
    .told_by = "`mask_decoder.hf_token.weight`, `mask_decoder.hq_token.weight`",
    .why =
        "it is SAM-HQ, whose mask decoder has a token and convolutions that "
        "SAM's has not",
    .instead =
        "take SAM itself: ViT-B, -L or -H; SAM-HQ's image encoder is SAM's"};

// Some hold what a family would take for its own.
constexpr std::array kBefore{
    Signature{.key = "mask_decoder.hf_token.weight", .refusal = &kSamHq},
    Signature{.key = "mask_decoder.hq_token.weight", .refusal = &kSamHq},
    Signature{.key = "sam_mask_decoder.*", .refusal = &kOtherSam},
    Signature{.key = "image_encoder.layers.#.*", .refusal = &kOtherSam},
    Signature{.key = "*diffusion_model.*", .refusal = &kDiffusion},
    Signature{.key = "first_stage_model.*", .refusal = &kDiffusion},
    Signature{.key = "down_blocks.#.*", .refusal = &kDiffusion},
    Signature{.key = "double_blocks.#.*", .refusal = &kDiffusion},
    Signature{.key = "*qformer.*", .refusal = &kBlip},
    Signature{.key = "*Qformer.*", .refusal = &kBlip},
    Signature{.key = "text_decoder.bert.*", .refusal = &kBlip},
    Signature{.key = "*lm_head.weight", .refusal = &kLanguage},
    Signature{.key = "*language_model.*", .refusal = &kLanguage},
    Signature{.key = "layers.#.mlp.gate_proj.weight",
              .refusal = &kLanguage,
              .also = "embed_tokens.weight"},
    Signature{.key = "owlvit.*", .refusal = &kOwl},
    Signature{.key = "owlv2.*", .refusal = &kOwl},
    Signature{.key = "*bert.encoder.layer.#.*",
              .refusal = &kGrounding,
              .also = "*transformer.encoder.*"},
    Signature{.key = "text_filip_projection.*", .refusal = &kFgClip},
    Signature{.key = "text_model.transformer.*", .refusal = &kJina},
    Signature{.key = "text_model.embeddings.word_embeddings.weight",
              .refusal = &kBertText},
    Signature{.key = "text_model.roberta.*", .refusal = &kBertText},
    Signature{
        .key = "bert.embeddings.*", .refusal = &kBertText, .also = "visual.*"},
    Signature{.key = "text.transformer.embeddings.*", .refusal = &kHubText},
    Signature{.key = "text.transformer.encoder.*", .refusal = &kHubText},
    Signature{.key = "text.transformer.shared.weight", .refusal = &kHubText},
    Signature{.key = "text.transformer.embed_tokens.weight",
              .refusal = &kHubText},
    Signature{.key = "radio_model.*", .refusal = &kRadio},
    Signature{.key = "*patch_generator.*", .refusal = &kRadio},
    Signature{.key = "preprocessor.patchifier.*", .refusal = &kAim},
    Signature{.key = "embeddings.rms_norm.weight", .refusal = &kAim},
    Signature{.key = "visual_model.head.*", .refusal = &kDinoText},
    Signature{.key = "image_encoder.model.*", .refusal = &kMobileClip},
    Signature{.key = "visual.trunk.stages.#.*", .refusal = &kConvolutionalClip},
    Signature{.key = "visual.trunk.stem.*", .refusal = &kConvolutionalClip},
    Signature{.key = "visual.trunk.patch_embed.backbone.*",
              .refusal = &kHybridClip},
    Signature{.key = "visual.attn_pool.query", .refusal = &kCoca},
    Signature{.key = "text.cls_emb", .refusal = &kCoca},
};

constexpr std::array kAfter{
    Signature{.key = "roi_head.*", .refusal = &kHeadsAlone},
    Signature{.key = "rpn_head.*", .refusal = &kHeadsAlone},
    Signature{.key = "visual.trunk.*", .refusal = &kOtherTimm},
    Signature{.key = "token_embedding.weight", .refusal = &kTextOnly},
    Signature{.key = "text.token_embedding.weight", .refusal = &kTextOnly},
    Signature{.key = "text_model.*", .refusal = &kTextOnly},
    Signature{.key = "text_encoder.*", .refusal = &kTextOnly},
    Signature{.key = "embeddings.token_embedding.weight",
              .refusal = &kTextOnly},
    Signature{.key = "stages.#.*", .refusal = &kConvolutions},
    Signature{.key = "downsample_layers.#.*", .refusal = &kConvolutions},
    Signature{.key = "layers.#.blocks.#.*", .refusal = &kConvolutions},
    Signature{.key = "*layer.#.attention.q_proj.weight", .refusal = &kOtherVit},
    Signature{.key = "*blocks.#.attn.qkv.weight", .refusal = &kOtherVit},
    Signature{.key = "*layers.#.attn.qkv.weight", .refusal = &kOtherVit},
    Signature{.key = "*layers.#.attention.q_proj.weight",
              .refusal = &kOtherVit},
    Signature{.key = "*layer.#.attention.attention.query.weight",
              .refusal = &kOtherVit},
    Signature{.key = "image_encoder.*", .refusal = &kOtherSam},
    Signature{.key = "vision_encoder.*", .refusal = &kOtherSam},
};

/// `model_type` in config.json, or its first architecture.
struct Type {
  std::string_view name;
  const Refusal* refusal;
};
constexpr std::array kTypes{
    Type{"blip", &kBlip},
    Type{"blip-2", &kBlip},
    Type{"instructblip", &kBlip},
    Type{"instructblipvideo", &kBlip},
    Type{"grounding-dino", &kGrounding},
    Type{"mm-grounding-dino", &kGrounding},
    Type{"owlvit", &kOwl},
    Type{"owlv2", &kOwl},
    Type{"clipseg", &kClipSeg},
    Type{"florence2", &kLanguage},
    Type{"llava", &kLanguage},
    Type{"llava_next", &kLanguage},
    Type{"llava_onevision", &kLanguage},
    Type{"paligemma", &kLanguage},
    Type{"idefics2", &kLanguage},
    Type{"idefics3", &kLanguage},
    Type{"smolvlm", &kLanguage},
    Type{"qwen2_vl", &kLanguage},
    Type{"qwen2_5_vl", &kLanguage},
    Type{"qwen3_vl", &kLanguage},
    Type{"gemma3", &kLanguage},
    Type{"mllama", &kLanguage},
    Type{"jina_clip", &kJina},
    Type{"FGCLIPModel", &kFgClip},
    Type{"fgclip2", &kFgClip},
    Type{"FG-CLIP2", &kFgClip},
    Type{"chinese_clip", &kBertText},
    Type{"altclip", &kBertText},
    Type{"align", &kOtherClip},
    Type{"flava", &kOtherClip},
    Type{"groupvit", &kOtherClip},
    Type{"xclip", &kOtherClip},
    Type{"sam2", &kOtherSam},
    Type{"sam2_video", &kOtherSam},
    Type{"sam3", &kOtherSam},
    Type{"sam3_video", &kOtherSam},
    Type{"sam_hq", &kSamHq},
    Type{"edgetam", &kOtherSam},
    Type{"aimv2", &kAim},
    Type{"aimv2_vision_model", &kAim},
    Type{"RADIOModel", &kRadio},
    Type{"dinov3_convnext", &kConvolutions},
    Type{"convnext", &kConvolutions},
    Type{"convnextv2", &kConvolutions},
    Type{"resnet", &kConvolutions},
    Type{"swin", &kConvolutions},
    Type{"swinv2", &kConvolutions},
};

// --- looking ---

template <size_t N>
const std::string* find_key(const WeightFiles& files,
                            const std::array<std::string_view, N>& patterns) {
  for (const auto& [name, tensor] : files.tensors) {
    for (const std::string_view pattern : patterns) {
      if (match_key(pattern, name)) return &name;
    }
  }
  return nullptr;
}

/// A weight of a linear layer in integers.
const std::string* find_integers(const WeightFiles& files) {
  for (const auto& [name, tensor] : files.tensors) {
    const auto type = tensor.scalar_type();
    if ((type == at::kChar || type == at::kByte) && tensor.dim() == 2 &&
        name.ends_with("weight")) {
      return &name;
    }
  }
  return nullptr;
}

/// A JSON file of a folder, nothing where it is no JSON: its reader says so.
std::optional<JsonFile> peek(const std::string& folder, const char* name) {
  try {
    auto file = read_json_if_there(folder, name);
    if (file && file->json.object() == nullptr) return std::nullopt;
    return file;
  } catch (const Error&) {
    return std::nullopt;
  }
}

const std::string* text_at(const std::optional<JsonFile>& file,
                           std::initializer_list<const char*> path) {
  const Json* at = file ? &file->json : nullptr;
  for (const char* name : path) {
    at = at == nullptr ? nullptr : at->find(name);
  }
  return at == nullptr ? nullptr : at->string();
}

/// What the files beside the weights call the model.
std::string called_in(const std::string& folder) {
  const auto open_clip = peek(folder, "open_clip_config.json");
  if (const std::string* timm =
          text_at(open_clip, {"model_cfg", "vision_cfg", "timm_model_name"})) {
    return *timm + ", says open_clip_config.json";
  }
  const auto config = peek(folder, "config.json");
  for (const char* field : {"model_type", "architecture"}) {
    if (const std::string* name = text_at(config, {field})) {
      return *name + ", says config.json";
    }
  }
  return "";
}

[[noreturn]] void reject_as(const Refusal& refusal,
                            const std::string& path,
                            const std::string& seen) {
  throw Error(ErrorCode::kWeights,
              path + ": not a checkpoint this package runs: " +
                  sentence(refusal, seen) + ".");
}

void reject_adapters(const WeightFiles& files) {
  const auto name = utf8_path(files.path).filename().u8string();
  const std::string* key = find_key(files, kAdapterKeys);
  if (key == nullptr && !name.starts_with(u8"adapter_model.")) return;
  const auto config = peek(files.folder, "adapter_config.json");
  const std::string* base = text_at(config, {"base_model_name_or_path"});
  reject_as(kAdapter,
            files.path,
            base != nullptr  ? "of " + in_quotes(*base)
            : key != nullptr ? "it has " + in_quotes(*key)
                             : "");
}

void reject_quantised(const WeightFiles& files,
                      const std::optional<JsonFile>& config) {
  const std::string* key = find_key(files, kQuantisedKeys);
  if (key == nullptr) key = find_integers(files);
  if (key != nullptr) {
    reject_as(kQuantised, files.path, "it has " + in_quotes(*key));
  }
  const Json* told =
      config ? config->json.find("quantization_config") : nullptr;
  if (told == nullptr || told->object() == nullptr) return;
  reject_as(kQuantised,
            files.path,
            "config.json: \"quantization_config\" is " + json_text(*told));
}

}  // namespace
}  // namespace refused

std::span<const Signature> refused_before_families() {
  return refused::kBefore;
}
std::span<const Signature> refused_after_families() { return refused::kAfter; }

void reject(const Refusal& refusal, const std::string& path) {
  const auto folder = utf8_path(path).parent_path().u8string();
  refused::reject_as(
      refusal, path, refused::called_in({folder.begin(), folder.end()}));
}

void reject_by_contents(const WeightFiles& files) {
  refused::reject_adapters(files);
  const auto config = refused::peek(files.folder, "config.json");
  refused::reject_quantised(files, config);
  const Json* list = config ? config->json.find("architectures") : nullptr;
  const bool has_first =
      list != nullptr && list->array() != nullptr && !list->array()->empty();
  const std::string* first =
      has_first ? list->array()->front().string() : nullptr;
  const std::string* type = refused::text_at(config, {"model_type"});
  for (const refused::Type& known : refused::kTypes) {
    for (const std::string* name : {type, first}) {
      if (name == nullptr || *name != known.name) continue;
      refused::reject_as(
          *known.refusal, files.path, *name + ", says config.json");
    }
  }
}

std::vector<const Refusal*> refused_by_contents() {
  std::vector<const Refusal*> out{&refused::kAdapter, &refused::kQuantised};
  for (const refused::Type& known : refused::kTypes) {
    if (std::find(out.begin(), out.end(), known.refusal) == out.end()) {
      out.push_back(known.refusal);
    }
  }
  return out;
}

}  // namespace declip
