#include "train/state_file.h"

#include <ATen/ATen.h>

#include "declip/error.h"
#include "files/finite.h"
#include "files/safetensors.h"

namespace declip {

StateFile::StateFile(const std::string& path, const std::string& format)
    : path_(path),
      mapped_(MappedFile::open(path)),
      file_(read_safetensors(mapped_)) {
  if (entry("format") != format) {
    reject("\"format\" must be '" + format + "', found '" + entry("format") +
           "'.");
  }
}

void StateFile::reject(const std::string& why) const {
  throw Error(ErrorCode::kWeights, path_ + ": " + why);
}

const std::string& StateFile::entry(const std::string& key) const {
  const auto it = file_.metadata.find(key);
  if (it == file_.metadata.end()) {
    reject("no training state of this package (\"" + key + "\" is missing).");
  }
  return it->second;
}

uint64_t StateFile::number(const std::string& key) const {
  const auto& text = entry(key);
  if (text.empty() || text.size() > 20 ||
      text.find_first_not_of("0123456789") != std::string::npos) {
    reject("\"" + key + "\" must be a whole number, found '" + text + "'.");
  }
  return std::stoull(text);
}

at::Tensor StateFile::find(const std::string& name,
                           const at::Tensor& like) const {
  const auto it = file_.tensors.find(name);
  if (it == file_.tensors.end() || it->second.sizes() != like.sizes() ||
      it->second.scalar_type() != like.scalar_type()) {
    reject("expected '" + name + "' of shape " + c10::str(like.sizes()) +
           " in " +
           (like.scalar_type() == at::kFloat ? "float32" : "whole numbers") +
           "; the state belongs to another model or other options.");
  }
  if (!all_finite(it->second)) {
    reject("'" + name +
           "' holds NaN or infinite numbers: training diverged, or the file "
           "is damaged. Go on from an earlier state.");
  }
  return it->second;
}

}  // namespace declip
