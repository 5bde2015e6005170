#include <csignal>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <string>
#include <vector>

#include "declip/vector_math.h"
#include "refusals_table.h"
#include "tap.h"

namespace {

int failures_of_test = 0;
std::string skip_reason;
std::vector<std::string> cases;  // from the outermost

std::string base_name(const char* file) {
  return std::filesystem::path(file).filename().string();
}

}  // namespace

namespace tap {

std::vector<Test>& tests() {
  static std::vector<Test> all;
  return all;
}

void fail(const char* file, int line, const std::string& what) {
  ++failures_of_test;
  std::string names;
  for (const auto& name : cases) names += name + ": ";
  std::printf("# %s:%d: %s%s\n",
              base_name(file).c_str(),
              line,
              names.c_str(),
              what.c_str());
}

Case::Case(const std::string& name) { cases.push_back(name); }
Case::~Case() { cases.pop_back(); }

void skip(const std::string& reason) { skip_reason = reason; }

}  // namespace tap

namespace {

/// Whether a "file: name" contains one of the words without a '-' in front, if
/// there are any, and none of those with one.
bool asked_for(const std::string& title,
               const std::vector<std::string>& arguments) {
  bool all = true, found = false;
  for (const auto& argument : arguments) {
    const bool without = argument.starts_with('-');
    const bool here = title.find(argument.substr(without)) != std::string::npos;
    if (without && here) return false;
    if (without) continue;
    all = false;
    found = found || here;
  }
  return all || found;
}

}  // namespace

/// Runs every test, or those that the arguments ask for: `pamr` those of that
/// file or name, `-pamr` all others. `--refusals` prints the guide's tables
/// instead.
int main(int argc, char** argv) {
#if defined(SIGPIPE)
  // As in Node: a connection that a peer closed is an error, not the end.
  std::signal(SIGPIPE, SIG_IGN);
#endif
  declip::settle_vector_math();
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  if (arguments == std::vector<std::string>{"--refusals"}) {
    std::fputs(refusals_table().c_str(), stdout);
    return 0;
  }
  int count = 0;
  int failed = 0;
  for (const auto& test : tap::tests()) {
    const std::string title = base_name(test.file) + ": " + test.name;
    if (!asked_for(title, arguments)) continue;
    failures_of_test = 0;
    skip_reason.clear();
    try {
      test.body();
    } catch (const std::exception& error) {
      tap::fail(test.file, 0, std::string("uncaught: ") + error.what());
    } catch (...) {
      tap::fail(test.file, 0, "uncaught: not a std::exception");
    }
    const bool ok = failures_of_test == 0;
    if (!ok) ++failed;
    std::printf("%s %d - %s%s%s\n",
                ok ? "ok" : "not ok",
                ++count,
                title.c_str(),
                skip_reason.empty() ? "" : " # SKIP ",
                skip_reason.c_str());
    std::fflush(stdout);
  }
  std::printf("1..%d\n", count);
  if (count == 0) std::fprintf(stderr, "No test matches the arguments.\n");
  return failed == 0 && count > 0 ? 0 : 1;
}
