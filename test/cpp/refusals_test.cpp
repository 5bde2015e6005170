// Every kind of file that is refused by name: a small one is made, and is
// refused with that name's reason and way out.

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "checkpoint/family.h"
#include "checkpoint/refused.h"
#include "checkpoint_files.h"
#include "declip/checkpoint.h"
#include "declip/model.h"
#include "declip/safetensors.h"
#include "refusals_table.h"
#include "tap.h"

using declip::ErrorCode;
using declip::load_checkpoint;
using declip::Refusal;
using declip::Signature;

namespace {

std::string refused_with(const std::string& path) {
  return CHECK_THROWS_CODE(load_checkpoint(path), ErrorCode::kWeights);
}

/// A name that a pattern matches.
std::string name_of(std::string_view pattern) {
  std::string out;
  for (const char c : pattern) {
    out += c == '#' ? std::string("0") : std::string(1, c);
  }
  const size_t star = out.find('*');
  if (star == 0) out.replace(0, 1, "any.");
  const size_t other = out.rfind('*');
  if (other != std::string::npos) out.replace(other, 1, "x.weight");
  return out;
}

/// Whether `why` is what a file of that kind is told.
bool says(const std::string& why, const Refusal& refusal) {
  return files::contains(why, std::string(refusal.why)) &&
         files::contains(why, "; " + std::string(refusal.instead) + ".");
}

const Refusal* named(const std::vector<const Refusal*>& all,
                     const std::string& name) {
  for (const Refusal* refusal : all) {
    if (refusal->name.starts_with(name)) return refusal;
  }
  tap::fail(__FILE__, __LINE__, "nothing is refused as " + name);
  return nullptr;
}

/// A file of a format, and the beginning of its refusal's name.
struct Sample {
  std::string kind, file, bytes;
};

std::string bytes_of(std::initializer_list<int> values) {
  std::string out;
  for (const int value : values) out += static_cast<char>(value);
  return out;
}

std::vector<Sample> foreign_samples() {
  const std::string rest(300, '\1');
  return {
      {"Git LFS", "a.pt", "version https://git-lfs.github.com/spec/v1\n"},
      {"Web page", "a.safetensors", "<!doctype html><html>"},
      {"XML", "a.pt", "<?xml version=\"1.0\"?><Error>AccessDenied"},
      {"A server's", "a.pt", "{\"error\": \"Repository not found\"}"},
      {"Index of", "a.json", "{\"weight_map\": {}}"},
      {"Other JSON", "a.pt", "{\"a\": 1}"},
      {"Other text", "a.pt", "Entry not found"},
      {"A file of blanks", "a.pt", " \n"},
      {"GGUF", "a.gguf", "GGUF" + rest},
      {"GGML", "a.bin", "ggml" + rest},
      {"ONNX", "a.onnx", bytes_of({8, 7, 18, 7}) + "pytorch" + rest},
      {"Core ML", "a.mlmodel", bytes_of({8, 4, 18, 7}) + rest},
      {"HDF5", "a.h5", "\x89HDF\r\n" + rest},
      {"Keras", "a.keras", files::zip({{"model.weights.h5", "x"}})},
      {"TensorFlow graph", "a.pb", bytes_of({8, 1, 18, 7}) + rest},
      {"TensorFlow Lite", "a.tflite", bytes_of({28, 0, 0, 0}) + "TFL3" + rest},
      {"Flax", "a.msgpack", bytes_of({0x82, 0xa6}) + rest},
      {"NumPy archive", "a.npz", files::zip({{"w.npy", "x"}})},
      {"NumPy array", "a.npy", "\x93NUMPY" + rest},
      {"`torch.save` of before",
       "a.pt",
       "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."},
      {"A bare pickle", "a.pkl", bytes_of({0x80, 4, 0x95}) + rest},
      {"PyTorch mobile", "a.ptl", bytes_of({28, 0, 0, 0}) + "PTMF" + rest},
      {"ExecuTorch", "a.pte", bytes_of({28, 0, 0, 0}) + "ET12" + rest},
      {"A zip around", "a.zip", files::zip({{"clip/model.pt", "x"}})},
      {"An empty zip", "a.pt", "PK\x05\x06" + rest},
      {"gzip", "a.gz", bytes_of({0x1f, 0x8b}) + rest},
      {"bzip2", "a.bz2", "BZh9" + rest},
      {"xz", "a.xz", bytes_of({0xfd, '7', 'z', 'X', 'Z', 0}) + rest},
      {"Zstandard", "a.zst", bytes_of({0x28, 0xb5, 0x2f, 0xfd}) + rest},
      {"LZ4", "a.lz4", bytes_of({0x04, 0x22, 0x4d, 0x18}) + rest},
      {"7z, RAR", "a.rar", "Rar!" + rest},
      {"tar", "a.tar", std::string(257, '\0') + "ustar" + rest},
      {"Picture", "a.pt", "\x89PNG" + rest},
      {"PDF", "a.pt", "%PDF-1.7" + rest},
      {"Office", "a.docx", files::zip({{"[Content_Types].xml", "x"}})},
      {"Program", "a.so", bytes_of({0x7f, 'E', 'L', 'F'}) + rest},
      {"SQLite", "a.db", "SQLite format 3" + rest},
  };
}

/// A folder whose config.json names a model, and the refusal's name.
const std::vector<std::array<std::string, 2>> kTold{
    {"BLIP", R"({"model_type": "blip-2"})"},
    {"Grounding DINO", R"({"model_type": "grounding-dino"})"},
    {"OWL-ViT", R"({"model_type": "owlv2"})"},
    {"CLIPSeg", R"({"model_type": "clipseg"})"},
    {"Language models", R"({"model_type": "florence2"})"},
    {"jina-clip", R"({"model_type": "jina_clip"})"},
    {"FG-CLIP", R"({"model_type": "clip", "architectures": ["FGCLIPModel"]})"},
    {"Chinese-CLIP", R"({"model_type": "chinese_clip"})"},
    {"ALIGN", R"({"model_type": "align"})"},
    {"SAM 2", R"({"model_type": "sam3"})"},
    {"SAM-HQ", R"({"model_type": "sam_hq"})"},
    {"AIMv2", R"({"model_type": "aimv2"})"},
    {"RADIO", R"({"architectures": ["RADIOModel"]})"},
    {"ConvNeXt", R"({"model_type": "dinov3_convnext"})"},
    {"Quantised",
     R"({"model_type": "clip",
         "quantization_config": {"quant_method": "bitsandbytes"}})"},
};

}  // namespace

TEST(refusals_of_tensors_are_told_by_them) {
  const files::TempFolder temp;
  const std::string path = temp.file("model.safetensors");
  const auto told = [&](const Signature& signature) {
    if (signature.refusal == nullptr) return;
    const tap::Case here{std::string(signature.key)};
    const auto prefix =
        signature.prefixes.empty() ? "" : signature.prefixes.back();
    std::map<std::string, at::Tensor> tensors;
    for (const auto key : {signature.key, signature.also}) {
      if (key.empty()) continue;
      tensors[std::string(prefix) + name_of(key)] = at::ones({2, 2});
    }
    declip::write_safetensors(path, tensors);
    CHECK(says(refused_with(path), *signature.refusal));
  };
  for (const auto& signature : declip::refused_before_families()) {
    told(signature);
  }
  for (const auto* family : declip::all_families()) {
    for (const auto& signature : family->signatures) told(signature);
  }
  for (const auto& signature : declip::refused_after_families()) {
    told(signature);
  }
}

TEST(refusals_of_formats_are_told_by_their_bytes) {
  const files::TempFolder temp;
  const auto formats = declip::all_refusals().formats;
  std::set<const Refusal*> seen;
  for (const auto& [kind, file, bytes] : foreign_samples()) {
    const tap::Case here(kind);
    const Refusal* refusal = named(formats, kind);
    if (refusal == nullptr) continue;
    const auto why = refused_with(temp.write(file, bytes));
    CHECK(says(why, *refusal));
    CHECK(files::contains(why, "expected safetensors or a torch.save file"));
    seen.insert(refusal);
  }
  CHECK(seen.size() == formats.size());
}

TEST(refusals_of_folders_are_told_by_their_configuration) {
  const files::TempFolder temp;
  const auto models = declip::all_refusals().models;
  std::set<const Refusal*> seen;
  for (const auto& [kind, config] : kTold) {
    const tap::Case here(kind);
    temp.write("told/config.json", config);
    declip::write_safetensors(
        temp.file("told/model.safetensors"),
        {{"vision_model.embeddings.class_embedding", at::ones({4})}});
    const Refusal* refusal = named(models, kind);
    if (refusal == nullptr) continue;
    const auto why = refused_with(temp.file("told"));
    CHECK(says(why, *refusal) && files::contains(why, "config.json"));
    seen.insert(refusal);
  }
  seen.insert(named(models, "LoRA"));
  for (const Refusal* refusal : declip::refused_by_contents()) {
    const tap::Case here{std::string(refusal->name)};
    CHECK(seen.contains(refusal));
  }
}

TEST(refusals_of_adapters_name_their_base) {
  const files::TempFolder temp;
  const std::string path = temp.file("a/adapter_model.safetensors");
  temp.write("a/adapter_config.json",
             R"({"base_model_name_or_path": "openai/clip-vit-base-patch16"})");
  for (const char* name :
       {"base_model.model.vision_model.encoder.layers.0.self_attn.q_proj."
        "lora_A.weight",
        "base_model.model.text_projection.modules_to_save.weight",
        "lora_unet_down_blocks_0.lora_down.weight"}) {
    declip::write_safetensors(path, {{name, at::ones({2, 2})}});
    const auto why = refused_with(temp.file("a"));
    CHECK(files::contains(why, "it is an adapter"));
    CHECK(files::contains(why, "\"openai/clip-vit-base-patch16\""));
    CHECK(files::contains(why, "merge_and_unload()"));
  }
  std::filesystem::remove(temp.file("a/adapter_config.json"));
  declip::write_safetensors(temp.file("b.safetensors"),
                            {{"x.lora_A.default.weight", at::ones({2, 2})}});
  CHECK(files::contains(refused_with(temp.file("b.safetensors")),
                        "\"x.lora_A.default.weight\""));
}

TEST(refusals_of_quantised_weights_name_the_tensor) {
  const files::TempFolder temp;
  const std::string path = temp.file("model.safetensors");
  const std::string layer = "vision_model.encoder.layers.0.self_attn.q_proj.";
  for (const char* name : {"qweight",
                           "qzeros",
                           "SCB",
                           "weight.absmax",
                           "weight.quant_map",
                           "weight.quant_state.bitsandbytes__nf4",
                           "weight_packed",
                           "weight_scale",
                           "weight_scale_inv",
                           "scale_weight"}) {
    declip::write_safetensors(
        path, {{layer + name, at::ones({2})}, {layer + "bias", at::ones({2})}});
    const auto why = refused_with(path);
    CHECK(files::contains(why, "quantised"));
    CHECK(files::contains(why, "it has \"" + layer + name + "\""));
    CHECK(files::contains(why, "take the float16"));
  }
  for (const auto type : {at::kChar, at::kByte}) {
    declip::write_safetensors(path,
                              {{layer + "weight", at::ones({2, 2}).to(type)}});
    CHECK(
        files::contains(refused_with(path), "it has \"" + layer + "weight\""));
  }
}

TEST(refusals_say_what_a_configuration_calls_the_tower) {
  const files::TempFolder temp;
  temp.write("c/open_clip_config.json",
             R"({"model_cfg": {"embed_dim": 4, "vision_cfg":
                 {"timm_model_name": "convnext_large_d_320"}}})");
  declip::write_safetensors(
      temp.file("c/open_clip_model.safetensors"),
      {{"visual.trunk.stages.0.blocks.0.conv_dw.weight", at::ones({4})}});
  CHECK(files::contains(refused_with(temp.file("c")), "convnext_large_d_320"));
}

TEST(refusals_are_complete_and_each_is_said_once) {
  const auto all = declip::all_refusals();
  std::set<std::string_view> names;
  for (const auto& list : {all.models, all.formats}) {
    for (const Refusal* refusal : list) {
      const tap::Case here{std::string(refusal->name)};
      CHECK(names.insert(refusal->name).second);
      for (const auto text :
           {refusal->name, refusal->told_by, refusal->why, refusal->instead}) {
        CHECK(!text.empty() && text.back() != '.');
        CHECK(text.find('|') == std::string_view::npos);
      }
    }
  }
}

TEST(refusals_are_in_the_guide) {
  const auto guide =
      files::read(files::fixture("../../docs/guides/checkpoints.md"));
  if (files::contains(guide, refusals_table())) return;
  tap::fail(__FILE__,
            __LINE__,
            "docs/guides/checkpoints.md is not what the code refuses; run "
            "node scripts/make/refusals.mjs");
}

TEST(refusals_leave_plain_float8_which_is_read_with_a_note) {
  const files::TempFolder temp;
  const auto source = files::fixture("clip-formats/open_clip.safetensors");
  auto tensors = declip::read_safetensors(source).tensors;
  const auto exact = declip::Model::load(source, {}, {});
  for (auto& [name, tensor] : tensors) {
    if (tensor.dim() == 2) tensor = tensor.to(at::kFloat8_e4m3fn);
  }
  const auto path = temp.file("float8.safetensors");
  declip::write_safetensors(path, tensors);
  const auto model = declip::Model::load(path, {}, {});
  const auto& notes = model->info().notes;
  CHECK(std::any_of(notes.begin(), notes.end(), [](const auto& note) {
    return files::contains(note, "float8");
  }));
  const int64_t side = model->info().config.vision.image_size;
  const auto image =
      at::linspace(-1, 1, 3 * side * side).view({1, 3, side, side});
  const auto cosine = at::cosine_similarity(model->encode_image(image, {}, {}),
                                            exact->encode_image(image, {}, {}),
                                            1,
                                            1e-12);
  CHECK(cosine.min().item<double>() > 0.9);
}

TEST(refusals_of_a_checkpoint_in_files_name_the_one_that_is_missing) {
  const files::TempFolder temp;
  temp.write("s/pytorch_model.bin.index.json",
             R"({"weight_map": {"a": "pytorch_model-00002-of-00002.bin"}})");
  const auto why =
      CHECK_THROWS_CODE(load_checkpoint(temp.file("s")), ErrorCode::kIo);
  CHECK(files::contains(why, "\"pytorch_model-00002-of-00002.bin\" among 1"));
}
