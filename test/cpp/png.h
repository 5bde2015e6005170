#pragma once

#include <ATen/ATen.h>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <vector>

#include "checkpoint_files.h"

/// Pictures of the fixtures: PNG files of 8 bits, RGB or grey, not interlaced.
namespace png {

/// RFC 1951, as plainly as it can be written.
class Inflate {
 public:
  explicit Inflate(const std::string& bytes) : in_(bytes) {}

  std::string all() {
    bool last = false;
    while (!last) {
      last = bits(1) == 1;
      switch (bits(2)) {
        case 0:
          stored();
          break;
        case 1:
          fixed();
          break;
        case 2:
          dynamic();
          break;
        default:
          throw std::runtime_error("png: no such block");
      }
    }
    return out_;
  }

 private:
  struct Code {
    std::array<int, 16> count{};
    std::vector<int> symbols;

    explicit Code(const std::vector<int>& lengths) {
      for (const int length : lengths) ++count[static_cast<size_t>(length)];
      count[0] = 0;
      std::array<int, 17> at{};
      for (size_t i = 1; i < 16; ++i) at[i + 1] = at[i] + count[i];
      symbols.resize(lengths.size());
      for (size_t s = 0; s < lengths.size(); ++s) {
        const auto length = static_cast<size_t>(lengths[s]);
        if (length > 0)
          symbols[static_cast<size_t>(at[length]++)] = static_cast<int>(s);
      }
    }
  };

  int bits(int n) {
    int value = 0;
    for (int i = 0; i < n; ++i, ++bit_) {
      const auto byte = static_cast<uint8_t>(in_.at(bit_ / 8));
      value |= (byte >> bit_ % 8 & 1) << i;
    }
    return value;
  }

  int symbol(const Code& code) {
    int value = 0, first = 0, index = 0;
    for (size_t length = 1; length < 16; ++length) {
      value |= bits(1);
      const int count = code.count[length];
      if (value - count < first)
        return code.symbols[static_cast<size_t>(index + value - first)];
      index += count;
      first = (first + count) << 1;
      value <<= 1;
    }
    throw std::runtime_error("png: no such code");
  }

  void stored() {
    bit_ = (bit_ + 7) / 8 * 8;
    const auto length = static_cast<size_t>(bits(16));
    bits(16);
    out_ += in_.substr(bit_ / 8, length);
    bit_ += 8 * length;
  }

  void fixed() {
    std::vector<int> literals(288, 8);
    for (size_t i = 144; i < 256; ++i) literals[i] = 9;
    for (size_t i = 256; i < 280; ++i) literals[i] = 7;
    block(Code(literals), Code(std::vector<int>(30, 5)));
  }

  void dynamic() {
    constexpr std::array kOrder{
        16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15};
    const auto literals = static_cast<size_t>(bits(5) + 257);
    const auto distances = static_cast<size_t>(bits(5) + 1);
    const int count = bits(4) + 4;
    std::vector<int> lengths(19);
    for (int i = 0; i < count; ++i)
      lengths[static_cast<size_t>(kOrder[static_cast<size_t>(i)])] = bits(3);
    const Code code(lengths);
    std::vector<int> all;
    while (all.size() < literals + distances) {
      const int s = symbol(code);
      if (s < 16) {
        all.push_back(s);
        continue;
      }
      const int value = s == 16 ? all.back() : 0;
      const int repeat = s == 16   ? 3 + bits(2)
                         : s == 17 ? 3 + bits(3)
                                   : 11 + bits(7);
      all.insert(all.end(), static_cast<size_t>(repeat), value);
    }
    const auto middle = all.begin() + static_cast<std::ptrdiff_t>(literals);
    block(Code({all.begin(), middle}), Code({middle, all.end()}));
  }

  void block(const Code& literals, const Code& distances) {
    for (int s = symbol(literals); s != 256; s = symbol(literals)) {
      if (s < 256) {
        out_ += static_cast<char>(s);
        continue;
      }
      int length = s - 254;
      if (s >= 265 && s < 285) {
        const int extra = (s - 261) / 4;
        length = ((4 + (s - 265) % 4) << extra) + 3 + bits(extra);
      }
      if (s == 285) length = 258;  // without extra bits
      const int d = symbol(distances);
      int distance = d + 1;
      if (d >= 4) {
        const int extra = d / 2 - 1;
        distance = ((2 + d % 2) << extra) + 1 + bits(extra);
      }
      for (int i = 0; i < length; ++i)
        out_ += out_.at(out_.size() - static_cast<size_t>(distance));
    }
  }

  const std::string& in_;
  size_t bit_ = 0;
  std::string out_;
};

/// [H, W, 3] uint8, or [H, W, 1] of a grey picture, and [H, W, 2] of one of 16
/// bits, the high byte first.
inline at::Tensor read(const std::string& path) {
  const std::string file = files::read(path);
  const auto number = [&](size_t at) {
    uint32_t value = 0;
    for (size_t i = 0; i < 4; ++i)
      value = value << 8 | static_cast<uint8_t>(file.at(at + i));
    return value;
  };
  const int64_t width = number(16), height = number(20);
  const int color = file.at(25);
  const int depth = file.at(24);
  if ((depth != 8 && (depth != 16 || color != 0)) ||
      (color != 0 && color != 2) || file.at(28) != 0)
    throw std::runtime_error(path +
                             ": not 8 bits RGB or grey, or 16 bits grey");
  const int64_t channels = color == 2 ? 3 : depth / 8;
  std::string packed;
  for (size_t at = 8; at < file.size(); at += 12 + number(at)) {
    if (file.compare(at + 4, 4, "IDAT") == 0)
      packed += file.substr(at + 8, number(at));
  }
  const std::string stream = packed.substr(2);
  const std::string lines = Inflate(stream).all();
  auto out = at::zeros({height, width, channels}, at::kByte);
  auto* pixels = out.mutable_data_ptr<uint8_t>();
  const int64_t row = channels * width;
  for (int64_t y = 0; y < height; ++y) {
    const auto filter = lines.at(static_cast<size_t>(y * (row + 1)));
    for (int64_t x = 0; x < row; ++x) {
      const int raw = static_cast<uint8_t>(
          lines.at(static_cast<size_t>(y * (row + 1) + 1 + x)));
      const int a = x < channels ? 0 : pixels[y * row + x - channels];
      const int b = y < 1 ? 0 : pixels[(y - 1) * row + x];
      const int c =
          x < channels || y < 1 ? 0 : pixels[(y - 1) * row + x - channels];
      int guess = 0;
      if (filter == 1) guess = a;
      if (filter == 2) guess = b;
      if (filter == 3) guess = (a + b) / 2;
      if (filter == 4) {
        const int p = a + b - c;
        const int pa = std::abs(p - a), pb = std::abs(p - b);
        const int pc = std::abs(p - c);
        guess = pa <= pb && pa <= pc ? a : pb <= pc ? b : c;
      }
      pixels[y * row + x] = static_cast<uint8_t>(raw + guess);
    }
  }
  return out;
}

}  // namespace png
