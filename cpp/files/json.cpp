#include "files/json.h"

#include <charconv>
#include <cmath>
#include <locale>
#include <sstream>
#include <utility>

#include "declip/error.h"
#include "files/text.h"

namespace declip {

std::optional<bool> Json::boolean() const {
  if (const auto* b = std::get_if<bool>(&value)) return *b;
  return std::nullopt;
}

std::optional<int64_t> Json::integer() const {
  if (const auto* i = std::get_if<int64_t>(&value)) return *i;
  return std::nullopt;
}

std::optional<double> Json::number() const {
  if (const auto* d = std::get_if<double>(&value)) return *d;
  if (const auto* i = std::get_if<int64_t>(&value)) {
    return static_cast<double>(*i);
  }
  return std::nullopt;
}

const Json* Json::find(const std::string& key) const {
  const Object* members = object();
  if (members == nullptr) return nullptr;
  const auto it = members->find(key);
  return it == members->end() ? nullptr : &it->second;
}

namespace {

constexpr int kMaxNesting = 64;
constexpr int kMaxNodes = 1 << 20;

class Parser {
 public:
  Parser(std::string_view text, const std::string& where)
      : text_(text), where_(where) {}

  Json parse() {
    Json value = parse_value(0);
    skip_space();
    if (at_ != text_.size()) fail("nothing after the value");
    return value;
  }

 private:
  [[noreturn]] void fail(const std::string& expected) const {
    throw Error(ErrorCode::kWeights,
                where_ + ": malformed JSON at byte " + std::to_string(at_) +
                    ", expected " + expected + ".");
  }

  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }

  bool take(char c) {
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }

  void skip_space() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t' ||
                                  text_[at_] == '\n' || text_[at_] == '\r')) {
      ++at_;
    }
  }

  bool take_word(std::string_view word) {
    if (text_.substr(at_, word.size()) != word) return false;
    at_ += word.size();
    return true;
  }

  Json parse_value(int depth) {
    if (depth > kMaxNesting) fail("at most 64 nested levels");
    if (++values_ > kMaxNodes) fail("at most 2^20 values");
    skip_space();
    switch (peek()) {
      case '{':
        return {parse_object(depth)};
      case '[':
        return {parse_array(depth)};
      case '"':
        return {parse_string()};
      default:
        break;
    }
    if (take_word("true")) return {true};
    if (take_word("false")) return {false};
    if (take_word("null")) return {nullptr};
    return parse_number();
  }

  Json::Object parse_object(int depth) {
    Json::Object members;
    ++at_;  // {
    skip_space();
    if (take('}')) return members;
    do {
      skip_space();
      if (peek() != '"') fail("a key");
      std::string key = parse_string();
      skip_space();
      if (!take(':')) fail("':'");
      if (members.contains(key)) fail("key " + in_quotes(key) + " only once");
      members.emplace(std::move(key), parse_value(depth + 1));
      skip_space();
    } while (take(','));
    if (!take('}')) fail("',' or '}'");
    return members;
  }

  Json::Array parse_array(int depth) {
    Json::Array items;
    ++at_;  // [
    skip_space();
    if (take(']')) return items;
    do {
      items.push_back(parse_value(depth + 1));
      skip_space();
    } while (take(','));
    if (!take(']')) fail("',' or ']'");
    return items;
  }

  uint32_t parse_hex4() {
    uint32_t code = 0;
    const std::string_view digits = text_.substr(at_, 4);
    const auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), code, 16);
    if (digits.size() != 4 || error != std::errc() ||
        end != digits.data() + 4) {
      fail("four hexadecimal digits");
    }
    at_ += 4;
    return code;
  }

  void append_escape(std::string& out) {
    const char c = peek();
    ++at_;
    switch (c) {
      case '"':
      case '\\':
      case '/':
        out += c;
        return;
      case 'b':
        out += '\b';
        return;
      case 'f':
        out += '\f';
        return;
      case 'n':
        out += '\n';
        return;
      case 'r':
        out += '\r';
        return;
      case 't':
        out += '\t';
        return;
      case 'u':
        break;
      default:
        fail("an escape");
    }
    uint32_t code = parse_hex4();
    if (code >= 0xD800 && code < 0xDC00 && take('\\') && take('u')) {
      const uint32_t low = parse_hex4();
      if (low < 0xDC00 || low > 0xDFFF) fail("a low surrogate");
      code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    }
    if (code >= 0xD800 && code <= 0xDFFF) fail("a surrogate pair");
    if (code < 0x80) {
      out += static_cast<char>(code);
    } else if (code < 0x800) {
      out += static_cast<char>(0xC0 | code >> 6);
      out += static_cast<char>(0x80 | (code & 0x3F));
    } else if (code < 0x10000) {
      out += static_cast<char>(0xE0 | code >> 12);
      out += static_cast<char>(0x80 | (code >> 6 & 0x3F));
      out += static_cast<char>(0x80 | (code & 0x3F));
    } else {
      out += static_cast<char>(0xF0 | code >> 18);
      out += static_cast<char>(0x80 | (code >> 12 & 0x3F));
      out += static_cast<char>(0x80 | (code >> 6 & 0x3F));
      out += static_cast<char>(0x80 | (code & 0x3F));
    }
  }

  std::string parse_string() {
    std::string out;
    ++at_;  // opening quote
    while (true) {
      if (at_ >= text_.size()) fail("'\"'");
      const char c = text_[at_++];
      if (c == '"') break;
      if (static_cast<unsigned char>(c) < 0x20) fail("no control character");
      if (c == '\\') {
        append_escape(out);
      } else {
        out += c;
      }
    }
    if (!is_utf8(out)) fail("UTF-8");
    return out;
  }

  bool take_digits() {
    const size_t begin = at_;
    while (peek() >= '0' && peek() <= '9') ++at_;
    return at_ > begin;
  }

  Json parse_number() {
    const size_t begin = at_;
    take('-');
    const size_t digits = at_;
    if (!take_digits()) fail("a value");
    if (text_[digits] == '0' && at_ - digits > 1) fail("no leading zero");
    bool integral = true;
    if (take('.')) {
      integral = false;
      if (!take_digits()) fail("a digit");
    }
    if (peek() == 'e' || peek() == 'E') {
      integral = false;
      ++at_;
      if (!take('+')) take('-');
      if (!take_digits()) fail("a digit");
    }
    const std::string_view token = text_.substr(begin, at_ - begin);
    if (integral) {
      int64_t number = 0;
      const auto result =
          std::from_chars(token.data(), token.data() + token.size(), number);
      if (result.ec == std::errc()) return {number};
    }
    // Not strtod(): it reads the decimal point of the process's locale.
    std::istringstream in{std::string(token)};
    in.imbue(std::locale::classic());
    double number = 0;
    in >> number;
    if (in.fail() || !std::isfinite(number)) fail("a number within range");
    return {number};
  }

  std::string_view text_;
  const std::string& where_;
  size_t at_ = 0;
  int values_ = 0;
};

}  // namespace

Json parse_json(std::string_view text, const std::string& where) {
  return Parser(text, where).parse();
}

std::string json_string(std::string_view text) {
  if (!is_utf8(text)) {
    throw Error(
        ErrorCode::kInvalidArg,
        "Names in a file must be UTF-8, received " + in_quotes(text) + ".");
  }
  constexpr char kHex[] = "0123456789abcdef";
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      out += "\\u00";
      out += kHex[c >> 4];
      out += kHex[c & 15];
    } else {
      out += c;
    }
  }
  return out + '"';
}

}  // namespace declip
