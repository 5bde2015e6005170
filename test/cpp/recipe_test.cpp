#include "model/recipe.h"

#include <set>
#include <string>
#include <vector>

#include "declip/error.h"
#include "tap.h"

using declip::DenseMode;

TEST(every_mode_has_one_recipe_and_one_name) {
  std::set<std::string> names;
  for (int mode = 0; mode <= static_cast<int>(DenseMode::kCorrClip); ++mode) {
    const auto& recipe = declip::recipe_of(static_cast<DenseMode>(mode));
    CHECK(recipe.mode == static_cast<DenseMode>(mode));
    CHECK(declip::dense_mode_from(recipe.name) == recipe.mode);
    names.insert(declip::dense_mode_name(recipe.mode));
  }
  CHECK(names.size() == 18);
  CHECK_THROWS_CODE(declip::dense_mode_from("qk"),
                    declip::ErrorCode::kInvalidArg);
}

TEST(blocks_and_pooling_heads_have_modes_of_their_own) {
  CHECK(declip::mode_names(declip::block_modes()) ==
        "'vanilla', 'maskclip', 'qq', 'kk', 'vv', 'csa', 'all', 'itaclip', "
        "'sclip', 'clearclip', 'naclip', 'proxyclip', 'corrclip', 'scra', "
        "'scclip', 'cat-seg'");
  CHECK(declip::mode_names(declip::head_modes()) ==
        "'vanilla', 'maskclip', 'qq', 'kk', 'vv', 'csa', 'proxyclip', "
        "'declip', 'maskclip-projection', 'qq-projection'");
}

TEST(itaclip_takes_the_published_blocks_or_those_at_the_same_depth) {
  const auto& recipe = declip::recipe_of(DenseMode::kItaClip);
  using Blocks = std::vector<int64_t>;
  CHECK(recipe.earlier_blocks_of(12) == Blocks({7, 8, 10}));
  CHECK(recipe.earlier_blocks_of(24) == Blocks({7, 8, 10}));
  CHECK(recipe.earlier_blocks_of(6) == Blocks({4, 5}));
  CHECK(recipe.earlier_blocks_of(3) == Blocks({2}));
  CHECK(recipe.earlier_blocks_of(1).empty());
  CHECK(declip::recipe_of(DenseMode::kCsa).earlier_blocks_of(6).empty());
}
