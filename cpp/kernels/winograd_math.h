#pragma once

#include <cstdint>

// Minimal filtering F(4, 3) (Lavin and Gray, "Fast Algorithms for Convolutional
// Neural Networks", arXiv:1509.09308): four outputs of a filter of three taps
// are six products of transformed inputs and taps. The polynomials are
// interpolated at 0, +-3/4, +-3/2 and infinity, which are exact in binary and
// round a quarter to a third as much as the usual 0, +-1, +-2 (Barabasz et al.,
// "Error Analysis and Improving the Accuracy of Winograd Convolution for Deep
// Neural Networks", arXiv:1803.10986, on the choice of points).

namespace declip::winograd {

constexpr int64_t kOutputs = 4;  // of a tile, along a side
constexpr int64_t kInputs = 6;
constexpr int64_t kProducts = kInputs * kInputs;

constexpr double kNear = 0.75, kFar = 1.5;
constexpr double kNear2 = kNear * kNear, kFar2 = kFar * kFar;

/// B^T of the paper: six inputs, `get(i)`, to what is multiplied, `put(i, v)`.
/// Vector has +, - and *, and comes from a float.
template <typename Vector, typename Get, typename Put>
inline void transform_inputs(Get&& get, Put&& put) {
  const Vector near2(static_cast<float>(kNear2));
  const Vector far2(static_cast<float>(kFar2));
  const Vector near(static_cast<float>(kNear));
  const Vector far(static_cast<float>(kFar));
  const Vector sum(static_cast<float>(kNear2 + kFar2));
  const Vector product(static_cast<float>(kNear2 * kFar2));
  const Vector d0 = get(0), d1 = get(1), d2 = get(2), d3 = get(3), d4 = get(4),
               d5 = get(5);
  put(0, product * d0 - sum * d2 + d4);
  const Vector even_near = d4 - far2 * d2, odd_near = near * (d3 - far2 * d1);
  put(1, even_near + odd_near);
  put(2, even_near - odd_near);
  const Vector even_far = d4 - near2 * d2, odd_far = far * (d3 - near2 * d1);
  put(3, even_far + odd_far);
  put(4, even_far - odd_far);
  put(5, product * d1 - sum * d3 + d5);
}

/// A^T: six products to four outputs.
template <typename Vector, typename Get, typename Put>
inline void transform_outputs(Get&& get, Put&& put) {
  const Vector sum_near = get(1) + get(2), difference_near = get(1) - get(2);
  const Vector sum_far = get(3) + get(4), difference_far = get(3) - get(4);
  put(0, get(0) + sum_near + sum_far);
  put(1,
      Vector(static_cast<float>(kNear)) * difference_near +
          Vector(static_cast<float>(kFar)) * difference_far);
  put(2,
      Vector(static_cast<float>(kNear2)) * sum_near +
          Vector(static_cast<float>(kFar2)) * sum_far);
  put(3,
      Vector(static_cast<float>(kNear2 * kNear)) * difference_near +
          Vector(static_cast<float>(kFar2 * kFar)) * difference_far + get(5));
}

/// G: three taps to six.
inline constexpr double kTaps[kInputs][3] = {
    {1 / (kNear2 * kFar2), 0, 0},
    {1 / (2 * kNear2 * (kNear2 - kFar2)),
     kNear / (2 * kNear2 * (kNear2 - kFar2)),
     kNear2 / (2 * kNear2 * (kNear2 - kFar2))},
    {1 / (2 * kNear2 * (kNear2 - kFar2)),
     -kNear / (2 * kNear2 * (kNear2 - kFar2)),
     kNear2 / (2 * kNear2 * (kNear2 - kFar2))},
    {1 / (2 * kFar2 * (kFar2 - kNear2)),
     kFar / (2 * kFar2 * (kFar2 - kNear2)),
     kFar2 / (2 * kFar2 * (kFar2 - kNear2))},
    {1 / (2 * kFar2 * (kFar2 - kNear2)),
     -kFar / (2 * kFar2 * (kFar2 - kNear2)),
     kFar2 / (2 * kFar2 * (kFar2 - kNear2))},
    {0, 0, 1},
};

}  // namespace declip::winograd
