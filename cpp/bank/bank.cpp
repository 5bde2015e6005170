#include "declip/bank.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <functional>
#include <mutex>

#include "bank/bank_file.h"
#include "declip/error.h"
#include "files/atomic_file.h"
#include "kernels/top_rows.h"

#ifdef _WIN32
#include <io.h>
#else
#include <unistd.h>
#endif

namespace declip {

struct Bank::State {
  BankFile file;                   // `file.file` is null in memory
  std::vector<uint8_t> in_memory;  // the one part

  const std::vector<BankPart>& parts() const { return file.parts; }
  void check() const {
    if (file.file) file.file->check();
  }
  /// The part that holds row `id`.
  const BankPart& part_of(int64_t id) const {
    const auto after = std::upper_bound(
        parts().begin(), parts().end(), id, [](int64_t at, const BankPart& p) {
          return at < p.first;
        });
    return *(after - 1);
  }
};

namespace {

/// Rows between two looks at whether the call was cancelled.
constexpr int64_t kRowsAtATime = 4096;
/// Queries that go over the keys together.
constexpr int64_t kQueriesAtATime = 480;
constexpr int64_t kMostNeighbours = 1 << 16;

struct Stretch {
  const BankPart* part;
  int64_t begin, end;
};

std::vector<Stretch> stretches_of(const std::vector<BankPart>& parts) {
  std::vector<Stretch> out;
  for (const auto& part : parts) {
    for (int64_t row = 0; row < part.regions; row += kRowsAtATime) {
      out.push_back({&part, row, std::min(row + kRowsAtATime, part.regions)});
    }
  }
  return out;
}

void merge_into(TopRows& all, const TopRows& some, int64_t queries) {
  const auto better = [](const FoundRow& a, const FoundRow& b) {
    return a.score != b.score ? a.score > b.score : a.id < b.id;
  };
  std::vector<FoundRow> both;
  for (int64_t q = 0; q < queries; ++q) {
    FoundRow* own = all.found.data() + q * all.most;
    const FoundRow* more = some.found.data() + q * all.most;
    auto& count = all.counts[static_cast<size_t>(q)];
    const auto added = some.counts[static_cast<size_t>(q)];
    both.resize(static_cast<size_t>(count + added));
    std::merge(own, own + count, more, more + added, both.begin(), better);
    count = std::min<int64_t>(count + added, all.most);
    std::copy_n(both.begin(), count, own);
  }
}

at::Tensor copied_rows(
    const std::vector<BankPart>& parts,
    int64_t first,
    int64_t last,
    int64_t width,
    const std::function<const uint16_t*(const BankPart&)>& of) {
  auto out = at::empty({last - first, width}, at::kHalf);
  auto* to = static_cast<uint16_t*>(out.mutable_data_ptr());
  for (const auto& part : parts) {
    const int64_t begin = std::max(first, part.first);
    const int64_t end = std::min(last, part.first + part.regions);
    if (begin >= end) continue;
    std::memcpy(to + (begin - first) * width,
                of(part) + (begin - part.first) * width,
                static_cast<size_t>((end - begin) * width) * 2);
  }
  return out;
}

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

[[noreturn]] void cannot_add(const std::string& path) {
  throw Error(ErrorCode::kIo,
              "Cannot add to " + path + ": " + std::strerror(errno) +
                  ". What it held before is still there.");
}

void write_at(std::FILE* file,
              const std::string& path,
              size_t at,
              const std::vector<uint8_t>& bytes) {
#ifdef _WIN32
  const bool placed =
      ::_fseeki64(file, static_cast<int64_t>(at), SEEK_SET) == 0;
#else
  const bool placed = ::fseeko(file, static_cast<off_t>(at), SEEK_SET) == 0;
#endif
  if (!placed ||
      std::fwrite(bytes.data(), 1, bytes.size(), file) != bytes.size() ||
      std::fflush(file) != 0) {
    cannot_add(path);
  }
#ifdef _WIN32
  if (::_commit(::_fileno(file)) != 0) cannot_add(path);
#else
  if (::fsync(::fileno(file)) != 0) cannot_add(path);
#endif
}

std::vector<int64_t> widths_of(const BankRows& rows) {
  std::vector<int64_t> widths;
  for (const auto& values : rows.values) {
    widths.push_back(values.dim() == 2 ? values.size(1) : 0);
  }
  return widths;
}

}  // namespace

Bank::Bank(std::unique_ptr<const State> state) : state_(std::move(state)) {}
Bank::~Bank() = default;

const BankInfo& Bank::info() const { return state_->file.info; }

std::shared_ptr<const Bank> Bank::open(const std::string& path) {
  auto state = std::make_unique<State>();
  state->file = open_bank_file(path);
  return std::shared_ptr<const Bank>(new Bank(std::move(state)));
}

std::shared_ptr<const Bank> Bank::from_rows(const std::string& about,
                                            const BankRows& rows) {
  const c10::InferenceMode guard;
  auto state = std::make_unique<State>();
  auto& info = state->file.info;
  info.about = about;
  info.key_width =
      rows.keys.defined() && rows.keys.dim() == 2 ? rows.keys.size(1) : 0;
  info.value_widths = widths_of(rows);
  bank_file_head(about, info.key_width, info.value_widths, nullptr);  // checks
  state->in_memory =
      pack_bank_part(rows, info.key_width, info.value_widths, 0).bytes;
  size_t size = 0;
  state->file.parts.push_back(read_bank_part(state->in_memory.data(),
                                             state->in_memory.size(),
                                             0,
                                             info.key_width,
                                             info.value_widths,
                                             size,
                                             "the bank"));
  const auto& part = state->file.parts.back();
  info.regions = part.regions;
  info.pictures = part.pictures;
  info.parts = 1;
  info.bytes = static_cast<int64_t>(size);
  return std::shared_ptr<const Bank>(new Bank(std::move(state)));
}

void Bank::pictures(std::vector<std::string>& names,
                    std::vector<int64_t>& counts) const {
  for (const auto& part : state_->parts()) {
    const uint8_t* at = part.names;
    for (int64_t i = 0; i < part.pictures; ++i) {
      uint32_t head[2];
      std::memcpy(head, at, sizeof(head));
      at += sizeof(head);
      counts.push_back(head[0]);
      names.emplace_back(reinterpret_cast<const char*>(at), head[1]);
      at += head[1];
    }
  }
  state_->check();
}

Neighbours Bank::search(const at::Tensor& queries,
                        int64_t k,
                        const Call& call) const {
  const c10::InferenceMode guard;
  if (queries.dim() != 2 || queries.size(1) != info().key_width) {
    throw Error(ErrorCode::kInvalidArg,
                "This bank is searched with [Q, " +
                    std::to_string(info().key_width) + "] features.");
  }
  if (k < 1 || k > kMostNeighbours) {
    throw Error(ErrorCode::kInvalidArg, "bankNeighbours must be 1 to 65536.");
  }
  const auto q = queries.to(at::kCPU, at::kFloat).contiguous();
  const int64_t most = std::min(k, std::max<int64_t>(info().regions, 1));
  Neighbours out{at::full({q.size(0), k}, -1, at::kLong),
                 at::zeros({q.size(0), k}, at::kFloat)};
  auto ids = out.ids.accessor<int64_t, 2>();
  auto scores = out.scores.accessor<float, 2>();
  const auto stretches = stretches_of(state_->parts());
  for (int64_t first = 0; first < q.size(0); first += kQueriesAtATime) {
    const int64_t count = std::min(kQueriesAtATime, q.size(0) - first);
    const auto packed = pack_queries(
        q.const_data_ptr<float>() + first * q.size(1), count, q.size(1));
    TopRows all(count, most);
    std::mutex mutex;
    at::parallel_for(0,
                     static_cast<int64_t>(stretches.size()),
                     1,
                     [&](int64_t begin, int64_t end) {
                       TopRows own(count, most);
                       for (int64_t i = begin; i < end; ++i) {
                         call.check();
                         const auto& [part, from, to] =
                             stretches[static_cast<size_t>(i)];
                         TopRowsArgs args;
                         args.keys = part->keys + from * packed.width;
                         args.scales = part->scales + from;
                         args.rows = to - from;
                         args.first_id = part->first + from;
                         args.queries = &packed;
                         args.top = &own;
                         cpu::top_rows(args);
                       }
                       const std::lock_guard lock(mutex);
                       merge_into(all, own, count);
                     });
    for (int64_t i = 0; i < count; ++i) {
      for (int64_t j = 0; j < all.counts[static_cast<size_t>(i)]; ++j) {
        const auto& found = all.found[static_cast<size_t>(i * most + j)];
        ids[first + i][j] = found.id;
        scores[first + i][j] = found.score;
      }
    }
  }
  state_->check();
  return out;
}

at::Tensor Bank::mean_values(size_t set, const at::Tensor& ids) const {
  const c10::InferenceMode guard;
  if (set >= info().value_widths.size()) {
    throw Error(ErrorCode::kInvalidArg,
                "This bank has values of " +
                    std::to_string(info().value_widths.size()) +
                    " encoders, and those of number " +
                    std::to_string(set + 1) + " were asked for.");
  }
  const int64_t width = info().value_widths[set];
  const auto rows = ids.to(at::kCPU, at::kLong).contiguous();
  auto out = at::zeros({rows.size(0), width}, at::kFloat);
  const auto* id = rows.const_data_ptr<int64_t>();
  for (int64_t r = 0; r < rows.size(0); ++r) {
    auto sum = at::zeros({width}, at::kFloat);
    for (int64_t j = 0; j < rows.size(1); ++j) {
      const int64_t found = id[r * rows.size(1) + j];
      if (found < 0 || found >= info().regions) continue;
      const auto& part = state_->part_of(found);
      const auto* row = part.values[set] + (found - part.first) * width;
      sum += at::from_blob(
          const_cast<uint16_t*>(row), {width}, at::TensorOptions(at::kHalf));
    }
    out[r] = sum / sum.norm().clamp_min(1e-12);
  }
  state_->check();
  return out;
}

BankRows Bank::rows(int64_t first, int64_t last) const {
  if (first < 0 || last < first || last > info().regions) {
    throw Error(ErrorCode::kInvalidArg,
                "The rows of this bank are 0 to " +
                    std::to_string(info().regions) + ".");
  }
  BankRows out;
  const auto& parts = state_->parts();
  out.keys = copied_rows(
      parts, first, last, info().key_width, [](const BankPart& part) {
        return part.keys;
      });
  for (size_t i = 0; i < info().value_widths.size(); ++i) {
    out.values.push_back(copied_rows(
        parts, first, last, info().value_widths[i], [i](const BankPart& part) {
          return part.values[i];
        }));
  }
  state_->check();
  return out;
}

void Bank::verify(const Call& call) const {
  int64_t at = 0;
  for (const auto& part : state_->parts()) {
    call.check();
    if (bank_checksum(part.data, part.data_bytes) != part.checksum) {
      state_->check();
      throw Error(ErrorCode::kWeights,
                  "The bank's part of regions " + std::to_string(part.first) +
                      " to " + std::to_string(part.first + part.regions) +
                      " is not what was written: the file is damaged. Take a "
                      "copy, or build the bank again.");
    }
    call.report(Step::kLoad, ++at, info().parts);
  }
  state_->check();
}

void Bank::save(const std::string& path, const Call& call) const {
  AtomicFile out(path);
  auto head = bank_file_head(
      info().about, info().key_width, info().value_widths, nullptr);
  size_t length = head.size();
  const auto start = [](const BankPart& part) {
    return part.names - kBankPartHead;
  };
  const auto size = [&](const BankPart& part) {
    return static_cast<size_t>(part.data + part.data_bytes - start(part));
  };
  for (const auto& part : state_->parts()) length += size(part);
  const auto commit =
      bank_commit(1, length, info().parts, info().pictures, info().regions);
  std::copy(commit.begin(),
            commit.end(),
            head.begin() + static_cast<int64_t>(bank_commit_place(1)));
  out.write(head.data(), head.size());
  for (const auto& part : state_->parts()) {
    call.check();
    out.write(start(part), size(part));
  }
  state_->check();
  out.commit();
}

void add_to_bank(const std::string& path,
                 const std::string& about,
                 const BankRows& rows) {
  const c10::InferenceMode guard;
  std::error_code ignored;
  if (!std::filesystem::exists(utf8_path(path), ignored)) {
    const auto widths = widths_of(rows);
    const int64_t key_width =
        rows.keys.defined() && rows.keys.dim() == 2 ? rows.keys.size(1) : 0;
    bank_file_head(about, key_width, widths, nullptr);  // checks
    const auto part = pack_bank_part(rows, key_width, widths, 0);
    const auto head = bank_file_head(about, key_width, widths, &part);
    AtomicFile out(path);
    out.write(head.data(), head.size());
    out.write(part.bytes.data(), part.bytes.size());
    out.commit();
    return;
  }
  const auto known = open_bank_file(path);
  if (about != known.info.about) {
    throw Error(ErrorCode::kInvalidArg,
                path + " was built in another way: it says " +
                    known.info.about + ", and this is " + about + ".");
  }
  const auto part = pack_bank_part(
      rows, known.info.key_width, known.info.value_widths, known.info.regions);
  if (part.pictures == 0) return;
#ifdef _WIN32
  std::unique_ptr<std::FILE, CloseFile> file(
      ::_wfopen(utf8_path(path).c_str(), L"r+b"));
#else
  std::unique_ptr<std::FILE, CloseFile> file(std::fopen(path.c_str(), "r+b"));
#endif
  if (!file) cannot_add(path);
  write_at(file.get(), path, known.length, part.bytes);
  const uint64_t generation = known.generation + 1;
  write_at(file.get(),
           path,
           bank_commit_place(generation),
           bank_commit(generation,
                       known.length + part.bytes.size(),
                       known.info.parts + 1,
                       known.info.pictures + part.pictures,
                       known.info.regions + part.regions));
}

}  // namespace declip
