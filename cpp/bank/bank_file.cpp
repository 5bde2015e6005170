#include "bank/bank_file.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <utility>

#include "declip/error.h"

namespace declip {
namespace {

constexpr uint64_t kFileMagic = 0x4b4e414250494c43;  // "CLIPBANK"
constexpr uint64_t kPartMagic = 0x5452415050494c43;  // "CLIPPART"
constexpr uint32_t kVersion = 1;
constexpr size_t kHead = 4096, kFirstCommit = 1024;
constexpr size_t kPartHead = kBankPartHead;
constexpr size_t kAlign = 64;
constexpr size_t kMostSets = 8;
constexpr int64_t kMostWidth = 1 << 16;
constexpr size_t kMostAbout = size_t{1} << 20;

struct FileHead {
  uint64_t magic;
  uint32_t version;
  uint32_t key_width;
  uint32_t sets;
  std::array<uint32_t, kMostSets> widths;
  uint32_t about_bytes;
  uint64_t about_checksum;
  uint64_t checksum;  // of what is before it
};
static_assert(sizeof(FileHead) == 72);

struct Commit {
  uint64_t generation;  // 1 or more
  uint64_t length;
  uint64_t parts;
  uint64_t pictures;
  uint64_t regions;
  uint64_t checksum;
};

struct PartHead {
  uint64_t magic;
  uint64_t bytes;  // of the part
  uint64_t pictures;
  uint64_t regions;
  uint64_t first;
  uint64_t name_bytes;
  uint64_t name_checksum;
  uint64_t data_checksum;
  uint64_t checksum;
};

size_t aligned(size_t n, size_t to = kAlign) { return (n + to - 1) / to * to; }

/// Of a head, whose checksum is its last member.
template <class Head>
uint64_t head_checksum(const Head& head) {
  return bank_checksum(&head, sizeof(Head) - sizeof(uint64_t));
}

/// Where the pieces of a part lie, from its beginning.
struct PartLayout {
  size_t scales, keys, end;
  std::vector<size_t> values;
};

/// Nothing where it would pass `most` bytes.
bool lay_out(size_t regions,
             size_t name_bytes,
             int64_t key_width,
             const std::vector<int64_t>& value_widths,
             size_t most,
             PartLayout& out) {
  size_t row = 4 + 2 * static_cast<size_t>(key_width);
  for (const int64_t width : value_widths)
    row += 2 * static_cast<size_t>(width);
  if (name_bytes > most || regions > most / row) return false;
  size_t at = aligned(kPartHead + name_bytes);
  const auto take = [&](size_t bytes) {
    return std::exchange(at, aligned(at + bytes));
  };
  out.scales = take(4 * regions);
  out.keys = take(2 * regions * static_cast<size_t>(key_width));
  out.values.clear();
  for (const int64_t width : value_widths) {
    out.values.push_back(take(2 * regions * static_cast<size_t>(width)));
  }
  out.end = at;
  return at <= most;
}

[[noreturn]] void damaged(const std::string& where, const std::string& what) {
  throw Error(ErrorCode::kWeights,
              where + ": " + what +
                  " The file is damaged or was cut off; take a copy, or build "
                  "the bank again.");
}

/// Every name is followed by the next, and there is no more.
bool names_fit(const BankPart& part) {
  size_t at = 0;
  uint64_t regions = 0;
  for (int64_t i = 0; i < part.pictures; ++i) {
    uint32_t head[2];
    if (part.name_bytes - at < sizeof(head)) return false;
    std::memcpy(head, part.names + at, sizeof(head));
    at += sizeof(head);
    if (part.name_bytes - at < head[1]) return false;
    at += head[1];
    regions += head[0];
  }
  return at == part.name_bytes &&
         regions == static_cast<uint64_t>(part.regions);
}

at::Tensor half_rows(const at::Tensor& rows,
                     int64_t count,
                     int64_t width,
                     const char* what) {
  if (!rows.defined() || rows.dim() != 2 || rows.size(0) != count ||
      rows.size(1) != width || !at::isFloatingType(rows.scalar_type())) {
    throw Error(ErrorCode::kInvalidArg,
                std::string("A bank's ") + what + " must be [" +
                    std::to_string(count) + ", " + std::to_string(width) +
                    "], one row for each region of its pictures.");
  }
  auto half = rows.to(at::kCPU, at::kHalf).contiguous();
  if (!at::isfinite(half).all().item<bool>()) {
    throw Error(ErrorCode::kInvalidArg,
                std::string("A bank's ") + what +
                    " must be finite numbers, and none larger than 65504.");
  }
  return half;
}

}  // namespace

uint64_t bank_checksum(const void* data, size_t bytes) {
  // Four lanes of multiply and rotate; each step can be undone, so that one
  // changed word changes the result.
  constexpr uint64_t kPrime = 0x9e3779b185ebca87;
  std::array<uint64_t, 4> lanes{1, 2, 3, 4};
  const auto* from = static_cast<const uint8_t*>(data);
  const auto mix = [](uint64_t lane, uint64_t word) {
    lane = (lane ^ word) * kPrime;
    return lane ^ (lane >> 29);
  };
  size_t i = 0;
  for (; i + 32 <= bytes; i += 32) {
    uint64_t words[4];
    std::memcpy(words, from + i, 32);
    for (size_t k = 0; k < 4; ++k) lanes[k] = mix(lanes[k], words[k]);
  }
  for (size_t k = 0; i < bytes; i += 8, k = (k + 1) % 4) {
    uint64_t word = 0;
    std::memcpy(&word, from + i, std::min<size_t>(8, bytes - i));
    lanes[k] = mix(lanes[k], word);
  }
  uint64_t out = mix(0, bytes);
  for (const uint64_t lane : lanes) out = mix(out, lane);
  return out;
}

BankPart read_bank_part(const uint8_t* bytes,
                        size_t available,
                        int64_t first_id,
                        int64_t key_width,
                        const std::vector<int64_t>& value_widths,
                        size_t& size,
                        const std::string& where) {
  PartHead head;
  if (available < kPartHead) damaged(where, "A part is missing.");
  std::memcpy(&head, bytes, sizeof(head));
  PartLayout layout;
  if (head.magic != kPartMagic || head.checksum != head_checksum(head) ||
      head.first != static_cast<uint64_t>(first_id) ||
      head.regions > (uint64_t{1} << 40) || head.pictures > head.regions ||
      !lay_out(head.regions,
               head.name_bytes,
               key_width,
               value_widths,
               available,
               layout) ||
      layout.end != head.bytes) {
    damaged(where, "The head of a part is not what was written.");
  }
  BankPart part;
  part.first = first_id;
  part.regions = static_cast<int64_t>(head.regions);
  part.pictures = static_cast<int64_t>(head.pictures);
  part.names = bytes + kPartHead;
  part.name_bytes = head.name_bytes;
  if (bank_checksum(part.names, part.name_bytes) != head.name_checksum ||
      !names_fit(part)) {
    damaged(where, "The names of a part's pictures are not what was written.");
  }
  part.scales = reinterpret_cast<const float*>(bytes + layout.scales);
  part.keys = reinterpret_cast<const uint16_t*>(bytes + layout.keys);
  for (const size_t at : layout.values) {
    part.values.push_back(reinterpret_cast<const uint16_t*>(bytes + at));
  }
  part.data = bytes + layout.scales;
  part.data_bytes = layout.end - layout.scales;
  part.checksum = head.data_checksum;
  size = layout.end;
  return part;
}

BankFile open_bank_file(const std::string& path) {
  BankFile out;
  out.file = MappedFile::open(path);
  const auto& file = *out.file;
  FileHead head;
  if (file.size() < kHead || (std::memcpy(&head, file.data(), sizeof(head)),
                              head.magic != kFileMagic)) {
    file.reject(
        "this is no bank; `declip bank build` and bank.save() write them.");
  }
  if (head.version != kVersion) {
    file.reject("this bank has version " + std::to_string(head.version) +
                " of its format, and this release reads version " +
                std::to_string(kVersion) + "; update declip-native.");
  }
  bool fits = head.checksum == head_checksum(head) && head.sets >= 1 &&
              head.sets <= kMostSets && head.key_width >= 1 &&
              head.key_width <= kMostWidth && head.about_bytes <= kMostAbout &&
              head.about_bytes <= file.size() - kHead;
  if (fits) {
    for (size_t i = 0; i < head.sets; ++i) {
      fits = fits && head.widths[i] >= 1 && head.widths[i] <= kMostWidth;
      out.info.value_widths.push_back(head.widths[i]);
    }
    fits = fits && bank_checksum(file.data() + kHead, head.about_bytes) ==
                       head.about_checksum;
  }
  if (!fits) damaged(path, "Its head is not what was written.");
  out.info.key_width = head.key_width;
  out.info.about = file.view(kHead, head.about_bytes);

  Commit commit{};
  for (const size_t at : {kFirstCommit, 2 * kFirstCommit}) {
    Commit found;
    std::memcpy(&found, file.data() + at, sizeof(found));
    if (found.generation > commit.generation &&
        found.checksum == head_checksum(found)) {
      commit = found;
    }
  }
  size_t at = aligned(kHead + head.about_bytes, kHead);
  if (commit.generation == 0) damaged(path, "Neither of its commits is whole.");
  if (commit.length > file.size() || commit.length < at ||
      commit.parts > commit.length / kPartHead) {
    damaged(path,
            "It should have " + std::to_string(commit.length) +
                " bytes and has " + std::to_string(file.size()) + ".");
  }
  out.generation = commit.generation;
  out.length = commit.length;
  auto& info = out.info;
  for (uint64_t i = 0; i < commit.parts; ++i) {
    size_t size = 0;
    out.parts.push_back(read_bank_part(file.data() + at,
                                       out.length - at,
                                       info.regions,
                                       info.key_width,
                                       info.value_widths,
                                       size,
                                       path));
    info.regions += out.parts.back().regions;
    info.pictures += out.parts.back().pictures;
    at += size;
  }
  if (at != out.length ||
      static_cast<uint64_t>(info.regions) != commit.regions ||
      static_cast<uint64_t>(info.pictures) != commit.pictures) {
    damaged(path, "Its parts are not what was committed.");
  }
  file.check();
  info.parts = static_cast<int64_t>(out.parts.size());
  info.bytes = static_cast<int64_t>(out.length);
  info.unfinished = static_cast<int64_t>(file.size() - out.length);
  return out;
}

PackedPart pack_bank_part(const BankRows& rows,
                          int64_t key_width,
                          const std::vector<int64_t>& value_widths,
                          int64_t first_id) {
  PackedPart part;
  size_t name_bytes = 0;
  if (rows.names.size() != rows.counts.size()) {
    throw Error(ErrorCode::kInvalidArg,
                "A bank needs a number of regions for each of its pictures.");
  }
  for (size_t i = 0; i < rows.names.size(); ++i) {
    const int64_t count = rows.counts[i];
    if (count < 1 || count > std::numeric_limits<uint32_t>::max() ||
        rows.names[i].empty() || rows.names[i].size() > kHead) {
      throw Error(ErrorCode::kInvalidArg,
                  "A picture in a bank needs a name of 1 to 4096 bytes and at "
                  "least one region.");
    }
    name_bytes += 8 + rows.names[i].size();
    part.regions += count;
  }
  part.pictures = static_cast<int64_t>(rows.names.size());
  if (rows.values.size() != value_widths.size()) {
    throw Error(ErrorCode::kInvalidArg,
                "A bank needs values of each of its encoders.");
  }
  PartLayout layout;
  if (!lay_out(static_cast<size_t>(part.regions),
               name_bytes,
               key_width,
               value_widths,
               size_t{1} << 46,
               layout)) {
    throw Error(ErrorCode::kInvalidArg, "Too many regions for one part.");
  }
  const auto keys = half_rows(rows.keys, part.regions, key_width, "keys");
  part.bytes.resize(layout.end);
  uint8_t* out = part.bytes.data();
  uint8_t* name = out + kPartHead;
  for (size_t i = 0; i < rows.names.size(); ++i) {
    const uint32_t head[2] = {static_cast<uint32_t>(rows.counts[i]),
                              static_cast<uint32_t>(rows.names[i].size())};
    std::memcpy(name, head, sizeof(head));
    std::memcpy(name + sizeof(head), rows.names[i].data(), head[1]);
    name += sizeof(head) + head[1];
  }
  if (part.regions > 0) {
    const auto scales =
        (1 / (keys.to(at::kFloat).norm(2, {1}) + 1e-12)).contiguous();
    std::memcpy(out + layout.scales, scales.const_data_ptr(), scales.nbytes());
    std::memcpy(out + layout.keys, keys.const_data_ptr(), keys.nbytes());
    for (size_t i = 0; i < value_widths.size(); ++i) {
      const auto values =
          half_rows(rows.values[i], part.regions, value_widths[i], "values");
      std::memcpy(
          out + layout.values[i], values.const_data_ptr(), values.nbytes());
    }
  }
  PartHead head{};
  head.magic = kPartMagic;
  head.bytes = layout.end;
  head.pictures = static_cast<uint64_t>(part.pictures);
  head.regions = static_cast<uint64_t>(part.regions);
  head.first = static_cast<uint64_t>(first_id);
  head.name_bytes = name_bytes;
  head.name_checksum = bank_checksum(out + kPartHead, name_bytes);
  head.data_checksum =
      bank_checksum(out + layout.scales, layout.end - layout.scales);
  head.checksum = head_checksum(head);
  std::memcpy(out, &head, sizeof(head));
  return part;
}

std::vector<uint8_t> bank_commit(uint64_t generation,
                                 size_t length,
                                 int64_t parts,
                                 int64_t pictures,
                                 int64_t regions) {
  Commit commit{generation,
                length,
                static_cast<uint64_t>(parts),
                static_cast<uint64_t>(pictures),
                static_cast<uint64_t>(regions),
                0};
  commit.checksum = head_checksum(commit);
  std::vector<uint8_t> bytes(sizeof(commit));
  std::memcpy(bytes.data(), &commit, sizeof(commit));
  return bytes;
}

size_t bank_commit_place(uint64_t generation) {
  return generation % 2 == 1 ? kFirstCommit : 2 * kFirstCommit;
}

std::vector<uint8_t> bank_file_head(const std::string& about,
                                    int64_t key_width,
                                    const std::vector<int64_t>& value_widths,
                                    const PackedPart* part) {
  bool fits = key_width >= 1 && key_width <= kMostWidth &&
              about.size() <= kMostAbout && !value_widths.empty() &&
              value_widths.size() <= kMostSets;
  for (const int64_t width : value_widths)
    fits = fits && width >= 1 && width <= kMostWidth;
  if (!fits) {
    throw Error(ErrorCode::kInvalidArg,
                "A bank has keys and 1 to 8 sets of values, of 1 to 65536 "
                "numbers each.");
  }
  std::vector<uint8_t> bytes(aligned(kHead + about.size(), kHead));
  FileHead head{};
  head.magic = kFileMagic;
  head.version = kVersion;
  head.key_width = static_cast<uint32_t>(key_width);
  head.sets = static_cast<uint32_t>(value_widths.size());
  for (size_t i = 0; i < value_widths.size(); ++i)
    head.widths[i] = static_cast<uint32_t>(value_widths[i]);
  head.about_bytes = static_cast<uint32_t>(about.size());
  head.about_checksum = bank_checksum(about.data(), about.size());
  head.checksum = head_checksum(head);
  std::memcpy(bytes.data(), &head, sizeof(head));
  std::memcpy(bytes.data() + kHead, about.data(), about.size());
  const auto commit =
      bank_commit(1,
                  bytes.size() + (part ? part->bytes.size() : 0),
                  part ? 1 : 0,
                  part ? part->pictures : 0,
                  part ? part->regions : 0);
  std::copy(commit.begin(), commit.end(), bytes.begin() + kFirstCommit);
  return bytes;
}

}  // namespace declip
