#include "train/cat_seg_export.h"

#include <sstream>

#include "files/json.h"
#include "train/export.h"

namespace declip {
namespace {

std::string cat_seg_text(const CatSegConfig& config) {
  std::ostringstream out;
  out << "{\"side\": " << config.side << ", \"canvas\": " << config.canvas
      << ", \"cut\": " << config.cut << ", \"stride\": " << config.stride
      << ", \"heads\": " << config.heads << ", \"window\": " << config.window
      << ", \"wordLimit\": " << config.word_limit << ", \"blocks\": [";
  const char* comma = "";
  for (const int64_t block : config.blocks) {
    out << comma << block;
    comma = ", ";
  }
  out << "], \"mode\": " << json_string(dense_mode_name(config.mode))
      << ", \"unitPatches\": " << (config.unit_patches ? "true" : "false")
      << ", \"prompt\": " << json_string(config.prompt) << ", \"names\": [";
  comma = "";
  for (const auto& name : config.names) {
    out << comma << json_string(name);
    comma = ", ";
  }
  out << "]}";
  return out.str();
}

}  // namespace

void export_cat_seg(const std::string& path,
                    const Checkpoint& student,
                    const std::map<std::string, at::Tensor>& tensors,
                    const CatSegConfig& config) {
  write_model(path,
              student.config,
              tensors,
              {{"format", "pt"}, {"declip.catSeg", cat_seg_text(config)}},
              student.tokenizer,
              student.tensors.contains("text.text_projection"));
}

}  // namespace declip
