#include "model/prompt_tree.h"

#include <algorithm>
#include <numeric>

namespace declip {
namespace {

/// The tokens of one prompt, its end token included.
struct Prompt {
  const int64_t* begin;
  const int64_t* end;
};

Prompt prompt(const at::Tensor& tokens, const at::Tensor& end, int64_t row) {
  const int64_t* begin =
      tokens.const_data_ptr<int64_t>() + row * tokens.size(1);
  return {begin, begin + end.const_data_ptr<int64_t>()[row] + 1};
}

}  // namespace

std::vector<int64_t> prompt_order(const at::Tensor& tokens,
                                  const at::Tensor& end) {
  std::vector<int64_t> order(static_cast<size_t>(tokens.size(0)));
  std::iota(order.begin(), order.end(), int64_t{0});
  std::sort(order.begin(), order.end(), [&](int64_t i, int64_t j) {
    const auto a = prompt(tokens, end, i), b = prompt(tokens, end, j);
    return std::lexicographical_compare(a.begin, a.end, b.begin, b.end);
  });
  return order;
}

PromptTree grow_prompt_tree(const at::Tensor& tokens,
                            const at::Tensor& end,
                            const std::vector<int64_t>& order,
                            size_t first,
                            int64_t most_nodes) {
  PromptTree tree;
  tree.path_begin.push_back(0);
  std::vector<int32_t> branch;  // nodes of the prompt before
  const int64_t* before = nullptr;
  for (size_t i = first; i < order.size(); ++i) {
    const auto now = prompt(tokens, end, order[i]);
    const auto length = static_cast<size_t>(now.end - now.begin);
    size_t common = 0;
    while (common < branch.size() && common < length &&
           now.begin[common] == before[common]) {
      ++common;
    }
    const auto fresh = static_cast<int64_t>(length - common);
    if (i > first && tree.size() + fresh > most_nodes) break;
    branch.resize(common);
    for (size_t depth = common; depth < length; ++depth) {
      branch.push_back(static_cast<int32_t>(tree.size()));
      tree.token.push_back(now.begin[depth]);
      tree.depth.push_back(static_cast<int64_t>(depth));
      tree.path.insert(tree.path.end(), branch.begin(), branch.end());
      tree.path_begin.push_back(static_cast<int64_t>(tree.path.size()));
    }
    // A prompt that begins another one ends inside its branch.
    tree.end.push_back(branch[length - 1]);
    before = now.begin;
  }
  return tree;
}

}  // namespace declip
