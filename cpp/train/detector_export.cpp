#include "train/detector_export.h"

#include <functional>
#include <optional>
#include <sstream>
#include <vector>

#include "files/json.h"
#include "train/export.h"

namespace declip {
namespace {

template <class T>
std::string json_list(const std::vector<T>& items,
                      const std::function<std::string(const T&)>& text) {
  std::string out = "[";
  for (const auto& item : items) {
    if (out.size() > 1) out += ", ";
    out += text(item);
  }
  return out + "]";
}

std::string detector_text(const DetectorTrainOptions& options) {
  const auto names = [](const std::vector<std::string>& list) {
    return json_list<std::string>(
        list, [](const std::string& name) { return json_string(name); });
  };
  std::ostringstream out;
  out.precision(17);
  out << "{\"side\": " << options.side << ", \"blocks\": "
      << json_list<int64_t>(options.blocks,
                            [](int64_t i) { return std::to_string(i); })
      << ", \"mode\": " << json_string(dense_mode_name(options.mode))
      << ", \"classes\": " << names(options.classes)
      << ", \"novel\": " << names(options.novel);
  const auto number = [&](const char* name, std::optional<double> value) {
    if (value) out << ", \"" << name << "\": " << *value;
  };
  number("alpha", options.alpha);
  number("beta", options.beta);
  number("voteTemperature", options.vote_temperature);
  out << "}";
  return out.str();
}

}  // namespace

void export_detector(const std::string& path,
                     const Checkpoint& student,
                     const std::map<std::string, at::Tensor>& heads,
                     const DetectorTrainOptions& options) {
  auto tensors = heads;
  for (const auto& [name, tensor] : student.tensors) {
    tensors.emplace((name.starts_with("visual.") ? "backbone." : "") + name,
                    tensor);
  }
  std::map<std::string, std::string> metadata{
      {"format", "pt"}, {"declip.detector", detector_text(options)}};
  if (student.dense_mode) metadata.emplace("dense_mode", *student.dense_mode);
  write_model(path,
              student.config,
              tensors,
              metadata,
              student.tokenizer,
              student.tensors.contains("text.text_projection"));
}

}  // namespace declip
