#include "files/torch_archive.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "files/pickle.h"
#include "files/tensor_bytes.h"
#include "files/text.h"
#include "files/zip_archive.h"

namespace declip {
namespace {

using Kind = PickleValue::Kind;

constexpr int kMaxDepth = 64;
constexpr int64_t kMaxVisits = int64_t{1} << 20;

struct StorageClass {
  std::string_view name;  // torch.<name>Storage
  at::ScalarType dtype;
};
constexpr std::array<StorageClass, 9> kStorageClasses{{
    {"Half", at::kHalf},
    {"Float", at::kFloat},
    {"BFloat16", at::kBFloat16},
    {"Double", at::kDouble},
    {"Long", at::kLong},
    {"Int", at::kInt},
    {"Short", at::kShort},
    {"Char", at::kChar},
    {"Byte", at::kByte},
}};
constexpr std::string_view kBoolStorage = "Bool";

// What training files hold the weights under, the first that is there; averages
// of the weights only where there is nothing else.
constexpr std::array<std::string_view, 20> kWrappers{"model",
                                                     "module",
                                                     "state_dict",
                                                     "model_state_dict",
                                                     "model_state",
                                                     "model_dict",
                                                     "net",
                                                     "network",
                                                     "net_state_dict",
                                                     "weights",
                                                     "params",
                                                     "model_weights",
                                                     "checkpoint",
                                                     "state_dict_ema",
                                                     "model_ema",
                                                     "ema_state_dict",
                                                     "ema_model",
                                                     "model_ema_state_dict",
                                                     "params_ema",
                                                     "ema"};
constexpr int kMaxWrappers = 4;  // one inside the other
constexpr std::array<std::string_view, 8> kSkipped{"optimizer",
                                                   "optimizer_states",
                                                   "scaler",
                                                   "lr_scheduler",
                                                   "scheduler",
                                                   "lr_schedulers",
                                                   "args",
                                                   "meta"};

bool holds_no_weights(std::string_view key) {
  return std::find(kSkipped.begin(), kSkipped.end(), key) != kSkipped.end() ||
         key.starts_with("optim") || key.starts_with("lr_sched");
}

class StateDict {
 public:
  StateDict(const ZipArchive& zip, std::string folder)
      : zip_(zip), folder_(std::move(folder)) {}

  // Collects the tensors under `value`. Shared branches are walked each time
  // they occur, cycles too: depth and visits bound both.
  void collect(const PickleValue& value, const std::string& name, int depth) {
    if (depth > kMaxDepth || ++visits_ > kMaxVisits) {
      zip_.file()->reject(
          "expected a dict of tensors of at most 64 levels and 2^20 entries, "
          "found more at " +
          in_quotes(name) + ".");
    }
    switch (value.kind) {
      case Kind::kTensor:
        if (!name.empty()) tensors_.insert_or_assign(name, tensor(value, name));
        return;
      case Kind::kObject:
        if (!value.items.empty()) collect(*value.items[0], name, depth + 1);
        return;
      case Kind::kDict:
        for (size_t i = 0; i < value.items.size(); i += 2) {
          const PickleValue& key = *value.items[i];
          if (!key.is(Kind::kString) ||
              (depth == 0 && holds_no_weights(key.text))) {
            continue;
          }
          collect(*value.items[i + 1],
                  name.empty() ? key.text : name + "." + key.text,
                  depth + 1);
        }
        return;
      default:
        return;
    }
  }

  std::map<std::string, at::Tensor> take() { return std::move(tensors_); }

  at::Tensor tensor(const PickleValue& value, const std::string& name) const {
    const PickleValue& storage = *value.items[0];
    const at::ScalarType type = dtype(storage.dtype, name);
    const auto element = static_cast<int64_t>(c10::elementSize(type));
    const ZipArchive::Entry entry =
        zip_.locate(folder_ + "data/" + storage.text);
    const auto held = static_cast<int64_t>(entry.size) / element;
    if (storage.integer > held) {
      reject(name,
             "its storage must hold " + std::to_string(storage.integer) +
                 " elements, found " + std::to_string(held));
    }
    check_bounds(value, storage.integer, name);
    return tensor_over_file(
        zip_.file(),
        entry.offset + static_cast<size_t>(value.integer * element),
        value.sizes,
        value.strides,
        type);
  }

 private:
  [[noreturn]] void reject(const std::string& name,
                           const std::string& why) const {
    zip_.file()->reject("tensor " + in_quotes(name) + ": " + why + ".");
  }

  at::ScalarType dtype(const std::string& storage_class,
                       const std::string& name) const {
    if (storage_class == kBoolStorage) return at::kBool;
    for (const StorageClass& known : kStorageClasses) {
      if (known.name == storage_class) return known.dtype;
    }
    reject(name,
           "unknown storage class " +
               in_quotes("torch." + storage_class + "Storage") +
               ", expected HalfStorage, FloatStorage or another that "
               "holds plain numbers");
  }

  // Every element must lie in the storage, and no more elements than it has,
  // so that a stride of 0 cannot make a huge tensor out of a few bytes.
  void check_bounds(const PickleValue& tensor,
                    int64_t storage_numel,
                    const std::string& name) const {
    const auto numel = checked_numel(tensor.sizes);
    bool inside = numel && *numel <= storage_numel &&
                  tensor.integer <= storage_numel - (*numel > 0 ? 1 : 0);
    int64_t last = tensor.integer;  // index of the last element
    for (size_t d = 0; inside && *numel > 0 && d < tensor.sizes.size(); ++d) {
      const int64_t steps = tensor.sizes[d] - 1;
      inside =
          steps == 0 || tensor.strides[d] <= (storage_numel - 1 - last) / steps;
      if (inside) last += steps * (steps > 0 ? tensor.strides[d] : 0);
    }
    if (!inside) {
      reject(name,
             "shape " + c10::str(at::IntArrayRef(tensor.sizes)) +
                 " with strides " + c10::str(at::IntArrayRef(tensor.strides)) +
                 " at offset " + std::to_string(tensor.integer) +
                 " must lie within its storage of " +
                 std::to_string(storage_numel) + " elements");
    }
  }

  const ZipArchive& zip_;
  std::string folder_;
  std::map<std::string, at::Tensor> tensors_;
  int64_t visits_ = 0;
};

std::string_view contents(const ZipArchive& zip, const std::string& name) {
  const ZipArchive::Entry entry = zip.locate(name);
  return zip.file()->view(entry.offset, entry.size);
}

std::optional<int64_t> find_epoch(const PickleValue& root) {
  const PickleValue* epoch = root.find("epoch");
  if (epoch == nullptr || !epoch->is(Kind::kInt)) return std::nullopt;
  return epoch->integer;
}

// mmdetection keeps the names of its classes beside the weights: a list, a
// tuple, or one text where there is a single class.
std::vector<std::string> find_class_names(const PickleValue& root) {
  constexpr size_t kMost = size_t{1} << 16;
  constexpr size_t kLongest = 512;
  const PickleValue* meta = root.find("meta");
  const PickleValue* names = meta == nullptr ? nullptr : meta->find("CLASSES");
  if (names == nullptr) return {};
  if (names->is(Kind::kString) && names->text.size() <= kLongest) {
    return {names->text};
  }
  if (!(names->is(Kind::kTuple) || names->is(Kind::kList)) ||
      names->items.size() > kMost) {
    return {};
  }
  std::vector<std::string> out;
  for (const PickleValue* name : names->items) {
    if (!name->is(Kind::kString) || name->text.size() > kLongest) return {};
    out.push_back(name->text);
  }
  return out;
}

// Tensors directly in a dict.
int64_t tensors_in(const PickleValue& dict) {
  int64_t count = 0;
  for (size_t i = 1; i < dict.items.size(); i += 2) {
    count += dict.items[i]->is(Kind::kTensor) ? 1 : 0;
  }
  return count;
}

// What a training file holds its weights under; null where the dict is the
// weights already. Other weights beside them are named in `note`.
const PickleValue* unwrap(const PickleValue& root, std::string& note) {
  const PickleValue* found = nullptr;
  std::string name;
  for (const std::string_view wrapper : kWrappers) {
    const PickleValue* inner = root.find(wrapper);
    if (inner == nullptr || !inner->is(Kind::kDict) || inner->items.empty()) {
      continue;
    }
    found = inner;
    name = wrapper;
    break;
  }
  if (found == nullptr) return nullptr;
  // As many tensors as the weights, or more: other weights, not moments.
  const int64_t enough = std::max<int64_t>(1, tensors_in(*found) / 2);
  std::string others;
  for (size_t i = 0; i < root.items.size(); i += 2) {
    const PickleValue& key = *root.items[i];
    const PickleValue& value = *root.items[i + 1];
    if (!key.is(Kind::kString) || key.text == name ||
        holds_no_weights(key.text) || !value.is(Kind::kDict) ||
        tensors_in(value) < enough) {
      continue;
    }
    others += (others.empty() ? "" : ", ") + in_quotes(key.text);
  }
  if (!others.empty()) {
    note = "took the weights under " + in_quotes(name) +
           "; the file also holds weights under " + others;
  }
  return found;
}

/// What a file says its tensors are.
Pickle pickle_of(const ZipArchive& zip, const std::string& folder) {
  const auto& file = zip.file();
  if (zip.contains(folder + "byteorder") &&
      contents(zip, folder + "byteorder") != "little") {
    file->reject("byte order must be \"little\", found " +
                 in_quotes(contents(zip, folder + "byteorder")) +
                 "; load the file with PyTorch on a little-endian machine and "
                 "save it again.");
  }
  return parse_pickle(contents(zip, folder + "data.pkl"),
                      file->path() + ": data.pkl");
}

}  // namespace

bool is_zip(const MappedFile& file) {
  return file.size() >= 4 && file.view(0, 4) == "PK\x03\x04";
}

TorchArchive read_torch_archive(const std::shared_ptr<const MappedFile>& file) {
  const ZipArchive zip(file);
  const std::string folder = zip.folder_of("data.pkl");
  const Pickle pickle = pickle_of(zip, folder);
  const PickleValue* root = pickle.root;
  if (!root->is(Kind::kDict) && !root->is(Kind::kObject)) {
    file->reject(
        "expected a dict of tensors (a state dict) or a TorchScript module at "
        "the top of data.pkl.");
  }

  TorchArchive out;
  out.torchscript = zip.contains_folder(folder + "code/");
  out.epoch = find_epoch(*root);
  out.class_names = find_class_names(*root);
  out.trainer = out.epoch || root->find("optimizer") != nullptr;
  for (int level = 0; level < kMaxWrappers; ++level) {
    const PickleValue* inner = unwrap(*root, out.note);
    if (inner == nullptr) break;
    root = inner;
  }
  StateDict state(zip, folder);
  state.collect(*root, "", 0);
  out.tensors = state.take();
  return out;
}

TorchArchive read_torch_archive(const std::string& path) {
  return read_torch_archive(MappedFile::open(path));
}

std::vector<NamedTensor> torch_tensors(
    const std::shared_ptr<const MappedFile>& file) {
  const ZipArchive zip(file);
  const std::string folder = zip.folder_of("data.pkl");
  const Pickle pickle = pickle_of(zip, folder);
  const PickleValue& root = *pickle.root;
  const StateDict state(zip, folder);
  std::vector<NamedTensor> out;
  if (root.is(Kind::kTensor)) out.push_back({"", state.tensor(root, "")});
  if (root.is(Kind::kDict)) {
    for (size_t i = 0; i < root.items.size(); i += 2) {
      const PickleValue& key = *root.items[i];
      const PickleValue& value = *root.items[i + 1];
      if (!key.is(Kind::kString) || !value.is(Kind::kTensor)) continue;
      out.push_back({key.text, state.tensor(value, key.text)});
    }
  }
  return out;
}

}  // namespace declip
