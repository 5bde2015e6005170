#include "train/training_mode.h"

#include <c10/util/StringUtil.h>

#include <cmath>

#include "declip/error.h"

namespace declip {

at::ScalarType product_type(const std::string& dtype) {
  if (dtype == "float32") return at::kFloat;
  if (dtype == "bfloat16") return at::kBFloat16;
  throw Error(ErrorCode::kInvalidArg,
              "dtype must be 'float32' or 'bfloat16' to train, received '" +
                  dtype + "'.");
}

void check_range(const char* name, double value, double low, double high) {
  if (value >= low && value <= high) return;
  throw Error(ErrorCode::kInvalidArg,
              c10::str(name,
                       " must be ",
                       low,
                       std::isinf(high) ? std::string(" or more")
                                        : c10::str("..", high),
                       ", received ",
                       value,
                       "."));
}

}  // namespace declip
