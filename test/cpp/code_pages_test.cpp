#include "declip/code_pages.h"

#include <ATen/ATen.h>

#include <fstream>
#include <string>

#include "tap.h"

namespace {

/// Resident bytes of what is mapped executable from LibTorch's file.
int64_t resident_code() {
  std::ifstream smaps("/proc/self/smaps");
  int64_t kilobytes = 0;
  bool ours = false;
  for (std::string line; std::getline(smaps, line);) {
    const auto space = line.find(' ');
    if (line.find('-') < space) {  // the head of a mapping
      ours = line.find("libtorch_cpu") != std::string::npos &&
             line.find(" r-xp ") != std::string::npos;
    } else if (ours && line.rfind("Rss:", 0) == 0) {
      kilobytes += std::stoll(line.substr(4));
    }
  }
  return kilobytes << 10;
}

}  // namespace

TEST(code_pages_leave_and_come_back) {
#ifdef __linux__
  const auto before = at::arange(1000.0).sum().item<double>();
  const auto full = resident_code();
  CHECK(declip::drop_code_pages() > 0);
  CHECK(resident_code() < full / 2);
  CHECK(at::arange(1000.0).sum().item<double>() == before);
#else
  CHECK(declip::drop_code_pages() == 0);
#endif
}
