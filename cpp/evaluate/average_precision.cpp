#include "declip/average_precision.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <optional>
#include <string>
#include <utility>

#include "declip/error.h"
#include "declip/rle.h"

namespace declip {
namespace {

using Thresholds = std::array<double, kIouThresholds>;
using Box = std::array<double, 4>;  // x, y, width, height

/// numpy.linspace: multiples of the step, and exactly `last` at the end.
template <size_t N>
constexpr std::array<double, N> linspace(double first, double last) {
  std::array<double, N> out{};
  const double step = (last - first) / static_cast<double>(N - 1);
  for (size_t i = 0; i < N; ++i) out[i] = static_cast<double>(i) * step + first;
  out[N - 1] = last;
  return out;
}

constexpr Thresholds kThresholds = linspace<kIouThresholds>(0.5, 0.95);
constexpr auto kRecalls = linspace<kRecallPoints>(0.0, 1.0);

constexpr std::array<std::array<double, 2>, kAreaRanges> kAreas{
    {{0, 1e10}, {0, 1024}, {1024, 9216}, {9216, 1e10}}};

bool outside(double area, size_t range) {
  return area < kAreas[range][0] || area > kAreas[range][1];
}

/// What became of a detection, a bit for every threshold, by area.
struct Scored {
  double score = 0;
  uint32_t rank = 0;  // among those of its picture and class
  std::array<uint16_t, kAreaRanges> matched{};
  std::array<uint16_t, kAreaRanges> ignored{};
};

/// What there is of a class: its detections in the pictures' order, and how
/// many objects count.
struct ClassMatches {
  std::vector<Scored> detections;
  std::array<int64_t, kAreaRanges> objects{};
};

/// Overlap over union as maskApi.c's bbIou has it; of a crowd, overlap over the
/// detection's area.
double box_iou(const Box& detection, const Box& truth, bool crowd) {
  const double width =
      std::fmin(detection[2] + detection[0], truth[2] + truth[0]) -
      std::fmax(detection[0], truth[0]);
  if (width <= 0) return 0;
  const double height =
      std::fmin(detection[3] + detection[1], truth[3] + truth[1]) -
      std::fmax(detection[1], truth[1]);
  if (height <= 0) return 0;
  const double both = width * height;
  const double area = detection[2] * detection[3];
  if (crowd) return both / area;
  return both / (area + truth[2] * truth[3] - both);
}

/// A mask with the box around it, which tells most that do not meet.
struct BoxedMask {
  Rle mask;
  std::array<int64_t, 4> box{};
};

bool meet(const BoxedMask& a, const BoxedMask& b) {
  const auto overlap = [&](size_t axis) {
    return std::min(a.box[axis] + a.box[axis + 2],
                    b.box[axis] + b.box[axis + 2]) >
           std::max(a.box[axis], b.box[axis]);
  };
  return overlap(0) && overlap(1);
}

/// Objects of one picture and class.
struct Truths {
  std::vector<uint32_t> places;  // in the set's list
  std::vector<double> areas;
  std::vector<bool> crowds;
};

/// Detections of one picture and class, the best first.
struct Detections {
  std::vector<uint32_t> places;
  std::vector<double> areas;
};

/// One picture after another; what it needs for one is used again for the next.
class PictureMatcher {
 public:
  PictureMatcher(const DetectionSet& set, std::vector<ClassMatches>& classes)
      : set_(set), classes_(classes) {}

  void match(const DetectionPicture& picture) {
    picture_ = &picture;
    const auto truths =
        by_label(range(picture.truths, picture.truths_end), set_.truths.labels);
    const auto detections =
        by_label(counted_detections(), set_.detections.labels);
    size_t t = 0, d = 0;
    while (t < truths.size() || d < detections.size()) {
      const int32_t label =
          std::min(label_at(truths, t, set_.truths.labels),
                   label_at(detections, d, set_.detections.labels));
      const auto own_truths = take(truths, t, label, set_.truths.labels);
      auto own_detections = take(detections, d, label, set_.detections.labels);
      if (federated() && own_truths.empty() &&
          !listed(
              set_.negative, picture.negative, picture.negative_end, label)) {
        continue;
      }
      match_class(label, own_truths, std::move(own_detections));
    }
  }

 private:
  using Places = std::vector<uint32_t>;

  bool federated() const { return set_.rule == DetectionRule::kLvis; }

  static Places range(uint32_t begin, uint32_t end) {
    Places places(end - begin);
    std::iota(places.begin(), places.end(), begin);
    return places;
  }

  static Places by_label(Places places, std::span<const int32_t> labels) {
    std::stable_sort(places.begin(), places.end(), [&](uint32_t a, uint32_t b) {
      return labels[a] < labels[b];
    });
    return places;
  }

  static int32_t label_at(const Places& places,
                          size_t at,
                          std::span<const int32_t> labels) {
    return at < places.size() ? labels[places[at]]
                              : std::numeric_limits<int32_t>::max();
  }

  /// Those of the label from `at` on, which moves behind them.
  static Places take(const Places& places,
                     size_t& at,
                     int32_t label,
                     std::span<const int32_t> labels) {
    const size_t begin = at;
    while (at < places.size() && labels[places[at]] == label) ++at;
    return {places.begin() + static_cast<int64_t>(begin),
            places.begin() + static_cast<int64_t>(at)};
  }

  static bool listed(std::span<const int32_t> labels,
                     uint32_t begin,
                     uint32_t end,
                     int32_t label) {
    const auto own = labels.subspan(begin, end - begin);
    return std::find(own.begin(), own.end(), label) != own.end();
  }

  void best_first(Places& places) const {
    std::stable_sort(places.begin(), places.end(), [&](uint32_t a, uint32_t b) {
      return set_.scores[a] > set_.scores[b];
    });
  }

  /// The picture's detections; of LVIS no more than count.
  Places counted_detections() const {
    auto places = range(picture_->detections, picture_->detections_end);
    const auto most = static_cast<size_t>(set_.max_detections.back());
    if (federated() && places.size() > most) {
      best_first(places);
      places.resize(most);
    }
    return places;
  }

  void match_class(int32_t label, const Places& truths, Places detections) {
    best_first(detections);
    const auto most = static_cast<size_t>(set_.max_detections.back());
    if (!federated() && detections.size() > most) detections.resize(most);
    auto& matches = classes_[static_cast<size_t>(label)];
    const bool incomplete = federated() && listed(set_.not_exhaustive,
                                                  picture_->not_exhaustive,
                                                  picture_->not_exhaustive_end,
                                                  label);
    measure(truths, detections);
    const size_t first = matches.detections.size();
    for (size_t d = 0; d < detections.size(); ++d) {
      Scored scored;
      scored.score = set_.scores[detections[d]];
      scored.rank = static_cast<uint32_t>(d);
      matches.detections.push_back(scored);
    }
    const std::span found(matches.detections.data() + first, detections.size());
    for (size_t area = 0; area < kAreaRanges; ++area) {
      // Objects that do not count come last.
      order_.clear();
      for (const bool ignored : {false, true}) {
        for (size_t t = 0; t < truths.size(); ++t) {
          if (ignores(truths[t], area) == ignored) {
            order_.push_back(static_cast<uint32_t>(t));
          }
        }
        if (!ignored) counted_ = order_.size();
      }
      matches.objects[area] += static_cast<int64_t>(counted_);
      for (size_t at = 0; at < kIouThresholds; ++at) {
        match_at(truths, at, area, found);
      }
      for (size_t d = 0; d < found.size(); ++d) {
        if (!incomplete && !outside(areas_[d], area)) continue;
        constexpr uint16_t all = (1 << kIouThresholds) - 1;
        found[d].ignored[area] |= all & ~found[d].matched[area];
      }
    }
  }

  bool ignores(uint32_t truth, size_t area) const {
    return (!federated() && set_.truth_crowds[truth] != 0) ||
           outside(set_.truth_areas[truth], area);
  }

  /// Every detection takes the object that it overlaps most, the best detection
  /// first: one that counts if there is one, else one that does not.
  void match_at(const Places& truths,
                size_t at,
                size_t area,
                std::span<Scored> found) {
    const auto bit = static_cast<uint16_t>(1 << at);
    taken_.assign(truths.size(), false);
    const size_t n = truths.size();
    for (size_t d = 0; d < found.size() && n > 0; ++d) {
      double best = std::min(kThresholds[at], 1 - 1e-10);
      std::optional<size_t> chosen;  // place in order_
      for (size_t i = 0; i < n; ++i) {
        const size_t t = order_[i];
        if (taken_[t] && !is_crowd(truths[t])) continue;
        if (chosen && *chosen < counted_ && i >= counted_) break;
        const double iou = ious_[d * n + t];
        if (iou < best) continue;
        best = iou;
        chosen = i;
      }
      if (!chosen) continue;
      taken_[order_[*chosen]] = true;
      found[d].matched[area] |= bit;
      if (*chosen >= counted_) found[d].ignored[area] |= bit;
    }
  }

  bool is_crowd(uint32_t truth) const {
    return !federated() && set_.truth_crowds[truth] != 0;
  }

  /// Areas of the detections and the overlaps [detections, truths].
  void measure(const Places& truths, const Places& detections) {
    areas_.clear();
    ious_.assign(truths.size() * detections.size(), 0);
    if (set_.masks) {
      measure_masks(truths, detections);
    } else {
      measure_boxes(truths, detections);
    }
  }

  void measure_boxes(const Places& truths, const Places& detections) {
    const auto box = [](const ObjectList& list, uint32_t at) {
      Box out;
      std::copy_n(list.boxes.data() + 4 * size_t{at}, 4, out.begin());
      return out;
    };
    size_t at = 0;
    for (const auto d : detections) {
      const auto own = box(set_.detections, d);
      areas_.push_back(own[2] * own[3]);
      for (const auto t : truths) {
        ious_[at++] = box_iou(own, box(set_.truths, t), is_crowd(t));
      }
    }
  }

  void measure_masks(const Places& truths, const Places& detections) {
    std::vector<BoxedMask> own;
    own.reserve(truths.size());
    for (const auto t : truths) {
      own.push_back(read_mask(set_.truths, t, "truth "));
    }
    size_t at = 0;
    for (const auto d : detections) {
      const auto mask = read_mask(set_.detections, d, "detection ");
      areas_.push_back(static_cast<double>(rle_area(mask.mask)));
      for (size_t t = 0; t < truths.size(); ++t, ++at) {
        if (meet(mask, own[t])) {
          ious_[at] = rle_iou(mask.mask, own[t].mask, is_crowd(truths[t]));
        }
      }
    }
  }

  BoxedMask read_mask(const ObjectList& list,
                      uint32_t at,
                      const char* what) const {
    const auto begin =
        at == 0 ? size_t{0} : static_cast<size_t>(list.mask_ends[at - 1]);
    const auto end = static_cast<size_t>(list.mask_ends[at]);
    const auto text = list.mask_text.subspan(begin, end - begin);
    try {
      BoxedMask out;
      out.mask =
          decompress_rle(std::string(text.begin(), text.end()), picture_->size);
      out.box = rle_box(out.mask);
      return out;
    } catch (const Error& error) {
      throw Error(error.code(),
                  what + std::to_string(at) + ": " + error.what());
    }
  }

  const DetectionSet& set_;
  std::vector<ClassMatches>& classes_;
  const DetectionPicture* picture_ = nullptr;
  std::vector<double> areas_;    // of the detections
  std::vector<double> ious_;     // [detections, truths]
  std::vector<uint32_t> order_;  // of the truths, those that count first
  size_t counted_ = 0;
  std::vector<bool> taken_;
};

/// Writes the curves of one class.
class CurveWriter {
 public:
  CurveWriter(PrecisionCurves& curves, const std::vector<int64_t>& limits)
      : curves_(curves), limits_(limits) {}

  void write(int64_t label, const ClassMatches& matches) {
    const auto& all = matches.detections;
    order_.resize(all.size());
    std::iota(order_.begin(), order_.end(), 0);
    std::stable_sort(order_.begin(), order_.end(), [&](uint32_t a, uint32_t b) {
      return all[a].score > all[b].score;
    });
    for (int64_t m = 0; m < curves_.limits; ++m) {
      counted_.clear();
      for (const auto at : order_) {
        if (all[at].rank < limits_[static_cast<size_t>(m)]) {
          counted_.push_back(at);
        }
      }
      for (int64_t area = 0; area < kAreaRanges; ++area) {
        const int64_t objects = matches.objects[static_cast<size_t>(area)];
        if (objects == 0) continue;
        for (int64_t t = 0; t < kIouThresholds; ++t) {
          const int64_t place =
              (label * kAreaRanges + area) * curves_.limits + m;
          write_curve(all, t, area, objects, place);
        }
      }
    }
  }

 private:
  /// `place`: of class, area and limit.
  void write_curve(const std::vector<Scored>& all,
                   int64_t t,
                   int64_t area,
                   int64_t objects,
                   int64_t place) {
    const auto a = static_cast<size_t>(area);
    const size_t n = counted_.size();
    recall_.resize(n);
    precision_.resize(n);
    double right = 0, wrong = 0;
    for (size_t i = 0; i < n; ++i) {
      const auto& scored = all[counted_[i]];
      if ((scored.ignored[a] >> t & 1) == 0) {
        ((scored.matched[a] >> t & 1) != 0 ? right : wrong) += 1;
      }
      recall_[i] = right / static_cast<double>(objects);
      precision_[i] =
          right / (wrong + right + std::numeric_limits<double>::epsilon());
    }
    for (size_t i = n; i-- > 1;) {
      precision_[i - 1] = std::max(precision_[i - 1], precision_[i]);
    }
    const int64_t places = curves_.classes * kAreaRanges * curves_.limits;
    curves_.recall[t * places + place] = n > 0 ? recall_[n - 1] : 0;
    size_t i = 0;
    for (int64_t r = 0; r < kRecallPoints; ++r) {
      while (i < n && recall_[i] < kRecalls[static_cast<size_t>(r)]) ++i;
      const int64_t at = (t * kRecallPoints + r) * places + place;
      curves_.precision[at] = i < n ? precision_[i] : 0;
      curves_.scores[at] = i < n ? all[counted_[i]].score : 0;
    }
  }

  PrecisionCurves& curves_;
  const std::vector<int64_t>& limits_;
  std::vector<uint32_t> order_;    // the best first
  std::vector<uint32_t> counted_;  // those within the limit
  std::vector<double> recall_, precision_;
};

void check_list(const ObjectList& list, bool masks, int64_t classes) {
  const auto wrong = [](const char* what) {
    return Error(ErrorCode::kInvalidArg, what);
  };
  for (const auto label : list.labels) {
    if (label < 0 || label >= classes) {
      throw wrong("A label is outside 0..classes-1.");
    }
  }
  if (!masks) {
    if (list.boxes.size() != 4 * list.labels.size()) {
      throw wrong("There must be four numbers of a box for every label.");
    }
    return;
  }
  if (list.mask_ends.size() != list.labels.size()) {
    throw wrong("There must be a mask for every label.");
  }
  double last = 0;
  for (const auto end : list.mask_ends) {
    if (!(end >= last && end <= static_cast<double>(list.mask_text.size()))) {
      throw wrong("The masks' ends must ascend within their text.");
    }
    last = end;
  }
}

/// What every read below relies on.
void check_set(const DetectionSet& set) {
  const auto check = [](bool holds, const char* what) {
    if (!holds) throw Error(ErrorCode::kInvalidArg, what);
  };
  check(set.classes >= 1 && set.classes <= 65536,
        "There must be 1 to 65536 classes.");
  check(
      !set.max_detections.empty() && set.max_detections.front() >= 1 &&
          std::is_sorted(set.max_detections.begin(), set.max_detections.end()),
      "The numbers of detections must be 1 or more and ascend.");
  check_list(set.truths, set.masks, set.classes);
  check_list(set.detections, set.masks, set.classes);
  check(set.truth_areas.size() == set.truths.labels.size() &&
            set.truth_crowds.size() == set.truths.labels.size() &&
            set.scores.size() == set.detections.labels.size(),
        "There must be an area and a crowd flag for every true object, and a "
        "score for every detection.");
  const auto within = [](uint32_t begin, uint32_t end, size_t length) {
    return begin <= end && end <= length;
  };
  for (const auto& one : set.pictures) {
    check(within(one.truths, one.truths_end, set.truths.labels.size()) &&
              within(one.detections,
                     one.detections_end,
                     set.detections.labels.size()) &&
              within(one.negative, one.negative_end, set.negative.size()) &&
              within(one.not_exhaustive,
                     one.not_exhaustive_end,
                     set.not_exhaustive.size()),
          "A picture's places must lie within the lists.");
  }
}

}  // namespace

PrecisionCurves precision_curves(const DetectionSet& set, const Call& call) {
  check_set(set);
  std::vector<ClassMatches> classes(static_cast<size_t>(set.classes));
  const auto pictures = static_cast<int64_t>(set.pictures.size());
  const int64_t total = pictures + set.classes;
  int64_t done = 0;
  PictureMatcher matcher(set, classes);
  for (const auto& picture : set.pictures) {
    call.check();
    matcher.match(picture);
    call.report(Step::kMeasure, ++done, total);
  }
  PrecisionCurves curves;
  curves.classes = set.classes;
  curves.limits = static_cast<int64_t>(set.max_detections.size());
  const auto places = static_cast<size_t>(set.classes * kAreaRanges *
                                          curves.limits * kIouThresholds);
  curves.precision.assign(places * kRecallPoints, -1);
  curves.scores.assign(places * kRecallPoints, -1);
  curves.recall.assign(places, -1);
  CurveWriter writer(curves, set.max_detections);
  for (int64_t label = 0; label < set.classes; ++label) {
    call.check();
    writer.write(label, classes[static_cast<size_t>(label)]);
    classes[static_cast<size_t>(label)] = {};
    call.report(Step::kMeasure, ++done, total);
  }
  return curves;
}

std::vector<ClassPrecision> class_precision(const PrecisionCurves& curves) {
  const int64_t places = curves.classes * kAreaRanges * curves.limits;
  const auto mean = [&](const std::vector<double>& values, int64_t points) {
    return
        [&values, points, places](int64_t place, int64_t first, int64_t last) {
          double sum = 0;
          for (int64_t i = first * points; i < last * points; ++i) {
            sum += values[i * places + place];
          }
          return sum / static_cast<double>((last - first) * points);
        };
  };
  const auto precision = mean(curves.precision, kRecallPoints);
  const auto recall = mean(curves.recall, 1);
  std::vector<ClassPrecision> out(static_cast<size_t>(curves.classes));
  for (int64_t label = 0; label < curves.classes; ++label) {
    auto& one = out[static_cast<size_t>(label)];
    // Of an area that has no object all values are -1, and so is their mean.
    const auto place = [&](int64_t area, int64_t limit) {
      return (label * kAreaRanges + area) * curves.limits + limit;
    };
    const int64_t most = curves.limits - 1;
    one.ap = precision(place(0, most), 0, kIouThresholds);
    one.ap50 = precision(place(0, most), 0, 1);
    one.ap75 = precision(place(0, most), 5, 6);
    one.small = precision(place(1, most), 0, kIouThresholds);
    one.medium = precision(place(2, most), 0, kIouThresholds);
    one.large = precision(place(3, most), 0, kIouThresholds);
    for (int64_t m = 0; m < std::min<int64_t>(curves.limits, 3); ++m) {
      one.recalls[static_cast<size_t>(m)] =
          recall(place(0, m), 0, kIouThresholds);
    }
    one.recall_small = recall(place(1, most), 0, kIouThresholds);
    one.recall_medium = recall(place(2, most), 0, kIouThresholds);
    one.recall_large = recall(place(3, most), 0, kIouThresholds);
  }
  return out;
}

}  // namespace declip
