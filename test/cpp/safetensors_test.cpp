#include "files/safetensors.h"

#include <ATen/ATen.h>

#ifndef _WIN32
#include <sys/resource.h>

#include <csignal>
#endif

#include <algorithm>

#include "checkpoint_files.h"
#include "tap.h"

using declip::ErrorCode;
using declip::read_safetensors;
using declip::write_safetensors;
using files::safetensors;

using files::contains;

namespace {

const files::TempFolder& scratch() {
  static const files::TempFolder folder;
  return folder;
}

// The message that reading `bytes` fails with.
std::string read_failure(const std::string& bytes) {
  const std::string path = scratch().write("damaged.safetensors", bytes);
  return CHECK_THROWS_CODE(read_safetensors(path), ErrorCode::kWeights);
}

bool same_tensor(const at::Tensor& a, const at::Tensor& b) {
  return a.scalar_type() == b.scalar_type() && at::equal(a, b);
}

}  // namespace

TEST(safetensors_round_trip) {
  const auto base = at::arange(24, at::kFloat).reshape({2, 3, 4});
  const std::map<std::string, at::Tensor> tensors{
      {"bfloat16", base.to(at::kBFloat16)},
      {"bool", base > 3},
      {"empty", at::empty({0, 5})},
      {"float16", base.to(at::kHalf)},
      {"float32", base},
      {"float64", base.to(at::kDouble)},
      {"int64", base.to(at::kLong)},
      {"name \"with\" \\ and \n and \u00e9", base},
      {"scalar", at::scalar_tensor(2.5)},
      {"transposed", base.transpose(0, 2)},
      {"uint8", base.to(at::kByte)},
  };
  const std::string path = scratch().file("round.safetensors");
  write_safetensors(path, tensors, {{"license", "MIT"}});
  const auto read = read_safetensors(path);
  CHECK(read.metadata.at("license") == "MIT");
  CHECK(read.tensors.size() == tensors.size());
  for (const auto& [name, tensor] : tensors) {
    CHECK(same_tensor(read.tensors.at(name), tensor));
  }
}

TEST(safetensors_tensors_outlive_the_reader_and_never_change_the_file) {
  const std::string path = scratch().file("alias.safetensors");
  write_safetensors(path, {{"x", at::ones({1000})}});
  const std::string before = files::read(path);
  at::Tensor x = read_safetensors(path).tensors.at("x");
  x.mul_(3);
  CHECK_CLOSE(x.sum().item<double>(), 3000, 0);
  CHECK(files::read(path) == before);
}

TEST(safetensors_copies_unaligned_data) {
  // A header of 9 mod 8 bytes leaves the floats on an odd address.
  std::string header =
      R"({"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})";
  while (header.size() % 8 != 1) header += ' ';
  const std::string path = scratch().write(
      "unaligned.safetensors",
      safetensors(header, files::le(0x3F800000, 4) + files::le(0x40000000, 4)));
  CHECK(same_tensor(read_safetensors(path).tensors.at("x"),
                    at::tensor({1.0F, 2.0F})));
}

TEST(safetensors_refuses_a_malformed_header) {
  CHECK(contains(read_failure("1234567"), "at least 8 bytes"));
  CHECK(contains(read_failure(files::le(1000, 8) + "{}"), "truncated"));
  CHECK(contains(read_failure(files::le(UINT64_MAX, 8) + "{}"), "truncated"));
  CHECK(contains(read_failure(safetensors("[]")), "JSON object"));
  CHECK(contains(read_failure(safetensors("{}", "x")), "holds 1"));
  CHECK(contains(read_failure(safetensors(R"({"__metadata__":{"a":1}})")),
                 "must be a string"));
  CHECK(contains(read_failure(safetensors("{\"\xff\":{}}")), "UTF-8"));
  CHECK(contains(read_failure(safetensors(R"({"x":1})")), "must be an object"));
  read_failure(safetensors(std::string(5000, '[')));
  read_failure(safetensors(std::string(10, '\0')));
}

TEST(safetensors_refuses_bad_tensors_and_names_them) {
  const auto entry = [](const std::string& dtype,
                        const std::string& shape,
                        const std::string& offsets) {
    return R"("weight":{"dtype":")" + dtype + R"(","shape":)" + shape +
           R"(,"data_offsets":)" + offsets + "}";
  };
  const std::string eight(8, 'x');
  const auto one = [&](const std::string& dtype,
                       const std::string& shape,
                       const std::string& offsets) {
    const std::string message = read_failure(
        safetensors("{" + entry(dtype, shape, offsets) + "}", eight));
    CHECK(contains(message, "damaged.safetensors"));
    CHECK(contains(message, "weight"));
    return message;
  };
  CHECK(contains(one("F31", "[2]", "[0,8]"), "unknown dtype \"F31\""));
  CHECK(contains(one("F32", "[3]", "[0,8]"), "does not match"));
  CHECK(contains(one("F32", "[2]", "[0,12]"), "data_offsets"));
  CHECK(contains(one("F32", "[2]", "[8,0]"), "data_offsets"));
  CHECK(contains(one("F32", "[2]", "[-8,0]"), "data_offsets"));
  CHECK(contains(one("F32", "[2]", "[0]"), "data_offsets"));
  CHECK(contains(one("F32", "[2]", "[0.0,8]"), "data_offsets"));
  CHECK(contains(one("F32", "[-2]", "[0,8]"), "0 or more"));
  CHECK(contains(one("F32", "{}", "[0,8]"), "shape"));
  CHECK(contains(one("F32", "[1]", "[4,8]"), "begin at byte 0"));
  // 2^32 * 2^32 elements wrap around to none.
  CHECK(contains(one("F32", "[4294967296,4294967296]", "[0,0]"),
                 "does not match"));
  CHECK(
      contains(one("F32", "[9223372036854775807,9223372036854775807]", "[0,8]"),
               "does not match"));

  const std::string twice = entry("F32", "[2]", "[0,8]");
  CHECK(contains(
      read_failure(safetensors("{" + twice + "," + twice + "}", eight)),
      "only once"));
  const std::string other =
      R"("b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]})";
  CHECK(contains(
      read_failure(safetensors("{" + twice + "," + other + "}", eight)),
      "begin at byte 8"));
}

TEST(safetensors_accepts_entries_in_any_order) {
  const std::string path = scratch().write(
      "order.safetensors",
      safetensors(R"({"b":{"dtype":"U8","shape":[1],"data_offsets":[1,2]},)"
                  R"("a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})",
                  "\x07\x09"));
  const auto tensors = read_safetensors(path).tensors;
  CHECK(tensors.at("a").item<int64_t>() == 7);
  CHECK(tensors.at("b").item<int64_t>() == 9);
}

TEST(safetensors_missing_file_is_an_io_error) {
  const std::string message = CHECK_THROWS_CODE(
      read_safetensors(scratch().file("none.safetensors")), ErrorCode::kIo);
  CHECK(contains(message, "none.safetensors"));
  CHECK_THROWS_CODE(read_safetensors(scratch().path()), ErrorCode::kIo);
  CHECK_THROWS_CODE(read_safetensors(scratch().write("empty", "")),
                    ErrorCode::kIo);
}

TEST(safetensors_write_failure_leaves_the_old_file) {
  const std::string path = scratch().file("kept/model.safetensors");
  CHECK_THROWS_CODE(write_safetensors(path, {{"x", at::ones({4})}}),
                    ErrorCode::kIo);  // no such folder
  scratch().write("kept/model.safetensors", "old");
  CHECK_THROWS_CODE(
      write_safetensors(path, {{"x", at::ones({4}, at::kComplexFloat)}}),
      ErrorCode::kInvalidArg);
  CHECK_THROWS_CODE(write_safetensors(path, {{"\xff", at::ones({4})}}),
                    ErrorCode::kInvalidArg);
#ifndef _WIN32
  // A file size limit stands in for a full disk.
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{4096, before.rlim_max};
  setrlimit(RLIMIT_FSIZE, &small);
  const std::string message = CHECK_THROWS_CODE(
      write_safetensors(path, {{"x", at::ones({100000})}}), ErrorCode::kIo);
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  CHECK(contains(message, "model.safetensors"));
#endif
  CHECK(files::read(path) == "old");
  const std::filesystem::directory_iterator entries(scratch().file("kept"));
  CHECK(std::distance(begin(entries), end(entries)) == 1);
}
