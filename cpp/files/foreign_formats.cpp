#include "files/foreign_formats.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstddef>

#include "files/text.h"

namespace declip {
namespace {

/// Bytes that every file of a kind has at one place.
struct Magic {
  size_t offset;
  std::string_view bytes;
  std::string_view what;
};

constexpr std::string_view kUnpack = "a packed file; unpack it first";
constexpr std::string_view kPicture = "a picture, not weights";

constexpr std::array kMagics{
    Magic{0,
          {"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19", 14},
          "a file in torch.save's legacy format (before PyTorch 1.6); load it "
          "with PyTorch and torch.save() it again"},
    Magic{0,
          "version https://git-lfs",
          "a Git LFS pointer, not the weights; run `git lfs pull` or download "
          "the file itself"},
    Magic{0,
          "\x89HDF",
          "an HDF5 file (Keras, TensorFlow); take the PyTorch or safetensors "
          "file of the model"},
    Magic{0,
          "GGUF",
          "a GGUF file (llama.cpp), whose weights are packed for it; take the "
          "PyTorch or safetensors file of the model"},
    Magic{0,
          "ggml",
          "a GGML file; take the PyTorch or safetensors file of the model"},
    Magic{0,
          "\x93NUMPY",
          "a NumPy array; save all tensors of the model with safetensors or "
          "torch.save()"},
    Magic{4,
          "TFL3",
          "a TensorFlow Lite model; take the PyTorch or safetensors file of "
          "the model"},
    Magic{4, "PTMF", "a PyTorch mobile model; take the file it was made from"},
    Magic{4, "ET12", "an ExecuTorch program; take the file it was made from"},
    Magic{0, {"\x1f\x8b", 2}, "a gzip file; unpack it first (gunzip)"},
    Magic{0, "BZh", "a bzip2 file; unpack it first (bunzip2)"},
    Magic{0, {"\xfd\x37zXZ\0", 6}, "an xz file; unpack it first (unxz)"},
    Magic{0, {"\x28\xb5\x2f\xfd", 4}, "a Zstandard file; unpack it first"},
    Magic{0, {"\x04\x22\x4d\x18", 4}, "an LZ4 file; unpack it first"},
    Magic{0, {"7z\xbc\xaf\x27\x1c", 6}, kUnpack},
    Magic{0, "Rar!", kUnpack},
    Magic{0, {"PK\x05\x06", 4}, "an empty zip file; download it again"},
    Magic{257, "ustar", "a tar archive; unpack it first"},
    Magic{0, {"\xff\xd8\xff", 3}, kPicture},
    Magic{0, {"\x89PNG", 4}, kPicture},
    Magic{0, "GIF8", kPicture},
    Magic{0, "RIFF", "a picture or sound, not weights"},
    Magic{0, {"II*\0", 4}, kPicture},
    Magic{0, {"MM\0*", 4}, kPicture},
    Magic{4, "ftyp", "a picture or film, not weights"},
    Magic{0, "%PDF", "a PDF, not weights"},
    Magic{0,
          {"\x7f"
           "ELF",
           4},
          "a program or library, not weights"},
    Magic{0, "MZ", "a program or library, not weights"},
    Magic{0, "SQLite format 3", "an SQLite database, not weights"},
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
std::string protocol_buffer(std::string_view start, const std::string& path) {
  const std::string extension = lower_extension(path);
  if (extension == "mlmodel") {
    return "a Core ML model; take the file it was made from";
  }
  if (extension == "msgpack") {
    return "a Flax file; take the PyTorch or safetensors file of the model";
  }
  const bool versioned = start.size() > 2 && start[0] == 0x08 && start[1] > 0 &&
                         start[1] < 0x20 && (start[2] & 7) <= 2 &&
                         start[2] != 0;
  if (extension == "pb" || extension == "keras" || extension == "h5") {
    return "a TensorFlow file; take the PyTorch or safetensors file of the "
           "model";
  }
  if (extension == "onnx" || versioned) {
    return "an ONNX, Core ML or TensorFlow graph; take the PyTorch or "
           "safetensors file it was made from";
  }
  return "";
}

/// Text of a server, a person or a program, in place of weights.
std::string text_format(const MappedFile& file) {
  constexpr size_t kLooked = 4096;
  constexpr size_t kShown = 80;
  std::string_view text = file.view(0, std::min(file.size(), kLooked));
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  const size_t first = text.find_first_not_of(" \t\r\n\f\v");
  if (first == std::string_view::npos) {
    return "nothing but blanks; download it again";
  }
  text.remove_prefix(first);
  const auto shown = [&] {
    std::string_view line = text.substr(0, text.find_first_of("\r\n"));
    return in_quotes(line.substr(0, kShown));
  };
  if (text.front() == '<') {
    return text.starts_with("<?xml")
               ? "XML, perhaps the error answer of a server (" + shown() +
                     "); download the file itself"
               : "a web page; download the file itself (of Hugging Face, by "
                 "its 'resolve' address)";
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
  if (!printable || !is_utf8(whole)) return "";
  if (text.front() == '{' && text.find("\"weight_map\"") != text.npos) {
    return "the index of a checkpoint in several files; name it "
           "model.safetensors.index.json (or pytorch_model.bin.index.json), "
           "beside those files";
  }
  if (text.front() == '{' || text.front() == '[') {
    const bool error = text.find("\"error\"") != text.npos ||
                       text.find("\"message\"") != text.npos;
    return error ? "the error answer of a server (" + shown() +
                       "); download the file itself"
                 : "JSON text (" + shown() + "), not weights";
  }
  return "text (" + shown() +
         "), perhaps the error answer of a server; download the file itself";
}

bool ends_with_one_of(const std::string& name,
                      std::initializer_list<std::string_view> ends) {
  return std::any_of(ends.begin(), ends.end(), [&](std::string_view end) {
    return name.ends_with(end);
  });
}

}  // namespace

std::string foreign_format(const MappedFile& file) {
  for (const Magic& magic : kMagics) {
    if (file.size() >= magic.offset + magic.bytes.size() &&
        file.view(magic.offset, magic.bytes.size()) == magic.bytes) {
      return std::string(magic.what);
    }
  }
  const std::string_view start = file.view(0, std::min<size_t>(file.size(), 8));
  if (start[0] == '\x80' && start.size() > 1 && start[1] <= 5) {
    return "a bare pickle; load it with PyTorch and torch.save() it again";
  }
  const std::string text = text_format(file);
  return text.empty() ? protocol_buffer(start, file.path()) : text;
}

std::string foreign_zip(const std::vector<std::string>& entries) {
  const auto find = [&](std::initializer_list<std::string_view> ends) {
    return std::find_if(entries.begin(), entries.end(), [&](const auto& name) {
      return ends_with_one_of(name, ends);
    });
  };
  if (find({".npy"}) != entries.end()) {
    return "NumPy arrays (.npz); save all tensors of the model with "
           "safetensors or torch.save()";
  }
  if (find({"model.weights.h5"}) != entries.end()) {
    return "a Keras model; take the PyTorch or safetensors file of the model";
  }
  if (find({"[Content_Types].xml"}) != entries.end()) {
    return "an Office document, not weights";
  }
  const auto weights = find({".safetensors", ".pt", ".pth", ".bin", ".ckpt"});
  if (weights != entries.end()) {
    return "a zip file that holds " + in_quotes(*weights) + "; unpack it first";
  }
  return "";
}

}  // namespace declip
