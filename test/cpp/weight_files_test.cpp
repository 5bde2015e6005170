// Which file of a folder is the model.

#include "files/weight_files.h"

#include <filesystem>
#include <string>

#include "checkpoint_files.h"
#include "declip/error.h"
#include "files/json.h"
#include "tap.h"

using declip::ErrorCode;
using declip::Json;
using declip::weights_in_folder;
using files::fixture;

namespace {

bool mentions(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

// ts/hub/select-files.ts is held to the same answers by the same table.
TEST(weight_files_of_popular_repositories) {
  const std::string path = fixture("hub-folders.json");
  const Json table = declip::parse_json(files::read(path), path);
  for (const Json& folder : *table.find("folders")->array()) {
    const files::TempFolder temp;
    for (const auto& [name, size] : *folder.find("files")->object()) {
      temp.write(name, "");
    }
    if (const Json* config = folder.find("config")) {
      const bool transformers = config->find("model_type") != nullptr;
      temp.write("config.json",
                 transformers ? R"({"model_type": "x"})" : R"({"x": 1})");
    }
    const Json& weights = *folder.find("weights");
    if (weights.is_null()) {
      CHECK_THROWS_CODE(weights_in_folder(temp.path()), ErrorCode::kWeights);
      continue;
    }
    const std::string found = weights_in_folder(temp.path());
    if (found != temp.file(*weights.string())) {
      tap::fail(__FILE__,
                __LINE__,
                *folder.find("id")->string() + ": expected " +
                    *weights.string() + ", found " + found);
    }
  }
}

// A detector's heads lie beside the model that they were trained on: what one
// of the files says of itself holds for both, in whatever order they are read.
TEST(weight_files_of_several_that_say_different_things) {
  const files::TempFolder temp;
  const auto one = [](const std::string& metadata, const std::string& name) {
    return files::safetensors(
        R"({"__metadata__":{)" + metadata + R"(},")" + name +
            R"(":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
        std::string(4, '\0'));
  };
  const std::string heads =
      one(R"("declip.detector":"{}","license":"mit")", "neck");
  const std::string model = one(R"("dense_mode":"maskclip")", "visual");
  for (const bool first : {true, false}) {
    const std::string of_heads = first ? "a.safetensors" : "b.safetensors";
    const std::string of_model = first ? "b.safetensors" : "a.safetensors";
    temp.write(of_heads, heads);
    temp.write(of_model, model);
    const declip::WeightFiles read = declip::read_weight_files(
        temp.write("d.safetensors.index.json",
                   R"({"weight_map":{"neck":")" + of_heads + R"(","visual":")" +
                       of_model + R"("}})"));
    CHECK(read.detector == "{}" && read.license == "mit");
    CHECK(read.dense_mode == "maskclip");
    CHECK(read.tensors.size() == 2);
  }
}

TEST(weight_files_messages) {
  const files::TempFolder temp;
  const auto refused = [&] {
    return CHECK_THROWS_CODE(weights_in_folder(temp.path()),
                             ErrorCode::kWeights);
  };
  CHECK(mentions(refused(), "found none."));
  temp.write("model.onnx", "");
  CHECK(mentions(refused(), "none but model.onnx, which is for other"));
  temp.write("b.pt", "");
  temp.write("a.bin", "");
  CHECK(mentions(refused(), "found a.bin, b.pt; give the path of the file."));
  std::filesystem::remove(temp.file("a.bin"));
  std::filesystem::create_directories(temp.file("model.safetensors"));
  CHECK(weights_in_folder(temp.path()) == temp.file("b.pt"));
  CHECK_THROWS_CODE(weights_in_folder(temp.file("absent")), ErrorCode::kIo);
  // Which weights are meant cannot be told without it.
  temp.write("open_clip_config.json", "{}");
  const std::string config = temp.write("config.json", "{");
  CHECK(mentions(refused(), config));
}
