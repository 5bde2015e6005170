#include "model/text_rows.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <map>
#include <utility>

namespace declip {
namespace {

constexpr int64_t kMean = -1;

/// What one row computes.
struct Chosen {
  std::vector<int64_t> positions;  // attended to, then one that only attends
  int64_t keys = 0;
  int64_t pooled = kMean;  // index among positions
};

int64_t pooled_position(TextPool pool, int64_t end, int64_t length) {
  switch (pool) {
    case TextPool::kEnd:
      return end;
    case TextPool::kFirst:
      return 0;
    case TextPool::kLast:
      return length - 1;
    default:
      return kMean;
  }
}

/// Of a row `ids` of `length` tokens.
Chosen choose(const int64_t* ids,
              int64_t length,
              int64_t end,
              const TextConfig& config) {
  Chosen out;
  const int64_t pooled = pooled_position(config.pool, end, length);
  const bool nothing_behind = config.causal && pooled != kMean;
  const int64_t seen = nothing_behind ? pooled + 1 : length;
  for (int64_t i = 0; i < seen; ++i) {
    if (config.pad_token >= 0 && ids[i] == config.pad_token) continue;
    if (i == pooled) out.pooled = static_cast<int64_t>(out.positions.size());
    out.positions.push_back(i);
  }
  out.keys = static_cast<int64_t>(out.positions.size());
  if (pooled == kMean || out.pooled != kMean) return out;
  out.pooled = out.keys;
  out.positions.push_back(pooled);
  out.keys = std::max<int64_t>(out.keys, 1);  // it has itself, if nothing else
  return out;
}

}  // namespace

at::Tensor end_tokens(const at::Tensor& tokens, const TextConfig& config) {
  // argmax returns the first maximum, so padding with the end token is harmless
  return config.eot_token < 0
             ? tokens.argmax(1)
             : tokens.eq(config.eot_token).to(at::kInt).argmax(1);
}

bool ends_at_pooled(const TextConfig& config) {
  return config.causal && config.pad_token < 0 &&
         (config.pool == TextPool::kEnd || config.pool == TextPool::kFirst);
}

std::vector<TextRows> group_rows(const at::Tensor& tokens,
                                 const TextConfig& config,
                                 int64_t most_rows,
                                 int64_t most_tokens) {
  const bool whole = config.pad_token < 0 || config.pool == TextPool::kLast;
  const int64_t missing = config.context - tokens.size(1);
  const int64_t fill =
      config.pad_token < 0 ? config.fill_token : config.pad_token;
  const auto filled =
      (whole && missing > 0 ? at::constant_pad_nd(tokens, {0, missing}, fill)
                            : tokens)
          .contiguous();
  const int64_t count = filled.size(0), length = filled.size(1);
  const auto* ids = filled.const_data_ptr<int64_t>();
  const auto ends = end_tokens(tokens, config).contiguous();

  std::map<std::pair<int64_t, int64_t>, std::vector<std::pair<int64_t, Chosen>>>
      alike;  // by the number of positions and of keys
  for (int64_t row = 0; row < count; ++row) {
    auto chosen = choose(ids + row * length,
                         length,
                         ends.const_data_ptr<int64_t>()[row],
                         config);
    const auto size = static_cast<int64_t>(chosen.positions.size());
    alike[{size, chosen.keys}].emplace_back(row, std::move(chosen));
  }

  std::vector<TextRows> out;
  for (const auto& [shape, rows] : alike) {
    const auto [size, keys] = shape;
    const auto most = static_cast<size_t>(std::clamp<int64_t>(
        most_tokens / std::max<int64_t>(size, 1), 1, most_rows));
    for (size_t first = 0; first < rows.size(); first += most) {
      const size_t end = std::min(first + most, rows.size());
      const auto batch = static_cast<int64_t>(end - first);
      TextRows group;
      group.keys = keys;
      group.ids = at::empty({batch, size}, at::kLong);
      group.positions = at::empty({batch, size}, at::kLong);
      auto* id = group.ids.mutable_data_ptr<int64_t>();
      auto* position = group.positions.mutable_data_ptr<int64_t>();
      std::vector<int64_t> pooled;
      for (size_t i = first; i < end; ++i) {
        const auto& [row, chosen] = rows[i];
        group.row.push_back(row);
        pooled.push_back(chosen.pooled);
        for (const int64_t p : chosen.positions) {
          *id++ = ids[row * length + p];
          *position++ = p;
        }
      }
      if (config.pool != TextPool::kMean) group.pooled = at::tensor(pooled);
      out.push_back(std::move(group));
    }
  }
  return out;
}

}  // namespace declip
