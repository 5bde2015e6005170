// Text embeddings as projects publish them.

#include "declip/embeddings.h"

#include <ATen/ATen.h>

#include <string>
#include <vector>

#include "checkpoint_files.h"
#include "declip/safetensors.h"
#include "tap.h"

using declip::ErrorCode;
using declip::read_embeddings;
using files::dict;
using files::integer;
using files::kProto;
using files::le;
using files::tensor;
using files::torch_file;

namespace {

// Four floats: 0, 1, 2, 3.
const files::Entries kFourFloats{
    {"0",
     le(0, 4) + le(0x3F800000, 4) + le(0x40000000, 4) + le(0x40400000, 4)}};

std::string torch_embeddings(const std::string& pickle) {
  return torch_file(kProto + pickle + ".", kFourFloats);
}

}  // namespace

TEST(embeddings_of_a_torch_dict_keep_its_order_and_names) {
  const files::TempFolder temp;
  // Names that a state dict would be unwrapped by, or that have dots.
  const auto path = temp.write(
      "names.pt",
      torch_embeddings(dict({{"zebra", tensor("0", 4, {2}, {1}, 2)},
                             {"model", tensor("0", 4, {2}, {1})},
                             {"st. bernard", tensor("0", 4, {1, 2}, {2, 1}, 1)},
                             {"epoch", integer(3)}})));
  const auto found = read_embeddings(path);
  CHECK((found.names ==
         std::vector<std::string>{"zebra", "model", "st. bernard"}));
  CHECK(found.features.equal(
      at::tensor({2.0f, 3.0f, 0.0f, 1.0f, 1.0f, 2.0f}).view({3, 2})));
}

TEST(embeddings_of_a_matrix_have_no_names) {
  const files::TempFolder temp;
  const auto expected = at::tensor({0.0f, 1.0f, 2.0f, 3.0f}).view({2, 2});
  const auto matrix = tensor("0", 4, {2, 2}, {2, 1});
  for (const auto& pickle : {matrix, dict({{"embeddings", matrix}})}) {
    const auto found =
        read_embeddings(temp.write("matrix.pt", torch_embeddings(pickle)));
    CHECK(found.names.empty() && found.features.equal(expected));
  }
  const auto path = temp.file("matrix.safetensors");
  declip::write_safetensors(path, {{"x", expected.to(at::kHalf)}});
  const auto found = read_embeddings(path);
  CHECK(found.names.empty() && found.features.equal(expected));
}

TEST(embeddings_of_safetensors_by_name) {
  const files::TempFolder temp;
  const auto path = temp.file("names.safetensors");
  declip::write_safetensors(
      path,
      {{"dog", at::tensor({1.0, 2.0}, at::kDouble)},
       {"cat", at::tensor({3.0f, 4.0f}).to(at::kBFloat16).view({1, 2})}});
  const auto found = read_embeddings(path);
  CHECK((found.names == std::vector<std::string>{"cat", "dog"}));
  CHECK(
      found.features.equal(at::tensor({3.0f, 4.0f, 1.0f, 2.0f}).view({2, 2})));
}

TEST(embeddings_that_are_none_are_refused_by_name) {
  const files::TempFolder temp;
  const auto reason = [&](const std::string& path) {
    const auto why =
        CHECK_THROWS_CODE(read_embeddings(path), ErrorCode::kWeights);
    CHECK(files::contains(why, path));
    return why;
  };
  const auto torch = [&](const std::string& pickle) {
    return reason(temp.write("x.pt", torch_embeddings(pickle)));
  };
  CHECK(files::contains(torch(dict({{"epoch", integer(3)}})), "no tensor"));
  CHECK(files::contains(torch(dict({{"a", tensor("0", 4, {2}, {1})},
                                    {"b", tensor("0", 4, {3}, {1})}})),
                        "\"b\""));
  CHECK(files::contains(torch(dict({{"a", tensor("0", 4, {2, 2}, {2, 1})},
                                    {"b", tensor("0", 4, {2}, {1})}})),
                        "\"a\""));
  CHECK(files::contains(torch(dict({{"a", tensor("0", 4, {9}, {1})}})),
                        "must lie within its storage"));
  const auto path = temp.file("x.safetensors");
  declip::write_safetensors(path, {{"x", at::ones({2}, at::kLong)}});
  CHECK(files::contains(reason(path), "Long"));
  declip::write_safetensors(
      path, {{"features", at::ones({2, 2})}}, {{"vocabulary", "{}"}});
  CHECK(files::contains(reason(path), "Vocabulary.load()"));
  reason(temp.write("x.pt", "nothing of the kind"));
  CHECK_THROWS_CODE(read_embeddings(temp.file("missing.pt")), ErrorCode::kIo);
}
