#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "declip/call.h"
#include "declip/encoded_image.h"

namespace declip {

/// Regions of some pictures, one row for each.
struct BankRows {
  /// Of every picture its name (unique in a bank) and number of regions.
  std::vector<std::string> names;
  std::vector<int64_t> counts;
  at::Tensor keys;                 // [N, C], floating point
  std::vector<at::Tensor> values;  // of every encoder [N, E], floating point
};

/// The best rows of every query, best first.
struct Neighbours {
  at::Tensor ids;  // int64 [Q, K], -1 where there are no more rows
  /// float32 [Q, K]: cosines times the queries' lengths.
  at::Tensor scores;
};

/// What a file holds beside its rows.
struct BankInfo {
  std::string about;  // JSON, as its maker wrote it
  int64_t regions = 0;
  int64_t pictures = 0;
  int64_t parts = 0;  // that were added one after another
  int64_t bytes = 0;
  int64_t unfinished = 0;  // bytes of an interrupted addition, which are unused
  int64_t key_width = 0;
  std::vector<int64_t> value_widths;  // of every encoder
};

/// A bank of regions of unlabelled pictures: a key to find each by, and what
/// image encoders say of it. Rows are float16; row numbers never change.
/// CorrCLIP v2, github.com/zdk258/CorrCLIP. Immutable, and shared between
/// calls.
///
/// A file is mapped: a search streams its keys through memory. Its parts are
/// described in cpp/bank/bank_file.h.
class Bank {
 public:
  /// Throws Error(kIo) where the file cannot be read, Error(kWeights) where it
  /// is no bank or is damaged. Rows themselves are not looked at: verify().
  static std::shared_ptr<const Bank> open(const std::string& path);
  /// In memory. Throws Error(kInvalidArg) for rows that do not fit.
  static std::shared_ptr<const Bank> from_rows(const std::string& about,
                                               const BankRows& rows);
  ~Bank();

  const BankInfo& info() const;
  /// Names of pictures and their numbers of regions, in order.
  void pictures(std::vector<std::string>& names,
                std::vector<int64_t>& counts) const;

  /// The keys nearest to queries float32 [Q, C]: exact products of the float16
  /// keys, of equal ones the lower id first, whatever the number of threads.
  /// k 1 or more.
  Neighbours search(const at::Tensor& queries,
                    int64_t k,
                    const Call& call) const;
  /// Unit length of the mean of rows' values, float32 [Q, E]: `ids` as search()
  /// gives them; `set` is the encoder's place.
  at::Tensor mean_values(size_t set, const at::Tensor& ids) const;
  /// Rows first..last: float16, sharing no memory.
  BankRows rows(int64_t first, int64_t last) const;

  /// Reads everything and compares its checksums. Throws Error(kWeights).
  void verify(const Call& call) const;
  /// Writes the bank as a file of one part, whole or not at all.
  void save(const std::string& path, const Call& call) const;

 private:
  struct State;
  explicit Bank(std::unique_ptr<const State> state);
  std::unique_ptr<const State> state_;
};

/// Adds pictures to a bank's file, which is made where there is none. Once this
/// has returned they are there for good; killed before, none of them is. One
/// process at a time, which the caller sees to; those who have the file open
/// see what it held when they opened it. Keys and values become float16.
/// Throws Error(kInvalidArg) where `about` or widths are not the file's, and as
/// Bank::open().
void add_to_bank(const std::string& path,
                 const std::string& about,
                 const BankRows& rows);

/// What a picture gives a bank: a row for each number above 0 of its region
/// map `options.regions`, ascending, of the picture's own size.
struct PictureRows {
  at::Tensor keys;    // float32 [R, C]; undefined without a key model
  at::Tensor values;  // float32 [R, E], of unit length
};

/// Values are the encoder's features, not normalised, averaged over windows and
/// the pixels of a region; keys the mean over its pixels of the key model's
/// unit features of the whole picture, which are not normalised again.
PictureRows picture_rows(const Model& model,
                         const Picture& picture,
                         const EncodeOptions& options,
                         const Model* key_model,
                         const Call& call);

}  // namespace declip
