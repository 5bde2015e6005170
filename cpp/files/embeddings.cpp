#include "declip/embeddings.h"

#include <ATen/ATen.h>
#include <c10/util/StringUtil.h>

#include <memory>
#include <utility>

#include "declip/error.h"
#include "declip/safetensors.h"
#include "files/mapped_file.h"
#include "files/text.h"
#include "files/torch_archive.h"

namespace declip {
namespace {

std::vector<NamedTensor> tensors_of_safetensors(const std::string& path) {
  auto file = read_safetensors(path);
  if (file.metadata.contains("vocabulary")) {
    throw Error(ErrorCode::kWeights,
                path +
                    ": it was written by vocabulary.save(); read it with "
                    "Vocabulary.load().");
  }
  std::vector<NamedTensor> out;
  for (auto& [name, tensor] : file.tensors) {
    out.push_back({name, std::move(tensor)});
  }
  return out;
}

/// A vector, or a matrix of one row.
bool is_embedding(const at::Tensor& tensor) {
  return tensor.dim() == 1 || (tensor.dim() == 2 && tensor.size(0) == 1);
}

}  // namespace

Embeddings read_embeddings(const std::string& path) {
  const auto file = MappedFile::open(path);
  const auto entries =
      is_zip(*file) ? torch_tensors(file) : tensors_of_safetensors(path);
  if (entries.empty()) {
    file->reject("expected text embeddings, found no tensor.");
  }
  const auto& first = entries[0].tensor;
  for (const auto& [name, tensor] : entries) {
    const bool fits =
        at::isFloatingType(tensor.scalar_type()) &&
        (entries.size() == 1
             ? tensor.dim() == 2 || is_embedding(tensor)
             : is_embedding(tensor) && tensor.numel() == first.numel());
    if (fits) continue;
    file->reject(c10::str("tensor ",
                          in_quotes(name),
                          ": expected a vector of ",
                          first.numel(),
                          " floats as the first name has, or one matrix "
                          "[classes, features] alone, found ",
                          at::toString(tensor.scalar_type()),
                          " ",
                          tensor.sizes(),
                          "."));
  }
  Embeddings out;
  if (entries.size() == 1 && first.dim() == 2) {
    out.features = first.to(at::kFloat).contiguous().clone();
    return out;
  }
  std::vector<at::Tensor> rows;
  for (const auto& [name, tensor] : entries) {
    out.names.push_back(name);
    rows.push_back(tensor.flatten().to(at::kFloat));
  }
  out.features = at::stack(rows);
  return out;
}

}  // namespace declip
