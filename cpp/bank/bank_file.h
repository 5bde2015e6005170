#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "declip/bank.h"
#include "files/mapped_file.h"

namespace declip {

// A bank's file, little-endian:
//
//   0     header: magic, version, widths, length and checksum of `about`
//   1024  two commits of 64 bytes, 1024 apart: generation, length of the file,
//   2048  numbers of parts, pictures and regions, checksum. The valid one of
//         the higher generation counts; an addition writes the other, last.
//   4096  `about`, then from the next multiple of 4096 the parts
//
// A part has a header of 128 bytes, the pictures (number of regions and length
// of the name, 4 bytes each, then the name), 1 / length of every key as
// float32, the keys, and the values of each encoder, all float16; each begins
// at a multiple of 64. What lies beyond the committed length is an addition
// that was interrupted.

inline constexpr size_t kBankPartHead = 128;

/// Rows that lie together, in a file or in memory.
struct BankPart {
  int64_t first = 0;  // id of row 0
  int64_t regions = 0;
  int64_t pictures = 0;
  const uint8_t* names = nullptr;
  size_t name_bytes = 0;
  const float* scales = nullptr;
  const uint16_t* keys = nullptr;
  std::vector<const uint16_t*> values;
  // Of a file:
  const uint8_t* data = nullptr;  // from the scales to the end
  size_t data_bytes = 0;
  uint64_t checksum = 0;
};

struct BankFile {
  std::shared_ptr<const MappedFile> file;
  BankInfo info;
  std::vector<BankPart> parts;
  uint64_t generation = 0;
  size_t length = 0;  // committed
};

/// Reads and checks everything but the rows.
/// Throws Error(kIo), Error(kWeights).
BankFile open_bank_file(const std::string& path);

/// Of any bytes; every change of up to 8 adjoining bytes changes it.
uint64_t bank_checksum(const void* data, size_t bytes);

/// Rows in a part's form, and where each piece is.
struct PackedPart {
  std::vector<uint8_t> bytes;  // header and all
  int64_t pictures = 0;
  int64_t regions = 0;
};

/// Throws Error(kInvalidArg) for rows that do not fit together or the widths.
PackedPart pack_bank_part(const BankRows& rows,
                          int64_t key_width,
                          const std::vector<int64_t>& value_widths,
                          int64_t first_id);

/// A part over packed bytes, which must stay where they are.
BankPart read_bank_part(const uint8_t* bytes,
                        size_t available,
                        int64_t first_id,
                        int64_t key_width,
                        const std::vector<int64_t>& value_widths,
                        size_t& size,
                        const std::string& where);

/// The commit of a generation, and where it stands in the file.
std::vector<uint8_t> bank_commit(uint64_t generation,
                                 size_t length,
                                 int64_t parts,
                                 int64_t pictures,
                                 int64_t regions);
size_t bank_commit_place(uint64_t generation);

/// The first 4096 bytes and `about`, up to where the parts begin, with a commit
/// of one part or none.
std::vector<uint8_t> bank_file_head(const std::string& about,
                                    int64_t key_width,
                                    const std::vector<int64_t>& value_widths,
                                    const PackedPart* part);

}  // namespace declip
