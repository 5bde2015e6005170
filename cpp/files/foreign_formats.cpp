#include "files/foreign_formats.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstddef>

#include "files/text.h"

namespace declip {
namespace {

constexpr std::string_view kOriginal =
    "take the PyTorch or safetensors file of the model";
constexpr std::string_view kSource = "take the file it was made from";

constexpr Refusal kPointer{
    .name = "Git LFS pointer",
    .told_by = "text that begins with `version https://git-lfs`",
    .why = "a Git LFS pointer, not the weights",
    .instead = "run `git lfs pull` or download the file itself"};
constexpr Refusal kWebPage{
    .name = "Web page saved as weights",
    .told_by = "text that begins with `<`",
    .why = "a web page",
    .instead =
        "download the file itself (of Hugging Face, by its 'resolve' "
        "address)"};
constexpr Refusal kXml{.name = "XML of a storage server",
                       .told_by = "text that begins with `<?xml`",
                       .why = "XML, perhaps the error answer of a server",
                       .instead = "download the file itself"};
constexpr Refusal kServerError{.name = "A server's error answer",
                               .told_by = "JSON with `error` or `message`",
                               .why = "the error answer of a server",
                               .instead = "download the file itself"};
constexpr Refusal kMisnamedIndex{
    .name = "Index of a checkpoint in several files, under another name",
    .told_by = "JSON with `weight_map`",
    .why = "the index of a checkpoint in several files",
    .instead =
        "name it model.safetensors.index.json (or "
        "pytorch_model.bin.index.json), beside those files"};
constexpr Refusal kJson{
    .name = "Other JSON",
    .told_by = "text that begins with `{` or `[`",
    .why = "JSON text, not weights",
    .instead = "give the file of weights, or the folder that holds both"};
constexpr Refusal kText{.name = "Other text",
                        .told_by = "printable characters",
                        .why = "text, perhaps the error answer of a server",
                        .instead = "download the file itself"};
constexpr Refusal kBlank{.name = "A file of blanks",
                         .told_by = "nothing but white space",
                         .why = "nothing but blanks",
                         .instead = "download it again"};
constexpr Refusal kGguf{
    .name = "GGUF (llama.cpp)",
    .told_by = "first bytes `GGUF`",
    .why = "a GGUF file (llama.cpp), whose weights are packed for it",
    .instead = kOriginal};
constexpr Refusal kGgml{.name = "GGML",
                        .told_by = "first bytes `ggml`",
                        .why = "a GGML file",
                        .instead = kOriginal};
constexpr Refusal kGraph{
    .name = "ONNX",
    .told_by = "a protocol buffer, `.onnx`",
    .why = "an ONNX, Core ML or TensorFlow graph",
    .instead = "take the PyTorch or safetensors file it was made from"};
constexpr Refusal kCoreMl{.name = "Core ML",
                          .told_by = "`.mlmodel`",
                          .why = "a Core ML model",
                          .instead = kSource};
constexpr Refusal kTensorFlow{.name = "TensorFlow graph",
                              .told_by = "`.pb`, `.keras`",
                              .why = "a TensorFlow file",
                              .instead = kOriginal};
constexpr Refusal kHdf5{.name = "HDF5 (Keras, TensorFlow)",
                        .told_by = "first bytes `\\x89HDF`",
                        .why = "an HDF5 file (Keras, TensorFlow)",
                        .instead = kOriginal};
constexpr Refusal kKeras{.name = "Keras archive",
                         .told_by = "a zip that holds `model.weights.h5`",
                         .why = "a Keras model",
                         .instead = kOriginal};
constexpr Refusal kTfLite{.name = "TensorFlow Lite",
                          .told_by = "`TFL3` at byte 4",
                          .why = "a TensorFlow Lite model",
                          .instead = kOriginal};
constexpr Refusal kFlax{.name = "Flax",
                        .told_by = "`.msgpack`",
                        .why = "a Flax file",
                        .instead = kOriginal};
constexpr Refusal kNumpy{
    .name = "NumPy array",
    .told_by = "first bytes `\\x93NUMPY`",
    .why = "a NumPy array",
    .instead =
        "save all tensors of the model with safetensors or torch.save()"};
constexpr Refusal kNumpyZip{
    .name = "NumPy archive (`.npz`), as TIPS's authors publish theirs",
    .told_by = "a zip that holds `.npy` files",
    .why = "NumPy arrays (.npz)",
    .instead =
        "save all tensors of the model with safetensors or "
        "torch.save(); TIPSv2 is on Hugging Face as safetensors"};
constexpr Refusal kLegacy{
    .name = "`torch.save` of before PyTorch 1.6",
    .told_by = "its first bytes",
    .why = "a file in torch.save's legacy format (before PyTorch 1.6)",
    .instead = "load it with PyTorch and torch.save() it again"};
constexpr Refusal kPickle{
    .name = "A bare pickle",
    .told_by = "first byte `\\x80`",
    .why = "a bare pickle",
    .instead = "load it with PyTorch and torch.save() it again"};
constexpr Refusal kMobile{.name = "PyTorch mobile",
                          .told_by = "`PTMF` at byte 4",
                          .why = "a PyTorch mobile model",
                          .instead = kSource};
constexpr Refusal kExecuTorch{.name = "ExecuTorch",
                              .told_by = "`ET12` at byte 4",
                              .why = "an ExecuTorch program",
                              .instead = kSource};
constexpr Refusal kGzip{.name = "gzip",
                        .told_by = "its first bytes",
                        .why = "a gzip file",
                        .instead = "unpack it first (gunzip)"};
constexpr Refusal kBzip2{.name = "bzip2",
                         .told_by = "first bytes `BZh`",
                         .why = "a bzip2 file",
                         .instead = "unpack it first (bunzip2)"};
constexpr Refusal kXz{.name = "xz",
                      .told_by = "its first bytes",
                      .why = "an xz file",
                      .instead = "unpack it first (unxz)"};
constexpr Refusal kZstd{.name = "Zstandard",
                        .told_by = "its first bytes",
                        .why = "a Zstandard file",
                        .instead = "unpack it first"};
constexpr Refusal kLz4{.name = "LZ4",
                       .told_by = "its first bytes",
                       .why = "an LZ4 file",
                       .instead = "unpack it first"};
constexpr Refusal kPacked{.name = "7z, RAR",
                          .told_by = "their first bytes",
                          .why = "a packed file",
                          .instead = "unpack it first"};
constexpr Refusal kTar{.name = "tar",
                       .told_by = "`ustar` at byte 257",
                       .why = "a tar archive",
                       .instead = "unpack it first"};
constexpr Refusal kZipOfWeights{
    .name = "A zip around weights",
    .told_by = "a zip that holds a `.safetensors`, `.pt` or the like",
    .why = "a zip file that holds weights",
    .instead = "unpack it first"};
constexpr Refusal kEmptyZip{.name = "An empty zip",
                            .told_by = "first bytes `PK\\x05\\x06`",
                            .why = "an empty zip file",
                            .instead = "download it again"};
constexpr Refusal kOffice{.name = "Office document",
                          .told_by = "a zip that holds `[Content_Types].xml`",
                          .why = "an Office document, not weights",
                          .instead = "give the file of weights"};
constexpr Refusal kPicture{
    .name = "Picture, film, sound",
    .told_by = "first bytes of JPEG, PNG, GIF, TIFF, WebP, MP4 and others",
    .why = "a picture, film or sound, not weights",
    .instead =
        "give the file of weights, and the picture as the first "
        "argument of segment()"};
constexpr Refusal kPdf{.name = "PDF",
                       .told_by = "first bytes `%PDF`",
                       .why = "a PDF, not weights",
                       .instead = "give the file of weights"};
constexpr Refusal kProgram{
    .name = "Program or library",
    .told_by = "first bytes of ELF or of a Windows program",
    .why = "a program or library, not weights",
    .instead = "give the file of weights"};
constexpr Refusal kDatabase{.name = "SQLite database",
                            .told_by = "first bytes `SQLite format 3`",
                            .why = "an SQLite database, not weights",
                            .instead = "give the file of weights"};

/// In the order of the guide's table.
constexpr std::array kFormats{
    &kPointer, &kWebPage,  &kXml,        &kServerError,  &kMisnamedIndex,
    &kJson,    &kText,     &kBlank,      &kGguf,         &kGgml,
    &kGraph,   &kCoreMl,   &kHdf5,       &kKeras,        &kTensorFlow,
    &kTfLite,  &kFlax,     &kNumpyZip,   &kNumpy,        &kLegacy,
    &kPickle,  &kMobile,   &kExecuTorch, &kZipOfWeights, &kEmptyZip,
    &kGzip,    &kBzip2,    &kXz,         &kZstd,         &kLz4,
    &kPacked,  &kTar,      &kPicture,    &kPdf,          &kOffice,
    &kProgram, &kDatabase,
};

/// Bytes that every file of a kind has at one place.
struct Magic {
  size_t offset;
  std::string_view bytes;
  const Refusal* refusal;
};

constexpr std::array kMagics{
    Magic{0,
          {"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19", 14},
          &kLegacy},
    Magic{0, "version https://git-lfs", &kPointer},
    Magic{0, "\x89HDF", &kHdf5},
    Magic{0, "GGUF", &kGguf},
    Magic{0, "ggml", &kGgml},
    Magic{0, "\x93NUMPY", &kNumpy},
    Magic{4, "TFL3", &kTfLite},
    Magic{4, "PTMF", &kMobile},
    Magic{4, "ET12", &kExecuTorch},
    Magic{0, {"\x1f\x8b", 2}, &kGzip},
    Magic{0, "BZh", &kBzip2},
    Magic{0, {"\xfd\x37zXZ\0", 6}, &kXz},
    Magic{0, {"\x28\xb5\x2f\xfd", 4}, &kZstd},
    Magic{0, {"\x04\x22\x4d\x18", 4}, &kLz4},
    Magic{0, {"7z\xbc\xaf\x27\x1c", 6}, &kPacked},
    Magic{0, "Rar!", &kPacked},
    Magic{0, {"PK\x05\x06", 4}, &kEmptyZip},
    Magic{257, "ustar", &kTar},
    Magic{0, {"\xff\xd8\xff", 3}, &kPicture},
    Magic{0, {"\x89PNG", 4}, &kPicture},
    Magic{0, "GIF8", &kPicture},
    Magic{0, "RIFF", &kPicture},
    Magic{0, {"II*\0", 4}, &kPicture},
    Magic{0, {"MM\0*", 4}, &kPicture},
    Magic{4, "ftyp", &kPicture},
    Magic{0, "%PDF", &kPdf},
    Magic{0,
          {"\x7f"
           "ELF",
           4},
          &kProgram},
    Magic{0, "MZ", &kProgram},
    Magic{0, "SQLite format 3", &kDatabase},
};

std::string lower_extension(const std::string& path) {
  const size_t dot = path.find_last_of("./\\");
  std::string out;
  if (dot == std::string::npos || path[dot] != '.') return out;
  for (const char c : path.substr(dot + 1)) {
    out += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  return out;
}

/// ONNX, Core ML and TensorFlow graphs are protocol buffers whose first field
/// is a small version number.
const Refusal* protocol_buffer(std::string_view start,
                               const std::string& path) {
  const std::string extension = lower_extension(path);
  if (extension == "mlmodel") return &kCoreMl;
  if (extension == "msgpack") return &kFlax;
  if (extension == "pb" || extension == "keras" || extension == "h5") {
    return &kTensorFlow;
  }
  const bool versioned = start.size() > 2 && start[0] == 0x08 && start[1] > 0 &&
                         start[1] < 0x20 && (start[2] & 7) <= 2 &&
                         start[2] != 0;
  return extension == "onnx" || versioned ? &kGraph : nullptr;
}

/// Text of a server, a person or a program, in place of weights.
Foreign text_format(const MappedFile& file) {
  constexpr size_t kLooked = 4096;
  constexpr size_t kShown = 80;
  std::string_view text = file.view(0, std::min(file.size(), kLooked));
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  const size_t first = text.find_first_not_of(" \t\r\n\f\v");
  if (first == std::string_view::npos) return {&kBlank, ""};
  text.remove_prefix(first);
  const std::string_view line = text.substr(0, text.find_first_of("\r\n"));
  const std::string shown = in_quotes(line.substr(0, kShown));
  if (text.front() == '<') {
    if (text.starts_with("<?xml")) return {&kXml, shown};
    return {&kWebPage, ""};
  }
  // The last letter may be cut in two.
  std::string_view whole = text;
  while (file.size() > kLooked && !whole.empty() &&
         static_cast<unsigned char>(whole.back()) >= 0x80) {
    whole.remove_suffix(1);
  }
  const bool printable = std::all_of(whole.begin(), whole.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte >= 0x20 || byte == '\n' || byte == '\r' || byte == '\t';
  });
  if (!printable || !is_utf8(whole)) return {};
  if (text.front() == '{' && text.find("\"weight_map\"") != text.npos) {
    return {&kMisnamedIndex, ""};
  }
  if (text.front() == '{' || text.front() == '[') {
    const bool error = text.find("\"error\"") != text.npos ||
                       text.find("\"message\"") != text.npos;
    return {error ? &kServerError : &kJson, shown};
  }
  return {&kText, shown};
}

bool ends_with_one_of(const std::string& name,
                      std::initializer_list<std::string_view> ends) {
  return std::any_of(ends.begin(), ends.end(), [&](std::string_view end) {
    return name.ends_with(end);
  });
}

}  // namespace

Foreign foreign_format(const MappedFile& file) {
  for (const Magic& magic : kMagics) {
    if (file.size() >= magic.offset + magic.bytes.size() &&
        file.view(magic.offset, magic.bytes.size()) == magic.bytes) {
      return {magic.refusal, ""};
    }
  }
  const std::string_view start = file.view(0, std::min<size_t>(file.size(), 8));
  if (start[0] == '\x80' && start.size() > 1 && start[1] <= 5) {
    return {&kPickle, ""};
  }
  const Foreign text = text_format(file);
  if (text.refusal != nullptr) return text;
  return {protocol_buffer(start, file.path()), ""};
}

Foreign foreign_zip(const std::vector<std::string>& entries) {
  const auto find = [&](std::initializer_list<std::string_view> ends) {
    return std::find_if(entries.begin(), entries.end(), [&](const auto& name) {
      return ends_with_one_of(name, ends);
    });
  };
  if (find({".npy"}) != entries.end()) return {&kNumpyZip, ""};
  if (find({"model.weights.h5"}) != entries.end()) return {&kKeras, ""};
  if (find({"[Content_Types].xml"}) != entries.end()) return {&kOffice, ""};
  const auto weights = find({".safetensors", ".pt", ".pth", ".bin", ".ckpt"});
  if (weights != entries.end()) return {&kZipOfWeights, in_quotes(*weights)};
  return {};
}

void reject_foreign(const MappedFile& file, const Foreign& foreign) {
  if (foreign.refusal == nullptr) return;
  file.reject("expected safetensors or a torch.save file, found " +
              sentence(*foreign.refusal, foreign.seen) + ".");
}

std::vector<const Refusal*> foreign_formats() {
  return {kFormats.begin(), kFormats.end()};
}

}  // namespace declip
