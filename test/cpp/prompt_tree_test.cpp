#include "model/prompt_tree.h"

#include <ATen/ATen.h>

#include <map>
#include <vector>

#include "random_planes.h"
#include "tap.h"

namespace {

std::vector<int64_t> spell(const declip::PromptTree& tree, int64_t node) {
  std::vector<int64_t> tokens;
  for (int64_t i = tree.path_begin[node]; i < tree.path_begin[node + 1]; ++i)
    tokens.push_back(tree.token[tree.path[i]]);
  return tokens;
}

}  // namespace

TEST(paths_spell_the_prompts) {
  Random random;
  for (int round = 0; round < 20; ++round) {
    const int64_t count = random.integer(1, 40), length = random.integer(1, 9);
    const auto tokens = at::zeros({count, length}, at::kLong);
    const auto end = at::zeros({count}, at::kLong);
    for (int64_t i = 0; i < count; ++i) {
      end[i] = random.integer(0, length - 1);
      for (int64_t j = 0; j < length; ++j) tokens[i][j] = random.integer(0, 2);
    }
    const auto order = declip::prompt_order(tokens, end);
    const int64_t most = random.integer(1, 60);
    size_t done = 0;
    while (done < order.size()) {
      const auto tree =
          declip::grow_prompt_tree(tokens, end, order, done, most);
      CHECK(!tree.end.empty());
      CHECK(tree.end.size() == 1 || tree.size() <= most);
      std::map<std::vector<int64_t>, int> seen;
      for (int64_t u = 0; u < tree.size(); ++u) {
        const auto spelt = spell(tree, u);
        CHECK(++seen[spelt] == 1);  // no two nodes for one beginning
        CHECK(tree.depth[u] + 1 == static_cast<int64_t>(spelt.size()));
      }
      for (size_t i = 0; i < tree.end.size(); ++i, ++done) {
        const auto spelt = spell(tree, tree.end[i]);
        const auto row = tokens[order[done]];
        CHECK(static_cast<int64_t>(spelt.size()) ==
              end[order[done]].item<int64_t>() + 1);
        for (size_t j = 0; j < spelt.size(); ++j)
          CHECK(spelt[j] == row[static_cast<int64_t>(j)].item<int64_t>());
      }
    }
    CHECK(done == order.size());
  }
}
