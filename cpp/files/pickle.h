#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

namespace declip {

/// A value of an unpickled tree. Nothing is imported, constructed or called:
/// globals stay names, and the few constructors that state dicts need become
/// the kinds below.
struct PickleValue {
  enum class Kind {
    kNone,
    kBool,     // integer 0 or 1
    kInt,      // integer
    kFloat,    // number
    kString,   // text, UTF-8
    kTuple,    // items
    kList,     // items
    kDict,     // items: key, value, key, value...
    kGlobal,   // text: "module name"
    kStorage,  // text: file under data/; dtype: "Half", "Float"...
    kTensor,   // items[0]: storage; offset, sizes, strides in elements
    kObject,   // TorchScript module; items[0]: its attributes, once built
    kOpaque,   // something harmless that holds no weights
  };

  Kind kind = Kind::kNone;
  int64_t integer = 0;  // also a storage's element count, a tensor's offset
  double number = 0;
  std::string text;
  std::string dtype;
  std::vector<const PickleValue*> items;
  std::vector<int64_t> sizes;
  std::vector<int64_t> strides;

  bool is(Kind k) const { return kind == k; }
  /// Value under a string key of a dict, the last one set; null if absent.
  const PickleValue* find(std::string_view key) const;
};

/// Owns every value of one pickle; values may refer to each other in cycles.
struct Pickle {
  std::deque<PickleValue> values;
  const PickleValue* root = nullptr;
};

/// Reads a pickle of protocol 2, as torch.save and TorchScript write it, with a
/// fixed set of opcodes and of globals. Sizes, depth and counts are bounded, so
/// a small file cannot become a large tree.
/// Throws Error(kWeights) that begins with `where` and names the opcode or
/// global it does not accept, with its byte offset.
Pickle parse_pickle(std::string_view bytes, const std::string& where);

}  // namespace declip
