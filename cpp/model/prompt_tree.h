#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace declip {

/// Prompts as a tree of their tokens. A causal transformer's state at a token
/// depends on the tokens up to it and on nothing else, so prompts that begin
/// alike ("a photo of a cat.", "a photo of a dog.") share the states of their
/// common beginning, exactly.
struct PromptTree {
  std::vector<int64_t> token;  // of each node; parents come before children
  std::vector<int64_t> depth;  // position of the token in its prompts
  std::vector<int32_t> path;   // nodes from the root to each node, itself last
  std::vector<int64_t>
      path_begin;            // where a node's path starts; one more entry
  std::vector<int64_t> end;  // node of each prompt's end token

  int64_t size() const { return static_cast<int64_t>(token.size()); }
};

/// Rows of tokens [T, L] (int64, CPU) in lexicographic order of what comes
/// before and with their end token, end [T].
std::vector<int64_t> prompt_order(const at::Tensor& tokens,
                                  const at::Tensor& end);

/// The tree of the prompts order[first..], as many of them as have at most
/// `most_nodes` nodes together, but at least one.
PromptTree grow_prompt_tree(const at::Tensor& tokens,
                            const at::Tensor& end,
                            const std::vector<int64_t>& order,
                            size_t first,
                            int64_t most_nodes);

}  // namespace declip
