#include "files/pickle.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <unordered_map>
#include <utility>

#include "declip/error.h"
#include "files/text.h"

namespace declip {

const PickleValue* PickleValue::find(std::string_view key) const {
  if (kind != Kind::kDict) return nullptr;
  for (size_t i = items.size(); i >= 2; i -= 2) {
    const PickleValue* name = items[i - 2];
    if (name->is(Kind::kString) && name->text == key) return items[i - 1];
  }
  return nullptr;
}

namespace {

using Kind = PickleValue::Kind;

constexpr size_t kMaxBytes = size_t{16} << 20;
constexpr size_t kMaxValues = size_t{1} << 20;
constexpr size_t kMaxMarks = 256;
constexpr size_t kMaxDims = 64;

// Opcodes: CPython Lib/pickletools.py.
enum Opcode : uint8_t {
  kMark = '(',
  kStop = '.',
  kPop = '0',
  kPopMark = '1',
  kDup = '2',
  kBinFloat = 'G',
  kBinInt = 'J',
  kBinInt1 = 'K',
  kBinInt2 = 'M',
  kNone = 'N',
  kBinPersId = 'Q',
  kReduce = 'R',
  kBinString = 'T',
  kShortBinString = 'U',
  kBinUnicode = 'X',
  kEmptyList = ']',
  kAppend = 'a',
  kBuild = 'b',
  kGlobal = 'c',
  kAppends = 'e',
  kBinGet = 'h',
  kLongBinGet = 'j',
  kBinPut = 'q',
  kLongBinPut = 'r',
  kSetItem = 's',
  kTuple = 't',
  kSetItems = 'u',
  kEmptyDict = '}',
  kEmptyTuple = ')',
  kProto = 0x80,
  kNewObj = 0x81,
  kTuple1 = 0x85,
  kTuple2 = 0x86,
  kTuple3 = 0x87,
  kNewTrue = 0x88,
  kNewFalse = 0x89,
  kLong1 = 0x8a,
};

// What calling a global yields.
enum class Callable { kDict, kTensor, kParameter, kFirst, kList, kOpaque };

struct KnownGlobal {
  std::string_view name;
  Callable callable;
};

// The globals that files of weights name. The opaque ones occur beside the
// weights (training arguments, metrics); their arguments are read and dropped.
constexpr std::array<KnownGlobal, 24> kKnownGlobals{{
    {"collections OrderedDict", Callable::kDict},
    {"torch._utils _rebuild_tensor_v2", Callable::kTensor},
    {"torch._utils _rebuild_parameter", Callable::kParameter},
    {"torch.jit._pickle build_intlist", Callable::kList},
    {"torch.jit._pickle build_doublelist", Callable::kList},
    {"torch.jit._pickle build_boollist", Callable::kList},
    {"torch.jit._pickle build_tensorlist", Callable::kList},
    {"torch.jit._pickle restore_type_tag", Callable::kFirst},
    {"torch Size", Callable::kOpaque},
    {"torch device", Callable::kOpaque},
    {"torch float16", Callable::kOpaque},
    {"torch float32", Callable::kOpaque},
    {"torch bfloat16", Callable::kOpaque},
    {"argparse Namespace", Callable::kOpaque},
    {"collections Counter", Callable::kOpaque},
    {"collections defaultdict", Callable::kOpaque},
    {"__builtin__ set", Callable::kOpaque},
    {"builtins set", Callable::kOpaque},
    {"_codecs encode", Callable::kOpaque},
    {"numpy dtype", Callable::kOpaque},
    {"numpy.core.multiarray scalar", Callable::kOpaque},
    {"numpy._core.multiarray scalar", Callable::kOpaque},
    {"torch.optim.optimizer _RequiredParameter", Callable::kOpaque},
    {"pathlib PosixPath", Callable::kOpaque},
}};

constexpr std::string_view kStorageSuffix = "Storage";
constexpr std::string_view kTorch = "torch ";

bool is_storage_class(std::string_view name) {
  return name.starts_with(kTorch) && name.ends_with(kStorageSuffix) &&
         name.size() > kTorch.size() + kStorageSuffix.size();
}

bool is_script_class(std::string_view name) {
  return name.starts_with("__torch__.") || name.starts_with("__torch__ ");
}

const KnownGlobal* known_global(std::string_view name) {
  const auto* it = std::find_if(
      kKnownGlobals.begin(),
      kKnownGlobals.end(),
      [&](const KnownGlobal& known) { return known.name == name; });
  return it == kKnownGlobals.end() ? nullptr : it;
}

class Unpickler {
 public:
  Unpickler(std::string_view bytes, const std::string& where)
      : bytes_(bytes), where_(where) {}

  Pickle run() {
    if (bytes_.size() > kMaxBytes) {
      fail("a pickle of at most 16 MiB, found " +
           std::to_string(bytes_.size()) + " bytes");
    }
    while (!step()) {
    }
    pickle_.root = pop();
    return std::move(pickle_);
  }

 private:
  [[noreturn]] void fail(const std::string& expected) const {
    throw Error(ErrorCode::kWeights,
                where_ + ": damaged or unsupported pickle at byte " +
                    std::to_string(opcode_at_) + ", expected " + expected +
                    ".");
  }

  // Input.
  std::string_view take(size_t length) {
    if (length > bytes_.size() - at_) fail("more bytes than the file holds");
    const std::string_view out = bytes_.substr(at_, length);
    at_ += length;
    return out;
  }
  uint64_t take_unsigned(unsigned length) {
    const std::string_view bytes = take(length);
    uint64_t value = 0;
    for (unsigned i = length; i-- > 0;) {
      value = value << 8 | static_cast<uint8_t>(bytes[i]);
    }
    return value;
  }
  std::string take_line() {
    const size_t end = bytes_.find('\n', at_);
    if (end == std::string_view::npos) fail("the end of a line");
    std::string line(take(end - at_));
    ++at_;
    return line;
  }

  // The stack. A null entry is a mark.
  PickleValue* make(Kind kind) {
    if (pickle_.values.size() >= kMaxValues) fail("at most 2^20 values");
    PickleValue& value = pickle_.values.emplace_back();
    value.kind = kind;
    return &value;
  }
  void push(PickleValue* value) { stack_.push_back(value); }
  PickleValue* top() const {
    if (stack_.empty() || stack_.back() == nullptr) fail("a value to act on");
    return stack_.back();
  }
  PickleValue* pop() {
    PickleValue* value = top();
    stack_.pop_back();
    return value;
  }
  std::vector<const PickleValue*> pop_to_mark() {
    if (marks_.empty()) fail("a mark");
    const size_t mark = marks_.back();
    std::vector<const PickleValue*> items(
        stack_.begin() + static_cast<std::ptrdiff_t>(mark) + 1, stack_.end());
    stack_.resize(mark);
    marks_.pop_back();
    return items;
  }

  void push_int(int64_t integer) {
    PickleValue* value = make(Kind::kInt);
    value->integer = integer;
    push(value);
  }
  void push_text(std::string_view text) {
    if (!is_utf8(text)) fail("text in UTF-8");
    PickleValue* value = make(Kind::kString);
    value->text = text;
    push(value);
  }
  void push_tuple(std::vector<const PickleValue*> items) {
    PickleValue* value = make(Kind::kTuple);
    value->items = std::move(items);
    push(value);
  }
  void push_short_tuple(size_t length) {
    std::vector<const PickleValue*> items(length);
    while (length-- > 0) items[length] = pop();
    push_tuple(std::move(items));
  }

  void memoize(uint64_t index) { memo_[index] = top(); }
  void recall(uint64_t index) {
    const auto it = memo_.find(index);
    if (it == memo_.end()) {
      fail("memo entry " + std::to_string(index) + " to be set");
    }
    push(it->second);
  }

  void load_long() {
    const std::string_view bytes = take(take_unsigned(1));
    if (bytes.size() > 8) fail("an integer of at most 64 bits");
    uint64_t value = 0;
    for (size_t i = bytes.size(); i-- > 0;) {
      value = value << 8 | static_cast<uint8_t>(bytes[i]);
    }
    // Two's complement of as many bytes as there are: extend the sign.
    const bool negative = !bytes.empty() && (bytes.back() & 0x80) != 0;
    if (negative && bytes.size() < 8) value |= ~uint64_t{0} << 8 * bytes.size();
    push_int(static_cast<int64_t>(value));
  }

  void load_global() {
    const std::string module = take_line();
    const std::string name = module + " " + take_line();
    if (known_global(name) == nullptr && !is_storage_class(name) &&
        !is_script_class(name)) {
      fail("only tensors and plain containers, found the Python object " +
           in_quotes(name) +
           " (nothing was run); load the file with PyTorch and save the "
           "model's state_dict()");
    }
    PickleValue* value = make(Kind::kGlobal);
    value->text = name;
    push(value);
  }

  // ('storage', class, file name, device, element count[, None])
  void load_storage() {
    const PickleValue* id = pop();
    const auto& part = id->items;
    if (!id->is(Kind::kTuple) || part.size() < 5 || part.size() > 6 ||
        !part[0]->is(Kind::kString) || part[0]->text != "storage" ||
        !part[1]->is(Kind::kGlobal) || !is_storage_class(part[1]->text) ||
        !part[2]->is(Kind::kString) || !part[4]->is(Kind::kInt) ||
        part[4]->integer < 0) {
      fail("a storage (class, name, device, element count)");
    }
    PickleValue* value = make(Kind::kStorage);
    value->text = part[2]->text;
    value->dtype = part[1]->text.substr(
        kTorch.size(),
        part[1]->text.size() - kTorch.size() - kStorageSuffix.size());
    value->integer = part[4]->integer;
    push(value);
  }

  std::vector<int64_t> sizes_of(const PickleValue* tuple) const {
    std::vector<int64_t> out;
    if (!tuple->is(Kind::kTuple) || tuple->items.size() > kMaxDims) {
      fail("a tensor's sizes and strides as tuples of at most 64 integers");
    }
    for (const PickleValue* item : tuple->items) {
      if (!item->is(Kind::kInt) || item->integer < 0) {
        fail("a tensor's sizes and strides to be integers of 0 or more");
      }
      out.push_back(item->integer);
    }
    return out;
  }

  // (storage, offset, sizes, strides, requires_grad, hooks[, metadata])
  PickleValue* rebuild_tensor(
      const std::vector<const PickleValue*>& arguments) {
    if (arguments.size() < 6 || arguments.size() > 7 ||
        !arguments[0]->is(Kind::kStorage) || !arguments[1]->is(Kind::kInt) ||
        arguments[1]->integer < 0) {
      fail("_rebuild_tensor_v2(storage, offset, sizes, strides, ...)");
    }
    PickleValue* value = make(Kind::kTensor);
    value->items = {arguments[0]};
    value->integer = arguments[1]->integer;
    value->sizes = sizes_of(arguments[2]);
    value->strides = sizes_of(arguments[3]);
    if (value->sizes.size() != value->strides.size()) {
      fail("as many strides as sizes");
    }
    return value;
  }

  void reduce() {
    const PickleValue* arguments = pop();
    const PickleValue* function = pop();
    if (!arguments->is(Kind::kTuple)) fail("call arguments in a tuple");
    const KnownGlobal* known =
        function->is(Kind::kGlobal) ? known_global(function->text) : nullptr;
    if (known == nullptr) fail("a call of a known constructor");
    const auto& items = arguments->items;
    switch (known->callable) {
      case Callable::kDict:
        if (!items.empty()) fail("OrderedDict() without arguments");
        push(make(Kind::kDict));
        return;
      case Callable::kTensor:
        push(rebuild_tensor(items));
        return;
      case Callable::kParameter:
        if (items.empty() || !items[0]->is(Kind::kTensor)) {
          fail("_rebuild_parameter(tensor, ...)");
        }
        break;
      case Callable::kFirst:
        if (items.empty()) fail("restore_type_tag(value, type)");
        break;
      case Callable::kList:
      case Callable::kOpaque:
        push(make(Kind::kOpaque));
        return;
    }
    push(const_cast<PickleValue*>(items[0]));  // owned by pickle_, not const
  }

  void new_object() {
    const PickleValue* arguments = pop();
    const PickleValue* type = pop();
    if (!arguments->is(Kind::kTuple) || !type->is(Kind::kGlobal)) {
      fail("a class and its arguments");
    }
    push(make(is_script_class(type->text) ? Kind::kObject : Kind::kOpaque));
  }

  void build() {
    const PickleValue* state = pop();
    PickleValue* target = top();
    switch (target->kind) {
      case Kind::kObject:
        target->items = {state};
        return;
      case Kind::kDict:  // attributes of an OrderedDict, such as _metadata
      case Kind::kOpaque:
        return;
      default:
        fail("an object to build");
    }
  }

  void append(const std::vector<const PickleValue*>& items) {
    PickleValue* list = top();
    if (list->is(Kind::kOpaque)) return;
    if (!list->is(Kind::kList)) fail("a list to append to");
    list->items.insert(list->items.end(), items.begin(), items.end());
  }

  void set_items(const std::vector<const PickleValue*>& items) {
    PickleValue* dict = top();
    if (items.size() % 2 != 0) fail("keys and values in pairs");
    if (dict->is(Kind::kOpaque)) return;
    if (!dict->is(Kind::kDict)) fail("a dict to add to");
    dict->items.insert(dict->items.end(), items.begin(), items.end());
  }

  // Executes one opcode; true after the last.
  bool step() {
    opcode_at_ = at_;
    const auto opcode = static_cast<uint8_t>(take_unsigned(1));
    switch (opcode) {
      case kProto:
        if (const uint64_t protocol = take_unsigned(1); protocol != 2) {
          fail("protocol 2, found " + std::to_string(protocol) +
               "; save with torch.save's default protocol");
        }
        break;
      case kStop:
        return true;
      case kMark:
        if (marks_.size() >= kMaxMarks) fail("at most 256 nested levels");
        marks_.push_back(stack_.size());
        push(nullptr);
        break;
      case kPop:
        pop();
        break;
      case kPopMark:
        pop_to_mark();
        break;
      case kDup:
        push(top());
        break;
      case kNone:
        push(make(Kind::kNone));
        break;
      case kNewTrue:
      case kNewFalse: {
        PickleValue* value = make(Kind::kBool);
        value->integer = opcode == kNewTrue;
        push(value);
        break;
      }
      case kBinInt:
        push_int(static_cast<int32_t>(take_unsigned(4)));
        break;
      case kBinInt1:
        push_int(static_cast<int64_t>(take_unsigned(1)));
        break;
      case kBinInt2:
        push_int(static_cast<int64_t>(take_unsigned(2)));
        break;
      case kLong1:
        load_long();
        break;
      case kBinFloat: {
        uint64_t bits = 0;  // big-endian, unlike everything else
        for (const char c : take(8)) bits = bits << 8 | static_cast<uint8_t>(c);
        PickleValue* value = make(Kind::kFloat);
        value->number = std::bit_cast<double>(bits);
        push(value);
        break;
      }
      case kBinUnicode:
      case kBinString:
        push_text(take(take_unsigned(4)));
        break;
      case kShortBinString:
        push_text(take(take_unsigned(1)));
        break;
      case kEmptyTuple:
        push_tuple({});
        break;
      case kTuple1:
        push_short_tuple(1);
        break;
      case kTuple2:
        push_short_tuple(2);
        break;
      case kTuple3:
        push_short_tuple(3);
        break;
      case kTuple:
        push_tuple(pop_to_mark());
        break;
      case kEmptyList:
        push(make(Kind::kList));
        break;
      case kAppend:
        append({pop()});
        break;
      case kAppends:
        append(pop_to_mark());
        break;
      case kEmptyDict:
        push(make(Kind::kDict));
        break;
      case kSetItem: {
        const PickleValue* value = pop();
        const PickleValue* key = pop();
        set_items({key, value});
        break;
      }
      case kSetItems:
        set_items(pop_to_mark());
        break;
      case kBinPut:
        memoize(take_unsigned(1));
        break;
      case kLongBinPut:
        memoize(take_unsigned(4));
        break;
      case kBinGet:
        recall(take_unsigned(1));
        break;
      case kLongBinGet:
        recall(take_unsigned(4));
        break;
      case kGlobal:
        load_global();
        break;
      case kBinPersId:
        load_storage();
        break;
      case kReduce:
        reduce();
        break;
      case kNewObj:
        new_object();
        break;
      case kBuild:
        build();
        break;
      default:
        fail("an opcode that torch.save writes, found " +
             std::to_string(opcode));
    }
    return false;
  }

  std::string_view bytes_;
  const std::string& where_;
  size_t at_ = 0;
  size_t opcode_at_ = 0;
  std::vector<PickleValue*> stack_;
  std::vector<size_t> marks_;  // indices of the marks in stack_
  std::unordered_map<uint64_t, PickleValue*> memo_;
  Pickle pickle_;
};

}  // namespace

Pickle parse_pickle(std::string_view bytes, const std::string& where) {
  return Unpickler(bytes, where).run();
}

}  // namespace declip
