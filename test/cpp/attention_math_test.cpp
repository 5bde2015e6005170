#include "kernels/attention_math.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "random_planes.h"
#include "tap.h"

TEST(scores_in_pieces_give_the_softmax_of_all) {
  Random random;
  for (int round = 0; round < 90; ++round) {
    const bool drop = round % 3 != 0;
    const float highest = round % 3 == 2 ? -2.0f : 30.0f;
    const int64_t count = random.integer(1, 90);
    std::vector<float> scores, values;
    for (int64_t i = 0; i < count; ++i) {
      scores.push_back(random.integer(0, 4) == 0
                           ? declip::kNoScore
                           : static_cast<float>(random.real(-30, highest)));
      values.push_back(static_cast<float>(random.real(-1, 1)));
    }
    // one takes part at least
    scores[random.integer(0, count - 1)] = std::min(highest, 0.0f);
    const bool some_left = *std::max_element(scores.begin(), scores.end()) >= 0;
    float largest = declip::kNoScore, sum = 0, summed = 0;
    for (int64_t i = 0; i < count;) {
      const int64_t last = std::min(count, i + random.integer(1, 20));
      float peak = largest;
      for (int64_t j = i; j < last; ++j) peak = std::max(peak, scores[j]);
      const float again = declip::rescale(largest, peak, drop);
      largest = peak;
      sum *= again;
      summed *= again;
      for (; i < last; ++i) {
        const float e = declip::share(scores[i], largest, drop);
        sum += e;
        summed += e * values[i];
      }
    }
    double total = 0, wanted = 0;
    for (int64_t i = 0; i < count; ++i) {
      if (drop && some_left && scores[i] < 0) continue;
      const double e = std::exp(static_cast<double>(scores[i]) - highest);
      total += e;
      wanted += e * values[i];
    }
    CHECK_CLOSE(summed / sum, wanted / total, 2e-6);
  }
}

TEST(the_prior_is_a_gaussian_of_the_distance) {
  const int64_t columns = 5;
  const double std = 1.7;
  const auto decay = static_cast<float>(1 / (2 * std * std));
  for (int64_t q = 0; q < 16; ++q) {
    for (int64_t k = 0; k < 16; ++k) {
      const auto y = static_cast<double>((q - 1) / columns - (k - 1) / columns);
      const auto x = static_cast<double>((q - 1) % columns - (k - 1) % columns);
      const double wanted =
          q == 0 || k == 0 ? 0 : std::exp(-(y * y + x * x) / (2 * std * std));
      CHECK_CLOSE(declip::neighbour_score(q, k, columns, decay), wanted, 3e-7);
    }
  }
}

TEST(scores_are_shifted_before_the_negative_ones_go) {
  CHECK(declip::final_score(1, -0.5f, false) == 0.5f);
  CHECK(declip::final_score(0.25f, -0.5f, false) == -0.25f);
  CHECK(declip::final_score(1, 0, true) == declip::kNoScore);
  CHECK(declip::share(-0.25f, 0.5f, true) == 0);
  CHECK(declip::share(-0.25f, 0.5f, false) > 0.4f);
  // All negative: the row keeps what it has.
  CHECK(declip::share(-0.25f, -0.25f, true) == 1);
  CHECK(declip::rescale(-0.25f, 0.0f, true) == 0);
}
