#include "segment/label_bands.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <optional>

#include "kernels/postprocess.h"
#include "segment/ranked_labels.h"

namespace declip {
namespace {

/// Pixels of a band: with 16 bytes each, what a core's own cache holds.
constexpr int64_t kBandPixels = 32768;
/// Fewer are not worth a thread.
constexpr int64_t kSmallestBand = 4096;
/// Bands per thread between two reports.
constexpr int64_t kBandsPerReport = 4;
/// Rows above and below that a 3 x 3 closing reaches.
constexpr int64_t kClosingReach = 2;

std::vector<RowRange> bands_of(Size size, int64_t threads) {
  const auto rows_for = [&](int64_t pixels) {
    return std::clamp<int64_t>(pixels / size.width, 1, size.height);
  };
  const int64_t share = (size.height + threads - 1) / threads;
  const int64_t rows =
      std::clamp(share, rows_for(kSmallestBand), rows_for(kBandPixels));
  std::vector<RowRange> bands;
  for (int64_t y = 0; y < size.height; y += rows) {
    bands.push_back({y, std::min(y + rows, size.height)});
  }
  return bands;
}

/// Rows of [H, W] or [C, H, W].
at::Tensor band_rows(const at::Tensor& planes, RowRange rows) {
  return planes.narrow(-2, rows.begin, rows.size());
}

/// 3 x 3 closing of some rows of `labels`. Pixels outside take no part, and no
/// row in the middle sees where its surroundings were cut off.
at::Tensor closed_rows(const at::Tensor& labels, RowRange rows) {
  const RowRange around{std::max<int64_t>(rows.begin - kClosingReach, 0),
                        std::min(rows.end + kClosingReach, labels.size(0))};
  const auto in = band_rows(labels, around).to(at::kInt);
  const auto dilated = at::empty_like(in);
  cpu::dilate_labels(in.const_data_ptr<int32_t>(),
                     around.size(),
                     in.size(1),
                     dilated.mutable_data_ptr<int32_t>());
  cpu::erode_labels(dilated.const_data_ptr<int32_t>(),
                    around.size(),
                    in.size(1),
                    in.mutable_data_ptr<int32_t>());
  return in.narrow(0, rows.begin - around.begin, rows.size());
}

/// What one thread works with.
struct Desk {
  Desk(const std::vector<int64_t>& word_class,
       const PostOptions& post,
       Size size)
      : postprocess(word_class, post, size.height, size.width),
        plane(at::empty({size.height, size.width}, at::kFloat)),
        counts(postprocess.classes()) {}

  Postprocess postprocess;
  at::Tensor plane;    // of a word
  at::Tensor scratch;  // the planes'
  std::vector<int64_t> counts;
};

class BandLabels {
 public:
  BandLabels(const WordPlanes& source,
             const std::vector<int64_t>& word_class,
             const PostOptions& post,
             const Call& call)
      : source_(source),
        post_(post),
        call_(call),
        bands_(bands_of(source.size(), at::get_num_threads())) {
    PostOptions own = post;  // closing looks beyond a band
    own.closing = false;
    const Size band{bands_.front().size(), source.size().width};
    const auto bands = static_cast<int64_t>(bands_.size());
    const int64_t threads = std::min<int64_t>(at::get_num_threads(), bands);
    desks_.reserve(threads);
    for (int64_t i = 0; i < threads; ++i) {
      desks_.emplace_back(word_class, own, band);
    }
  }

  Segmentation label() {
    const Size size = source_.size();
    const int64_t classes = desks_.front().postprocess.classes();
    result_.labels = at::empty({size.height, size.width},
                               classes <= 256 ? at::kByte : at::kUInt16);
    result_.certainty = at::empty({size.height, size.width}, at::kByte);
    const auto scores = [&](bool wanted) {
      return wanted ? at::empty({classes, size.height, size.width}, at::kFloat)
                    : at::Tensor();
    };
    result_.logits = scores(post_.logits);
    result_.probabilities = scores(post_.probabilities);
    if (filters()) ranked_.emplace(size, result_.labels.scalar_type());

    if (post_.word_threshold > 0) leave_out_absent();
    each_band(true, [&](Desk& desk, RowRange rows) { read(desk, rows); });
    if (filters()) filter();
    if (post_.closing) close();
    result_.counts = counts();
    return std::move(result_);
  }

 private:
  bool filters() const { return post_.area_threshold > 0; }

  /// Gives every band to a thread.
  void each_band(bool reports,
                 const std::function<void(Desk&, RowRange)>& work) {
    const auto total = static_cast<int64_t>(bands_.size());
    const int64_t step = kBandsPerReport * static_cast<int64_t>(desks_.size());
    for (int64_t first = 0; first < total; first += step) {
      const int64_t last = std::min(first + step, total);
      at::parallel_for(first, last, 1, [&](int64_t begin, int64_t end) {
        const c10::InferenceMode guard;  // a thread's own
        for (int64_t i = begin; i < end; ++i) {
          call_.check();
          work(desks_[at::get_thread_num()], bands_[i]);
        }
      });
      if (reports) {
        call_.report(
            Step::kPixels, bands_[last - 1].end, source_.size().height);
      }
    }
  }

  void add(Desk& desk, int64_t word, RowRange rows, bool missing) {
    call_.check();
    const bool zero = source_.is_zero(word);
    if (zero && !missing && desk.postprocess.skips_zeros()) {
      desk.postprocess.skip();
      return;
    }
    const auto plane = desk.plane.narrow(0, 0, rows.size());
    if (zero) {
      plane.zero_();
    } else {
      source_.write(word, rows, plane, desk.scratch);
    }
    if (missing) {
      desk.postprocess.add_missing(word, plane);
    } else {
      desk.postprocess.add(plane);
    }
  }

  void add_words(Desk& desk, RowRange rows) {
    desk.postprocess.restart(rows.size());
    for (const int64_t word : desk.postprocess.order()) {
      add(desk, word, rows, false);
    }
  }

  void count(Desk& desk, const std::vector<int64_t>& counts) {
    std::transform(counts.begin(),
                   counts.end(),
                   desk.counts.begin(),
                   desk.counts.begin(),
                   std::plus<>());
  }

  std::vector<int64_t> counts() const {
    std::vector<int64_t> sum(desks_.front().counts.size());
    for (const auto& desk : desks_) {
      std::transform(desk.counts.begin(),
                     desk.counts.end(),
                     sum.begin(),
                     sum.begin(),
                     std::plus<>());
    }
    return sum;
  }

  void forget_counts() {
    for (auto& desk : desks_) {
      std::fill(desk.counts.begin(), desk.counts.end(), 0);
    }
  }

  /// Words that are nowhere probable enough give no label. Once a word was
  /// found no other band looks for it, so that mostly the absent ones cost a
  /// pass.
  void leave_out_absent() {
    const int64_t words = source_.words();
    std::vector<std::atomic<bool>> found(words);
    each_band(false, [&](Desk& desk, RowRange rows) {
      add_words(desk, rows);
      const auto plane = desk.plane.narrow(0, 0, rows.size());
      for (int64_t q = 0; q < words; ++q) {
        if (found[q] || !desk.postprocess.may_leave_out(q)) continue;
        if (post_.independent && source_.is_zero(q)) continue;
        call_.check();
        source_.write(q, rows, plane, desk.scratch);
        if (desk.postprocess.largest_probability(plane) >=
            static_cast<float>(post_.word_threshold)) {
          found[q] = true;
        }
      }
    });
    std::vector<bool> absent(words);
    for (int64_t q = 0; q < words; ++q) {
      absent[q] = !found[q] && desks_.front().postprocess.may_leave_out(q);
    }
    for (auto& desk : desks_) desk.postprocess.leave_out(absent);
  }

  /// All words of some rows: their scores, and their labels or ranks.
  void read(Desk& desk, RowRange rows) {
    add_words(desk, rows);
    const auto keep = [&](const Segmentation& band) {
      if (post_.logits) band_rows(result_.logits, rows).copy_(band.logits);
      if (post_.probabilities) {
        band_rows(result_.probabilities, rows).copy_(band.probabilities);
      }
    };
    if (filters()) {
      count(desk, desk.postprocess.counts());
      ranked_->take(desk.postprocess, rows);
      desk.postprocess.grade(
          band_rows(result_.certainty, rows).mutable_data_ptr<uint8_t>());
      keep(desk.postprocess.scores());
      return;
    }
    const Segmentation band = desk.postprocess.finish();
    keep(band);
    band_rows(result_.labels, rows).copy_(band.labels);
    band_rows(result_.certainty, rows).copy_(band.certainty);
    count(desk, band.counts);
  }

  /// The labels that the area filter leaves.
  void filter() {
    const auto keep = kept_classes(counts(), post_);
    forget_counts();
    for (size_t c = 0; c < keep.size(); ++c) {
      if (!keep[c] && post_.probabilities) {
        result_.probabilities[static_cast<int64_t>(c)].zero_();
      }
    }
    each_band(false, [&](Desk& desk, RowRange rows) {
      const auto labels = band_rows(result_.labels, rows);
      const auto certainty = band_rows(result_.certainty, rows);
      const int64_t open =
          ranked_->choose(rows,
                          keep,
                          std::max<int64_t>(post_.background, 0),
                          labels,
                          certainty);
      if (open > 0) label_open(desk, rows, keep, labels, certainty);
      count_rows(desk, labels.to(at::kInt));
    });
    ranked_.reset();
  }

  /// The rare rows where some pixel has no rank that is kept.
  void label_open(Desk& desk,
                  RowRange rows,
                  const std::vector<bool>& keep,
                  const at::Tensor& labels,
                  const at::Tensor& certainty) {
    add_words(desk, rows);
    for (const int64_t word : desk.postprocess.missing(keep)) {
      add(desk, word, rows, true);
    }
    const Segmentation band = desk.postprocess.finish();
    labels.copy_(band.labels);
    certainty.copy_(band.certainty);
  }

  void close() {
    forget_counts();
    const auto closed = at::empty_like(result_.labels);
    each_band(false, [&](Desk& desk, RowRange rows) {
      const auto labels = closed_rows(result_.labels, rows);
      band_rows(closed, rows).copy_(labels);
      const auto same = band_rows(result_.labels, rows).to(at::kInt).eq(labels);
      band_rows(result_.certainty, rows).mul_(same);
      count_rows(desk, labels);
    });
    result_.labels = closed;
  }

  void count_rows(Desk& desk, const at::Tensor& labels) {
    cpu::count_labels(labels.const_data_ptr<int32_t>(),
                      labels.numel(),
                      desk.postprocess.classes(),
                      desk.counts.data());
  }

  const WordPlanes& source_;
  const PostOptions& post_;
  const Call& call_;
  std::vector<RowRange> bands_;
  std::vector<Desk> desks_;
  Segmentation result_;
  std::optional<RankedLabels> ranked_;
};

}  // namespace

Segmentation label_in_bands(const WordPlanes& source,
                            const std::vector<int64_t>& word_class,
                            const PostOptions& post,
                            const Call& call) {
  return BandLabels(source, word_class, post, call).label();
}

}  // namespace declip
