#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "declip/checkpoint.h"

namespace declip {

/// A kind of file that people bring and that is not run. The guide's table is
/// made of these (docs/guides/checkpoints.md, scripts/make/refusals.mjs), and
/// so are the messages.
struct Refusal {
  std::string_view name;     // what it is called, as the table has it
  std::string_view told_by;  // what tells it, in Markdown
  /// Goes on a sentence: "not a checkpoint this package runs: it is ...".
  std::string_view why;
  std::string_view instead;  // the nearest thing that works, goes on with it
};

/// What `refusal` says of a file, without a full stop.
std::string sentence(const Refusal& refusal);

/// All that is refused by name, in the order in which a file is compared with
/// it, each once: what the signatures of families refuse, then what belongs to
/// none.
std::vector<const Refusal*> all_refusals(Families families = all_families());

}  // namespace declip
