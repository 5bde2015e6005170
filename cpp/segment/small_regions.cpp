#include "segment/small_regions.h"

#include <algorithm>
#include <limits>
#include <tuple>
#include <vector>

#include "segment/components.h"
#include "segment/runs.h"

namespace declip {
namespace {

/// Pixels of one column, in turn: rows y0..y1.
struct Piece {
  int64_t x, y0, y1;
};

/// The pixels outside or inside of a mask, down the columns.
std::vector<Piece> pieces_of(const Rle& mask, bool inside) {
  const int64_t height = mask.size.height;
  std::vector<Piece> out;
  int64_t position = 0;
  for (size_t i = 0; i < mask.counts.size(); ++i) {
    const int64_t end = position + mask.counts[i];
    const bool wanted = (i % 2 == 1) == inside;
    while (wanted && position < end) {
      const int64_t x = position / height;
      const int64_t stop = std::min(end, (x + 1) * height);
      out.push_back({x, position - x * height, stop - 1 - x * height});
      position = stop;
    }
    position = end;
  }
  return out;
}

/// The region of every piece: pieces of neighbouring columns belong together
/// where they touch, also at a corner.
std::pair<std::vector<int32_t>, int64_t> join_pieces(
    const std::vector<Piece>& pieces) {
  DisjointSets sets(static_cast<int64_t>(pieces.size()));
  size_t left = 0;  // the first of the column before that may touch
  for (size_t i = 0; i < pieces.size(); ++i) {
    const Piece& piece = pieces[i];
    const auto is_before = [&](const Piece& other) {
      return other.x < piece.x - 1 ||
             (other.x == piece.x - 1 && other.y1 + 1 < piece.y0);
    };
    while (left < i && is_before(pieces[left])) ++left;
    for (size_t k = left;
         k < i && pieces[k].x == piece.x - 1 && pieces[k].y0 <= piece.y1 + 1;
         ++k) {
      sets.join(static_cast<int32_t>(k), static_cast<int32_t>(i));
    }
  }
  return std::move(sets).number();
}

struct SizedRegion {
  int64_t pixels = 0;
  /// Its first 2 x 2 block: row, column.
  std::pair<int64_t, int64_t> block{std::numeric_limits<int64_t>::max(), 0};
};

/// Fills the small regions outside, or removes those inside; false where there
/// are none.
bool change_regions(Rle& mask, int64_t area, bool inside) {
  const auto pieces = pieces_of(mask, inside);
  const auto [region_of, count] = join_pieces(pieces);
  std::vector<SizedRegion> regions(count);
  for (size_t i = 0; i < pieces.size(); ++i) {
    auto& region = regions[region_of[i]];
    const auto& [x, y0, y1] = pieces[i];
    region.pixels += y1 - y0 + 1;
    region.block = std::min(region.block, {y0 / 2, x / 2});
  }
  const auto is_small = [&](const SizedRegion& region) {
    return region.pixels < area;
  };
  if (std::none_of(regions.begin(), regions.end(), is_small)) return false;
  std::vector<uint8_t> keeps(count);
  for (int64_t i = 0; i < count; ++i) keeps[i] = is_small(regions[i]) ? 0 : 1;
  if (inside && std::find(keeps.begin(), keeps.end(), 1) == keeps.end()) {
    const auto largest =
        std::min_element(regions.begin(),
                         regions.end(),
                         [](const SizedRegion& a, const SizedRegion& b) {
                           return std::make_tuple(-a.pixels, a.block) <
                                  std::make_tuple(-b.pixels, b.block);
                         });
    keeps[largest - regions.begin()] = 1;
  }
  Runs runs;
  int64_t position = 0;
  const int64_t height = mask.size.height;
  for (size_t i = 0; i < pieces.size(); ++i) {
    const auto& [x, y0, y1] = pieces[i];
    runs.add(x * height + y0 - position, !inside);
    runs.add(y1 - y0 + 1, (keeps[region_of[i]] != 0) == inside);
    position = x * height + y1 + 1;
  }
  runs.add(mask.size.width * height - position, !inside);
  mask.counts = runs.finish();
  return true;
}

}  // namespace

std::pair<Rle, bool> without_small_regions(const Rle& mask, int64_t area) {
  auto out = mask;
  const bool filled = change_regions(out, area, /*inside=*/false);
  const bool removed = change_regions(out, area, /*inside=*/true);
  return {std::move(out), filled || removed};
}

}  // namespace declip
