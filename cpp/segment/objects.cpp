// Linear in pixels: one pass that numbers regions by union-find, one that
// measures them, two down the columns that count and write runs, and one along
// the outlines of the objects that are kept. 4 bytes a pixel for the numbers, 1
// for the sides that were followed, and what is found.

#include "declip/objects.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <numeric>

#include "declip/error.h"
#include "declip/rle.h"
#include "segment/columns.h"
#include "segment/components.h"
#include "segment/label_map.h"
#include "segment/outlines.h"

namespace declip {
namespace {

/// What is known of an object after one pass.
struct Measured {
  int32_t label = 0;
  int32_t area = 0;
  int32_t left = 0, top = 0, right = 0, bottom = 0;  // right, bottom: included
  int32_t parts = 0;
  int32_t known = 0;     // pixels of known probability
  uint64_t squares = 0;  // of their certainty
  double score() const {
    return known == 0 ? 0 : static_cast<double>(squares) / (65025.0 * known);
  }
};

/// For every item its place among those sorted by key, which keeps the order of
/// equals: `begins` of each key, and the items.
struct Grouped {
  Grouped(const std::vector<int32_t>& keys, int64_t key_count)
      : begins(key_count + 1), items(keys.size()) {
    for (const auto key : keys) {
      if (key >= 0) ++begins[key + 1];
    }
    std::partial_sum(begins.begin(), begins.end(), begins.begin());
    auto next = begins;
    for (size_t i = 0; i < keys.size(); ++i) {
      if (keys[i] >= 0) items[next[keys[i]]++] = static_cast<int32_t>(i);
    }
  }
  std::vector<uint32_t> begins;
  std::vector<int32_t> items;
};

/// Rings as they are met, and of what each is.
struct MetRings {
  void add(const Ring& ring, int32_t of) {
    corners.insert(corners.end(), ring.begin(), ring.end());
    ends.push_back(static_cast<uint32_t>(corners.size()));
    owners.push_back(of);
  }
  /// The rings of one owner as one polygon of `lists`.
  void append(const Grouped& groups, int32_t owner, OutlineLists& lists) const {
    for (auto k = groups.begins[owner]; k < groups.begins[owner + 1]; ++k) {
      const int32_t ring = groups.items[k];
      const uint32_t begin = ring == 0 ? 0 : ends[ring - 1];
      lists.corners.insert(lists.corners.end(),
                           corners.begin() + begin,
                           corners.begin() + ends[ring]);
      lists.ring_ends.push_back(static_cast<uint32_t>(lists.corners.size()));
    }
    lists.polygon_ends.push_back(static_cast<uint32_t>(lists.ring_ends.size()));
  }

  std::vector<Corner> corners;
  std::vector<uint32_t> ends;
  std::vector<int32_t> owners;
};

template <class T>
class ObjectFinder {
 public:
  ObjectFinder(const T* data,
               Size size,
               int64_t classes,
               const uint8_t* certainty,
               const ObjectOptions& options,
               const Call& call)
      : data_(data),
        size_(size),
        certainty_(certainty),
        options_(options),
        call_(call),
        regions_(number_components(
            data,
            size,
            [&](T label) {
              return label < classes && label != options.background;
            },
            call)) {}

  Objects find() {
    join_regions();
    measure();
    choose();
    write_runs();
    trace_parts();
    trace_joined();
    return std::move(out_);
  }

 private:
  /// The object of every region.
  void join_regions() {
    DisjointSets sets(regions_.count);
    const auto [height, width] = size_;
    for (int64_t y = 0; options_.corners && y + 1 < height; ++y) {
      call_.check();
      for (int64_t i = y * width; i + 1 < (y + 1) * width; ++i) {
        join_if_same(sets, i, i + width + 1);
        join_if_same(sets, i + 1, i + width);
      }
    }
    std::tie(object_of_, objects_) = std::move(sets).number();
  }

  void join_if_same(DisjointSets& sets, int64_t a, int64_t b) const {
    const int32_t one = regions_.id[a], other = regions_.id[b];
    if (one != other && one >= 0 && data_[a] == data_[b]) sets.join(one, other);
  }

  void measure() {
    measured_.resize(objects_);
    for (const auto object : object_of_) ++measured_[object].parts;
    const auto [height, width] = size_;
    for (int64_t y = 0, i = 0; y < height; ++y) {
      call_.check();
      for (int64_t x = 0; x < width; ++x, ++i) {
        if (regions_.id[i] < 0) continue;
        auto& object = measured_[object_of_[regions_.id[i]]];
        const auto column = static_cast<int32_t>(x);
        if (object.area == 0) {
          object.label = static_cast<int32_t>(data_[i]);
          object.left = object.right = column;
          object.top = static_cast<int32_t>(y);
        }
        ++object.area;
        object.left = std::min(object.left, column);
        object.right = std::max(object.right, column);
        object.bottom = static_cast<int32_t>(y);
        if (certainty_ == nullptr) continue;
        const uint32_t value = certainty_[i];
        object.known += value != 0;
        object.squares += value * value;
      }
    }
  }

  /// Which objects are kept, in which order; the place of every region.
  void choose() {
    std::vector<int32_t> chosen;
    for (int64_t i = 0; i < objects_; ++i) {
      if (measured_[i].area >= options_.min_area) {
        chosen.push_back(static_cast<int32_t>(i));
      }
    }
    if (options_.limit == 0 &&
        static_cast<int64_t>(chosen.size()) > kMostObjects) {
      throw Error(ErrorCode::kInvalidArg,
                  c10::str("There are ",
                           chosen.size(),
                           " objects, more than ",
                           kMostObjects,
                           ": pass a larger minArea, or limit for the best "
                           "ones."));
    }
    call_.check();
    std::vector<double> score(objects_);
    for (const auto i : chosen) score[i] = measured_[i].score();
    std::stable_sort(chosen.begin(), chosen.end(), [&](int32_t a, int32_t b) {
      return score[a] > score[b];
    });
    if (options_.limit > 0 &&
        static_cast<int64_t>(chosen.size()) > options_.limit) {
      chosen.resize(options_.limit);
    }
    std::vector<int32_t> place(objects_, -1);
    for (const auto i : chosen) {
      const auto& object = measured_[i];
      place[i] = static_cast<int32_t>(out_.labels.size());
      out_.labels.push_back(object.label);
      out_.scores.push_back(score[i]);
      out_.areas.push_back(object.area);
      for (const auto side :
           {object.left, object.top, object.right + 1, object.bottom + 1}) {
        out_.boxes.push_back(side);
      }
      parts_.push_back(object.parts);
    }
    place_of_.resize(object_of_.size());
    std::transform(object_of_.begin(),
                   object_of_.end(),
                   place_of_.begin(),
                   [&](int32_t object) { return place[object]; });
    measured_ = {};
  }

  int32_t place_at(int32_t region) const {
    return region < 0 ? -1 : place_of_[region];
  }

  /// `take(place, begin, end)` for every run of an object down the columns.
  template <class Take>
  void each_run(Take take) const {
    int64_t position = 0, begin = 0;
    int32_t previous = -1;
    each_column(regions_.id.data(),
                size_.height,
                size_.width,
                call_,
                [&](const int32_t* column, int64_t length) {
                  for (int64_t i = 0; i < length; ++i, ++position) {
                    const int32_t place = place_at(column[i]);
                    if (place == previous) continue;
                    if (previous >= 0) take(previous, begin, position);
                    previous = place;
                    begin = position;
                  }
                });
    if (previous >= 0) take(previous, begin, position);
  }

  void write_runs() {
    const size_t count = out_.labels.size();
    const int64_t pixels = size_.height * size_.width;
    std::vector<uint32_t> last(count), next(count + 1);
    each_run([&](int32_t place, int64_t, int64_t end) {
      next[place + 1] += 2;
      last[place] = static_cast<uint32_t>(end);
    });
    for (size_t k = 0; k < count; ++k) {
      next[k + 1] += next[k] + (last[k] < pixels ? 1 : 0);
      last[k] = 0;
    }
    out_.run_ends.assign(next.begin() + 1, next.end());
    out_.counts.resize(next.back());
    each_run([&](int32_t place, int64_t begin, int64_t end) {
      auto* counts = out_.counts.data() + next[place];
      counts[0] = static_cast<uint32_t>(begin - last[place]);
      counts[1] = static_cast<uint32_t>(end - begin);
      next[place] += 2;
      last[place] = static_cast<uint32_t>(end);
    });
    for (size_t k = 0; k < count; ++k) {
      if (last[k] < pixels) {
        out_.counts[next[k]] = static_cast<uint32_t>(pixels - last[k]);
      }
    }
    if (options_.compressed) compress_runs();
  }

  void compress_runs() {
    uint32_t begin = 0;
    for (auto& end : out_.run_ends) {
      call_.check();
      compress_counts(out_.counts.data() + begin, end - begin, out_.text);
      begin = end;
      end = static_cast<uint32_t>(out_.text.size());
    }
    out_.counts = {};
  }

  /// `take(rings, i)` for the outlines of what is `wanted` by its region, each
  /// met at its first pixel `i`.
  template <class Wanted, class Take>
  void each_outline(Diagonals diagonals, Wanted wanted, Take take) {
    Tracer<T> tracer(data_, size_, diagonals);
    for (int64_t y = 0, i = 0; y < size_.height; ++y) {
      call_.check();
      for (int64_t x = 0; x < size_.width; ++x, ++i) {
        if (y > 0 && data_[i - size_.width] == data_[i]) continue;
        if (tracer.traced(i) || !wanted(regions_.id[i])) continue;
        take(tracer.rings(i), i);
      }
    }
  }

  void trace_parts() {
    MetRings met;
    each_outline(
        Diagonals::kApart,
        [&](int32_t region) { return place_at(region) >= 0; },
        [&](const std::vector<Ring>& rings, int64_t i) {
          // The first that are met are a region's outer ring and what holes
          // touch it.
          for (const bool outer : {true, false}) {
            for (const auto& ring : rings) {
              if ((twice_area(ring) > 0) == outer)
                met.add(ring, regions_.id[i]);
            }
          }
        });
    const Grouped rings(met.owners, regions_.count);
    const auto count = static_cast<int64_t>(out_.labels.size());
    const Grouped regions(place_of_, count);
    for (int64_t k = 0; k < count; ++k) {
      for (auto r = regions.begins[k]; r < regions.begins[k + 1]; ++r) {
        met.append(rings, regions.items[r], out_.parts);
      }
      end_object(out_.parts);
    }
  }

  void trace_joined() {
    const auto count = static_cast<int64_t>(out_.labels.size());
    MetRings met;
    if (std::any_of(
            parts_.begin(), parts_.end(), [](auto n) { return n > 1; })) {
      each_outline(
          Diagonals::kJoined,
          [&](int32_t region) {
            const int32_t place = place_at(region);
            return place >= 0 && parts_[place] > 1;
          },
          [&](const std::vector<Ring>& rings, int64_t i) {
            met.add(rings.front(), place_at(regions_.id[i]));
          });
    }
    const Grouped rings(met.owners, count);
    for (int64_t k = 0; k < count; ++k) {
      if (parts_[k] > 1) {
        met.append(rings, static_cast<int32_t>(k), out_.joined);
      }
      end_object(out_.joined);
    }
  }

  static void end_object(OutlineLists& lists) {
    lists.object_ends.push_back(
        static_cast<uint32_t>(lists.polygon_ends.size()));
  }

  const T* data_;
  Size size_;
  const uint8_t* certainty_;
  const ObjectOptions& options_;
  const Call& call_;
  Components regions_;              // joined at sides
  std::vector<int32_t> object_of_;  // every region
  int64_t objects_ = 0;
  std::vector<Measured> measured_;  // by object
  std::vector<int32_t> place_of_;   // every region, in the result; -1: none
  std::vector<int32_t> parts_;      // regions of each object of the result
  Objects out_;
};

}  // namespace

Objects find_objects(const at::Tensor& labels,
                     int64_t classes,
                     const at::Tensor& certainty,
                     const ObjectOptions& options,
                     const Call& call) {
  const LabelMap map(labels, classes);
  at::Tensor plane;
  if (certainty.defined()) {
    if (certainty.scalar_type() != at::kByte ||
        certainty.sizes() != labels.sizes()) {
      throw Error(ErrorCode::kInvalidArg,
                  "The certainty must be uint8 of the labels' size.");
    }
    plane = certainty.to(at::kCPU).contiguous();
  }
  return map.visit([&](const auto* data) {
    using Label = std::remove_cv_t<std::remove_pointer_t<decltype(data)>>;
    return ObjectFinder<Label>(
               data,
               map.size(),
               classes,
               plane.defined() ? plane.const_data_ptr<uint8_t>() : nullptr,
               options,
               call)
        .find();
  });
}

}  // namespace declip
