#pragma once

#include <cmath>
#include <functional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "declip/error.h"

/// A small test harness that prints TAP: every TEST is one line, each failed
/// check a diagnostic above it.
///
///   TEST(half_of_four) {
///     CHECK(half(4) == 2);
///     CHECK_CLOSE(half(1.0), 0.5, 1e-12);
///     CHECK_THROWS_CODE(half("x"), declip::ErrorCode::kInvalidArg);
///   }
namespace tap {

struct Test {
  const char* file;
  const char* name;
  std::function<void()> body;
};

/// Every TEST of the program, in link order.
std::vector<Test>& tests();

/// Records a failed check of the running test.
void fail(const char* file, int line, const std::string& what);

/// While it lives, failed checks say in which case of a loop they failed.
class Case {
 public:
  explicit Case(const std::string& name);
  ~Case();
  Case(const Case&) = delete;
  Case& operator=(const Case&) = delete;
};

/// Marks the running test as skipped and says why; return after it.
void skip(const std::string& reason);

struct Register {
  Register(const char* file, const char* name, std::function<void()> body) {
    tests().push_back({file, name, std::move(body)});
  }
};

inline void check_close(double actual,
                        double expected,
                        double tolerance,
                        const char* text,
                        const char* file,
                        int line) {
  // Negated, so that NaN, for which every comparison is false, fails.
  if (!(std::abs(actual - expected) <= tolerance)) {
    std::ostringstream out;
    out.precision(9);
    out << text << ": expected " << expected << " +- " << tolerance
        << ", received " << actual;
    fail(file, line, out.str());
  }
}

/// Returns the message of the declip::Error thrown, "" after a failed check.
template <typename Function>
std::string check_throws(Function&& function,
                         declip::ErrorCode code,
                         const char* text,
                         const char* file,
                         int line) {
  const std::string expected =
      std::string(text) + ": expected " + declip::code_name(code);
  try {
    function();
  } catch (const declip::Error& error) {
    if (error.code() == code) return error.what();
    fail(file,
         line,
         expected + ", received " + declip::code_name(error.code()) + ": " +
             error.what());
    return "";
  } catch (const std::exception& error) {
    fail(file, line, expected + ", received " + error.what());
    return "";
  }
  fail(file, line, expected + ", nothing was thrown");
  return "";
}

}  // namespace tap

#define TEST(name)                                \
  static void tap_test_##name();                  \
  static const tap::Register tap_register_##name{ \
      __FILE__, #name, tap_test_##name};          \
  static void tap_test_##name()

// c10's logging header defines a CHECK too, which ends the process.
#undef CHECK
#define CHECK(condition)                                         \
  do {                                                           \
    if (!(condition)) tap::fail(__FILE__, __LINE__, #condition); \
  } while (false)

#define CHECK_CLOSE(actual, expected, tolerance)   \
  tap::check_close(static_cast<double>(actual),    \
                   static_cast<double>(expected),  \
                   static_cast<double>(tolerance), \
                   #actual,                        \
                   __FILE__,                       \
                   __LINE__)

/// Evaluates to the message of the error.
#define CHECK_THROWS_CODE(expression, code) \
  tap::check_throws(                        \
      [&] { (void)(expression); }, code, #expression, __FILE__, __LINE__)
