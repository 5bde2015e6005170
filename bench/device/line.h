#pragma once

#include <cstdint>
#include <cstdio>
#include <string>

namespace declip::bench {

/// One JSON object on one line of stdout, written when it ends. Names and
/// values need no escapes.
class Line {
 public:
  explicit Line(const std::string& kind) { text("kind", kind); }
  ~Line() {
    std::printf("{%s}\n", members_.c_str());
    std::fflush(stdout);
  }
  Line(const Line&) = delete;
  Line& operator=(const Line&) = delete;

  Line& text(const std::string& name, const std::string& value) {
    return member(name, '"' + value + '"');
  }
  Line& flag(const std::string& name, bool value) {
    return member(name, value ? "true" : "false");
  }
  Line& integer(const std::string& name, int64_t value) {
    return member(name, std::to_string(value));
  }
  /// What is not a number becomes null.
  Line& number(const std::string& name, double value) {
    char digits[32];
    std::snprintf(digits, sizeof digits, "%.6g", value);
    const bool finite = value - value == 0;
    return member(name, finite ? digits : "null");
  }

 private:
  Line& member(const std::string& name, const std::string& value) {
    if (!members_.empty()) members_ += ',';
    members_ += '"' + name + "\":" + value;
    return *this;
  }
  std::string members_;
};

}  // namespace declip::bench
