#include "kernels/self_similarity.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "declip/error.h"
#include "random_planes.h"
#include "tap.h"

using declip::Call;
using declip::ErrorCode;

namespace {

/// The formula, number by number, in double.
at::Tensor plain_aggregation(const at::Tensor& x, double gain) {
  const auto rows = x.to(at::kDouble);
  const auto at_row = rows.accessor<double, 2>();
  const int64_t count = x.size(0), width = x.size(1);
  std::vector<double> norm(count);
  for (int64_t i = 0; i < count; ++i) {
    for (int64_t c = 0; c < width; ++c) norm[i] += at_row[i][c] * at_row[i][c];
    norm[i] = std::max(std::sqrt(norm[i]), 1e-12);
  }
  std::vector<double> scores(count * count);
  double mean = 0;
  for (int64_t i = 0; i < count; ++i) {
    for (int64_t j = 0; j < count; ++j) {
      double product = 0;
      for (int64_t c = 0; c < width; ++c)
        product += at_row[i][c] * at_row[j][c] / norm[i] / norm[j];
      scores[i * count + j] = product;
      mean += product;
    }
  }
  mean /= static_cast<double>(count * count);
  auto out = at::zeros_like(rows);
  auto outs = out.accessor<double, 2>();
  for (int64_t i = 0; i < count; ++i) {
    double sum = 0;
    for (int64_t j = 0; j < count; ++j) {
      const double score = (scores[i * count + j] - mean) * gain;
      const double weight = score < 0 ? 0 : std::exp(score);
      sum += weight;
      for (int64_t c = 0; c < width; ++c) outs[i][c] += weight * at_row[j][c];
    }
    for (int64_t c = 0; c < width; ++c) outs[i][c] /= sum;
  }
  return out;
}

}  // namespace

TEST(attending_to_alike_matches_plain_loops) {
  Random random;
  for (int round = 0; round < 8; ++round) {
    const int64_t rows = round == 0 ? 1 : random.integer(2, 300);
    const auto x = 3 * random.tensor({rows, random.integer(1, 70)});
    const double gain = random.real(0.5, 20);
    CHECK_CLOSE(distance(declip::attend_to_alike(x, gain, {}),
                         plain_aggregation(x, gain)),
                0,
                // a pair within rounding of the mean is in or out
                x.size(1) == 1 ? 1e-4 : 2e-4);
  }
}

TEST(a_view_of_a_map_is_taken_as_it_is) {
  Random random;
  const auto map = random.tensor({20, 90});
  CHECK(declip::attend_to_alike(map.transpose(0, 1), 10, {})
            .equal(declip::attend_to_alike(
                map.transpose(0, 1).contiguous(), 10, {})));
}

TEST(rows_without_length_stay_finite) {
  auto x = at::zeros({5, 4}, at::kFloat);
  CHECK(declip::attend_to_alike(x, 10, {}).equal(x));
  x[2].fill_(1);
  CHECK(declip::attend_to_alike(x, 10, {}).isfinite().all().item<bool>());
}

TEST(a_gain_must_be_a_positive_number) {
  const auto x = at::ones({3, 4}, at::kFloat);
  for (const double gain : {0.0, -1.0, std::nan("")}) {
    CHECK_THROWS_CODE(declip::attend_to_alike(x, gain, {}),
                      ErrorCode::kInvalidArg);
  }
}
