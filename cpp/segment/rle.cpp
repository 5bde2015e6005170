#include "declip/rle.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "declip/error.h"
#include "segment/columns.h"
#include "segment/label_map.h"
#include "segment/runs.h"

namespace declip {
namespace {

int64_t pixel_count(Size size) { return size.height * size.width; }

/// Walks two masks at once: `take(length, in_a, in_b)` for every stretch in
/// which neither changes.
template <class Take>
void walk_runs(const Rle& a, const Rle& b, Take take) {
  if (a.size != b.size) {
    throw Error(ErrorCode::kInvalidArg,
                c10::str("Masks must have one size, received ",
                         a.size.height,
                         " x ",
                         a.size.width,
                         " and ",
                         b.size.height,
                         " x ",
                         b.size.width,
                         "."));
  }
  size_t i = 0, j = 0;
  int64_t left_a = 0, left_b = 0;  // of the current runs
  const auto next = [](const Rle& mask, size_t& run, int64_t& left) {
    while (left == 0 && run < mask.counts.size()) left = mask.counts[run++];
    return left > 0;
  };
  while (next(a, i, left_a) && next(b, j, left_b)) {
    const int64_t length = std::min(left_a, left_b);
    take(length, i % 2 == 0, j % 2 == 0);  // the second run is inside
    left_a -= length;
    left_b -= length;
  }
}

template <class Inside>
Rle merge_runs(const std::vector<Rle>& masks, Inside inside) {
  if (masks.empty()) {
    throw Error(ErrorCode::kInvalidArg, "At least one mask is needed.");
  }
  auto merged = masks.front();
  for (size_t i = 1; i < masks.size(); ++i) {
    Runs runs;
    walk_runs(merged, masks[i], [&](int64_t length, bool a, bool b) {
      runs.add(length, inside(a, b));
    });
    merged.counts = runs.finish();
  }
  return merged;
}

}  // namespace

Rle encode_rle(const at::Tensor& mask) {
  if (mask.dim() != 2 ||
      (mask.scalar_type() != at::kByte && mask.scalar_type() != at::kBool)) {
    throw Error(ErrorCode::kInvalidArg,
                "A mask must be bool or uint8 [H, W], not 0 inside.");
  }
  const auto plane = mask.to(at::kCPU).contiguous();
  Rle out{{plane.size(0), plane.size(1)}, {}};
  Runs runs;
  each_column(static_cast<const uint8_t*>(plane.const_data_ptr()),
              out.size.height,
              out.size.width,
              {},
              [&](const uint8_t* column, int64_t length) {
                for (int64_t i = 0; i < length; ++i) {
                  runs.add(1, column[i] != 0);
                }
              });
  out.counts = runs.finish();
  return out;
}

std::vector<Rle> encode_rle(const at::Tensor& labels,
                            int64_t classes,
                            const Call& call) {
  const LabelMap map(labels, classes);
  std::vector<Rle> out(static_cast<size_t>(classes), Rle{map.size(), {}});
  std::vector<int64_t> begun(out.size(), 0);  // of the class's current run
  int64_t position = 0, previous = -1;
  const auto close = [&](int64_t label) {
    if (label < 0 || label >= classes) return;
    out[label].counts.push_back(static_cast<uint32_t>(position - begun[label]));
    begun[label] = position;
  };
  map.visit([&](const auto* data) {
    each_column(data,
                map.size().height,
                map.size().width,
                call,
                [&](const auto* column, int64_t length) {
                  for (int64_t i = 0; i < length; ++i, ++position) {
                    if (column[i] == previous) continue;
                    close(previous);
                    previous = column[i];
                    close(previous);
                  }
                });
  });
  close(previous);
  for (int64_t label = 0; label < classes; ++label) {
    if (begun[label] < position) close(label);
  }
  return out;
}

void check_counts(const Rle& mask) {
  check_size(mask.size, "The mask");
  int64_t sum = 0;
  for (const auto count : mask.counts) sum += count;
  if (sum == pixel_count(mask.size)) return;
  throw Error(ErrorCode::kInvalidArg,
              c10::str("The counts of a mask of ",
                       mask.size.height,
                       " x ",
                       mask.size.width,
                       " must sum up to ",
                       pixel_count(mask.size),
                       ", received ",
                       sum,
                       "."));
}

at::Tensor decode_rle(const Rle& mask) {
  check_counts(mask);
  auto columns = at::empty({mask.size.width, mask.size.height}, at::kByte);
  auto* out = columns.mutable_data_ptr<uint8_t>();
  uint8_t inside = 0;
  for (const auto count : mask.counts) {
    std::fill_n(out, count, inside);
    out += count;
    inside ^= 1;
  }
  return columns.t().contiguous();
}

void compress_counts(const uint32_t* counts, size_t length, std::string& text) {
  for (size_t i = 0; i < length; ++i) {
    int64_t rest = counts[i];
    if (i > 2) rest -= counts[i - 2];
    for (bool more = true; more;) {
      const int64_t group = rest & 0x1f;
      rest >>= 5;
      // Finished when what is left is only the sign, which bit 4 of the last
      // group carries.
      more = (group & 0x10) != 0 ? rest != -1 : rest != 0;
      text.push_back(static_cast<char>((more ? group | 0x20 : group) + 48));
    }
  }
}

std::string compress_counts(const std::vector<uint32_t>& counts) {
  std::string text;
  compress_counts(counts.data(), counts.size(), text);
  return text;
}

Rle decompress_rle(const std::string& text, Size size) {
  check_size(size, "The mask");
  const auto wrong = [&](const char* why) {
    return Error(ErrorCode::kInvalidArg,
                 c10::str("Expected the compressed counts of a mask of ",
                          size.height,
                          " x ",
                          size.width,
                          " pixels: ",
                          why,
                          "."));
  };
  Rle out{size, {}};
  int64_t sum = 0;
  for (size_t at = 0; at < text.size();) {
    int64_t value = 0;
    int shift = 0;
    for (bool more = true; more;) {
      if (at == text.size()) throw wrong("the text ends within a count");
      const int code = static_cast<unsigned char>(text[at++]) - 48;
      if (code < 0 || code > 63) throw wrong("it holds an unknown character");
      if (shift > 30) throw wrong("a count is too large");
      value |= static_cast<int64_t>(code & 0x1f) << shift;
      shift += 5;
      more = (code & 0x20) != 0;
      if (!more && (code & 0x10) != 0) value -= int64_t{1} << shift;
    }
    const auto n = out.counts.size();
    if (n > 2) value += out.counts[n - 2];
    sum += value;
    if (value < 0 || sum > pixel_count(size))
      throw wrong("a count is out of range");
    out.counts.push_back(static_cast<uint32_t>(value));
  }
  if (sum != pixel_count(size)) throw wrong("they do not sum up to it");
  return out;
}

int64_t rle_area(const Rle& mask) {
  int64_t area = 0;
  for (size_t i = 1; i < mask.counts.size(); i += 2) area += mask.counts[i];
  return area;
}

std::array<int64_t, 4> rle_box(const Rle& mask) {
  const auto [height, width] = mask.size;
  int64_t left = width, right = -1, top = height, bottom = -1, position = 0;
  for (size_t i = 0; i < mask.counts.size(); ++i) {
    const int64_t count = mask.counts[i];
    if (i % 2 == 1 && count > 0) {
      const int64_t last = position + count - 1;
      const bool one_column = position / height == last / height;
      left = std::min(left, position / height);
      right = last / height;
      top = std::min(top, one_column ? position % height : 0);
      bottom = std::max(bottom, one_column ? last % height : height - 1);
    }
    position += count;
  }
  if (right < 0) return {0, 0, 0, 0};
  return {left, top, right - left + 1, bottom - top + 1};
}

int64_t rle_overlap(const Rle& a, const Rle& b) {
  int64_t overlap = 0;
  walk_runs(a, b, [&](int64_t length, bool in_a, bool in_b) {
    if (in_a && in_b) overlap += length;
  });
  return overlap;
}

double rle_iou(const Rle& a, const Rle& b, bool crowd) {
  const int64_t overlap = rle_overlap(a, b);
  const int64_t all = crowd ? rle_area(a) : rle_area(a) + rle_area(b) - overlap;
  return all == 0 ? 0 : static_cast<double>(overlap) / static_cast<double>(all);
}

Rle rle_union(const std::vector<Rle>& masks) {
  return merge_runs(masks, [](bool a, bool b) { return a || b; });
}

Rle rle_intersection(const std::vector<Rle>& masks) {
  return merge_runs(masks, [](bool a, bool b) { return a && b; });
}

}  // namespace declip
