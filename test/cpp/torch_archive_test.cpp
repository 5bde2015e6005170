#include "files/torch_archive.h"

#include <ATen/ATen.h>

#include "checkpoint_files.h"
#include "tap.h"

using declip::ErrorCode;
using declip::read_torch_archive;
using files::dict;
using files::integer;
using files::kProto;
using files::le;
using files::tensor;
using files::text;
using files::torch_file;

using files::contains;

namespace {

const files::TempFolder& temp() {
  static const files::TempFolder folder;
  return folder;
}

std::string write(const std::string& bytes) {
  return temp().write("file.pt", bytes);
}

declip::TorchArchive load(const std::string& pickle,
                          const files::Entries& storages = {}) {
  return read_torch_archive(write(torch_file(kProto + pickle, storages)));
}

std::string failure_of_file(const std::string& bytes) {
  return CHECK_THROWS_CODE(read_torch_archive(write(bytes)),
                           ErrorCode::kWeights);
}

std::string pickle_failure(const std::string& pickle,
                           const files::Entries& storages = {}) {
  return failure_of_file(torch_file(kProto + pickle, storages));
}

// Six floats: 0, 1, 2, 3, 4, 5.
const files::Entries kSixFloats{{"0",
                                 le(0, 4) + le(0x3F800000, 4) +
                                     le(0x40000000, 4) + le(0x40400000, 4) +
                                     le(0x40800000, 4) + le(0x40A00000, 4)}};

}  // namespace

TEST(torch_archive_strides_offsets_and_shared_storages) {
  const auto archive = load(dict({{"rows", tensor("0", 6, {2, 3}, {3, 1})},
                                  {"columns", tensor("0", 6, {3, 2}, {1, 3})},
                                  {"tail", tensor("0", 6, {2}, {1}, 4)},
                                  {"scalar", tensor("0", 6, {}, {}, 5)},
                                  {"none", tensor("0", 6, {0}, {1}, 6)}}) +
                                ".",
                            kSixFloats);
  const auto base = at::arange(6, at::kFloat);
  const auto& t = archive.tensors;
  CHECK(at::equal(t.at("rows"), base.reshape({2, 3})));
  CHECK(at::equal(t.at("columns"), base.reshape({2, 3}).t()));
  CHECK(at::equal(t.at("tail"), base.slice(0, 4)));
  CHECK_CLOSE(t.at("scalar").item<double>(), 5, 0);
  CHECK(t.at("none").numel() == 0);
  CHECK(!archive.trainer && !archive.epoch && !archive.torchscript);
}

TEST(torch_archive_element_types) {
  const std::string bytes = le(0x0000000000000001, 8);
  const std::vector<std::pair<std::string, at::ScalarType>> types{
      {"Half", at::kHalf},
      {"BFloat16", at::kBFloat16},
      {"Float", at::kFloat},
      {"Double", at::kDouble},
      {"Long", at::kLong},
      {"Int", at::kInt},
      {"Short", at::kShort},
      {"Char", at::kChar},
      {"Byte", at::kByte},
      {"Bool", at::kBool}};
  for (const auto& [name, dtype] : types) {
    const auto archive =
        load(dict({{"x", tensor("0", 1, {1}, {1}, 0, name + "Storage")}}) + ".",
             {{"0", bytes}});
    const at::Tensor& x = archive.tensors.at("x");
    CHECK(x.scalar_type() == dtype);
    if (!x.is_floating_point()) CHECK(x.item<int64_t>() == 1);
  }
}

TEST(torch_archive_wrappers_parameters_and_epoch) {
  const std::string x = tensor("0", 6, {6}, {1});
  const std::string parameter = "ctorch._utils\n_rebuild_parameter\n(" + x +
                                "\x88" + files::kOrderedDict + "tR";
  for (const std::string wrapper : {"state_dict", "model", "module"}) {
    const auto archive = load(
        dict({{"epoch", integer(6)},
              {"name", text("run")},
              {"optimizer", dict({{"state", x}})},
              {"loss", "G\x3f\xf0" + std::string(6, '\0')},
              {wrapper, dict({{"a.b", parameter}, {"c", dict({{"d", x}})}})}}) +
            ".",
        kSixFloats);
    CHECK(archive.epoch == 6);
    CHECK(archive.trainer);
    CHECK(archive.tensors.size() == 2);
    CHECK(archive.tensors.contains("a.b"));
    CHECK(archive.tensors.contains("c.d"));
  }
}

TEST(torch_archive_tells_the_classes_of_mmdetection) {
  const auto names = [](const std::string& classes) {
    return load(
               dict({{"meta",
                      dict({{"mmdet_version", text("2.28.1")},
                            {"CLASSES", classes}})},
                     {"state_dict", dict({{"a", tensor("0", 6, {6}, {1})}})}}) +
                   ".",
               kSixFloats)
        .class_names;
  };
  const auto list = [](const std::vector<std::string>& items) {
    std::string out;
    for (const auto& item : items) out += text(item);
    return out;
  };
  const std::vector<std::string> two{"cat", "stop sign"};
  CHECK(names("(" + list(two) + "t") == two);
  CHECK(names("](" + list(two) + "e") == two);
  CHECK((names(text("cat")) == std::vector<std::string>{"cat"}));
  // no names: nothing is said, and nothing refused
  CHECK(names("(" + text("cat") + integer(7) + "t").empty());
  CHECK(names(integer(7)).empty());
  CHECK(names("N").empty());
  CHECK(names("(" + text(std::string(600, 'x')) + "t").empty());
  CHECK(names("(" + list(std::vector<std::string>(70000, "a")) + "t").empty());
}

TEST(torch_archive_takes_the_weights_and_names_others) {
  const std::string x = tensor("0", 6, {6}, {1});
  const std::string state = dict({{"a", x}, {"b", x}});
  const std::string moments = dict({{"state", dict({{"c", x}})}});
  const auto check = [&](const files::Entries& entries,
                         const std::string& note) {
    const auto archive = load(dict(entries) + ".", kSixFloats);
    CHECK(archive.tensors.size() == 2 && archive.tensors.contains("a"));
    CHECK(archive.note.find(note) != std::string::npos);
    CHECK(note.empty() == archive.note.empty());
  };
  check({{"model_state_dict", state}, {"optimizer_state_dict", moments}}, "");
  check({{"model", dict({{"state_dict", state}})}, {"optimizer", state}}, "");
  check({{"checkpoint", dict({{"model", dict({{"module", state}})}})}}, "");
  check({{"state_dict", state}, {"state_dict_ema", state}},
        "under \"state_dict\"; the file also holds weights under "
        "\"state_dict_ema\"");
  check({{"ema", state}, {"net", state}, {"args", state}},
        "under \"net\"; the file also holds weights under \"ema\"");
  check({{"model_ema", state}, {"epoch", integer(1)}}, "");
}

TEST(torch_archive_torchscript_attributes) {
  const std::string x = tensor("0", 6, {6}, {1});
  const std::string inner = "c__torch__.torch.nn\nLinear\n)\x81" +
                            dict({{"weight", x}, {"bias", "N"}}) + "b";
  const std::string outer = "c__torch__\nModel\n)\x81" +
                            dict({{"training", "\x89"}, {"layer", inner}}) +
                            "b";
  const std::string path = write(
      files::zip({{"m/data.pkl", kProto + outer + "."},
                  {"m/code/__torch__.py", "import os; os.system('false')"},
                  {"m/data/0", kSixFloats[0].second}}));
  const auto archive = read_torch_archive(path);
  CHECK(archive.torchscript);
  CHECK(archive.tensors.size() == 1);
  CHECK(archive.tensors.contains("layer.weight"));
}

TEST(torch_archive_runs_nothing) {
  const std::string run =
      pickle_failure("cos\nsystem\n" + text("true") + "\x85R.");
  CHECK(contains(run, "file.pt"));
  CHECK(contains(run, "\"os system\""));
  CHECK(contains(pickle_failure("cbuiltins\neval\n" + text("1") + "\x85R."),
                 "builtins eval"));
  CHECK(contains(pickle_failure("cposix\nsystem\n."), "posix system"));
  CHECK(contains(pickle_failure("ctorch.nn\nLinear\n)R."), "torch.nn Linear"));
  // Known as a class of storages, never called.
  CHECK(contains(pickle_failure("ctorch\nFloatStorage\n)R."),
                 "known constructor"));
  CHECK(
      contains(pickle_failure("c__torch__\nModel\n)R."), "known constructor"));
  // INST, OBJ, EXT1, STACK_GLOBAL: other ways to name or make an object.
  for (const char opcode : {'i', 'o', '\x82', '\x93'}) {
    CHECK(contains(pickle_failure(std::string("(") + opcode), "opcode"));
  }
}

TEST(torch_archive_refuses_hostile_pickles) {
  CHECK(contains(pickle_failure(""), "more bytes"));
  CHECK(contains(pickle_failure("."), "a value to act on"));
  CHECK(contains(pickle_failure("(."), "a value to act on"));
  CHECK(contains(pickle_failure("t."), "a mark"));
  CHECK(contains(pickle_failure("h\x05."), "memo entry 5"));
  CHECK(contains(pickle_failure("q\x05."), "a value to act on"));
  CHECK(contains(pickle_failure("\x8a\xff" + std::string(255, 'x') + "."),
                 "64 bits"));
  CHECK(contains(pickle_failure(std::string(100000, '(')), "256 nested"));
  CHECK(contains(pickle_failure("X\xff\xff\xff\xff."), "more bytes"));
  CHECK(contains(pickle_failure("X" + le(1, 4) + "\xff."), "UTF-8"));
  CHECK(contains(pickle_failure("cno newline"), "end of a line"));
  CHECK(contains(pickle_failure("K\x01"
                                "a."),
                 "a value to act on"));
  CHECK(contains(pickle_failure("K\x01K\x02"
                                "a."),
                 "list"));
  CHECK(contains(pickle_failure("}(K\x01u."), "pairs"));
  CHECK(contains(pickle_failure("K\x01Q."), "storage"));
  CHECK(contains(pickle_failure("K\x01."), "state dict"));
  CHECK(contains(failure_of_file(torch_file("\x80\x05].")), "protocol 2"));
  CHECK(contains(pickle_failure(std::string(2000000, 'N')), "2^20 values"));
  CHECK(contains(failure_of_file(torch_file(std::string(17 << 20, 'N'))),
                 "16 MiB"));
}

TEST(torch_archive_refuses_recursion) {
  // A dict that holds itself.
  CHECK(
      contains(pickle_failure("}q\x01(" + text("a") + "h\x01u."), "64 levels"));
  // Every level names the one below twice: 2^40 paths in 40 dicts.
  std::string bomb = tensor("0", 6, {1}, {1});
  for (char level = 0; level < 40; ++level) {
    const std::string memo{'q', level}, again{'h', level};
    bomb += memo + "0}(" + text("a") + again + text("b") + again + "u";
  }
  CHECK(contains(pickle_failure(bomb + ".", kSixFloats), "2^20 entries"));
  // A list that holds itself is never walked.
  CHECK(load(dict({{"list",
                    "]q\x01h\x01"
                    "a"}}) +
             ".")
            .tensors.empty());
  // Nor is a TorchScript object whose attributes are itself.
  pickle_failure(
      "c__torch__\nModel\n)\x81q\x01h\x01"
      "b.");
}

TEST(torch_archive_refuses_tensors_outside_their_storage) {
  const auto one = [](const std::string& value) {
    const std::string message =
        pickle_failure(dict({{"weight", value}}) + ".", kSixFloats);
    CHECK(contains(message, "file.pt"));
    return message;
  };
  CHECK(contains(one(tensor("0", 6, {7}, {1})), "weight"));
  CHECK(contains(one(tensor("0", 6, {2}, {6})), "within its storage"));
  CHECK(contains(one(tensor("0", 6, {6}, {1}, 1)), "within its storage"));
  CHECK(contains(one(tensor("0", 6, {1}, {1}, 6)), "within its storage"));
  CHECK(contains(one(tensor("0", 6, {0}, {1}, 7)), "within its storage"));
  CHECK(contains(one(tensor("0", 6, {1 << 30, 1 << 30, 1 << 30}, {0, 0, 0})),
                 "within its storage"));
  CHECK(contains(one(tensor("0", 6, {2, 4}, {0, 1})), "within its storage"));
  CHECK(contains(one(tensor("0", 6, {2, 2}, {INT32_MAX, INT32_MAX})),
                 "within its storage"));
  CHECK(contains(one(tensor("0", 7, {1}, {1})), "found 6"));
  CHECK(contains(one(tensor("1", 6, {1}, {1})), "missing"));
  CHECK(contains(one(tensor("../0", 6, {1}, {1})), "missing"));
  CHECK(contains(one(tensor("0", 6, {-1}, {1})), "0 or more"));
  CHECK(contains(one(tensor("0", 6, {1}, {-1})), "0 or more"));
  CHECK(contains(one(tensor("0", 6, {1}, {1}, -1)), "_rebuild_tensor_v2"));
  CHECK(contains(one(tensor("0", -1, {1}, {1})), "storage"));
  CHECK(contains(one(tensor("0", 6, {1, 1}, {1})), "as many strides"));
  CHECK(contains(one(tensor("0", 6, {1}, {1}, 0, "QInt8Storage")),
                 "QInt8Storage"));
}

TEST(torch_archive_refuses_damaged_zips) {
  const std::string pickle = kProto + "}.";
  CHECK(contains(failure_of_file("PK\x03\x04"), "truncated"));
  CHECK(contains(failure_of_file(files::zip({})), "data.pkl"));
  CHECK(
      contains(failure_of_file(files::zip({{"a/x.pkl", pickle}})), "found 0"));
  CHECK(contains(failure_of_file(files::zip(
                     {{"a/data.pkl", pickle}, {"b/data.pkl", pickle}})),
                 "found 2"));
  CHECK(contains(failure_of_file(files::zip(
                     {{"a/data.pkl", pickle}, {"a/data.pkl", pickle}})),
                 "twice"));
  CHECK(contains(failure_of_file(files::zip({{"a/data.pkl", pickle}}, 8)),
                 "uncompressed"));
  CHECK(contains(failure_of_file(files::zip(
                     {{"a/data.pkl", pickle}, {"a/byteorder", "big"}})),
                 "big"));

  std::string renamed = files::zip({{"a/data.pkl", pickle}});
  renamed[30] = 'b';  // the name in the local header only
  CHECK(contains(failure_of_file(renamed), "does not begin"));
}

TEST(torch_archive_reads_zip64_directories) {
  // Sizes and offset of the one entry, and the directory, in 64-bit records.
  const std::string name = "a/data.pkl";
  const std::string pickle = kProto + dict({{"epoch", integer(3)}}) + ".";
  const std::string in_64 = le(0xFFFFFFFF, 4);
  const std::string head = le(0, 2) + le(0, 2) + le(0, 4) + le(0, 4);
  const std::string local = "PK\x03\x04" + le(45, 2) + head +
                            le(pickle.size(), 4) + le(pickle.size(), 4) +
                            le(name.size(), 2) + le(0, 2) + name + pickle;
  const std::string extra = le(0x7777, 2) + le(2, 2) + "zz" + le(1, 2) +
                            le(24, 2) + le(pickle.size(), 8) +
                            le(pickle.size(), 8) + le(0, 8);
  const std::string central = "PK\x01\x02" + le(45, 2) + le(45, 2) + head +
                              in_64 + in_64 + le(name.size(), 2) +
                              le(extra.size(), 2) + le(0, 2) + le(0, 2) +
                              le(0, 2) + le(0, 4) + in_64 + name + extra;
  const std::string end64 = "PK\x06\x06" + le(44, 8) + le(45, 2) + le(45, 2) +
                            le(0, 4) + le(0, 4) + le(1, 8) + le(1, 8) +
                            le(central.size(), 8) + le(local.size(), 8);
  const auto file = [&](uint64_t end64_offset) {
    return local + central + end64 + "PK\x06\x07" + le(0, 4) +
           le(end64_offset, 8) + le(1, 4) + "PK\x05\x06" + le(0, 4) +
           le(0xFFFF, 2) + le(0xFFFF, 2) + in_64 + in_64 + le(0, 2);
  };
  const uint64_t at = local.size() + central.size();
  CHECK(read_torch_archive(write(file(at))).epoch == 3);
  CHECK(contains(failure_of_file(file(at + 1)), "zip64"));
  CHECK(contains(failure_of_file(file(UINT64_MAX)), "zip64"));
}
