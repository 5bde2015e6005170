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
  /// What is in the file: goes on "not a checkpoint this package runs:", or
  /// "found" where the format is none that is read.
  std::string_view why;
  std::string_view instead;  // the nearest thing that works, goes on with it
};

/// What a message says, without a full stop; `seen` is what was seen of it in
/// the file, if that tells more.
inline std::string sentence(const Refusal& refusal,
                            const std::string& seen = "") {
  return std::string(refusal.why) + (seen.empty() ? "" : " (" + seen + ")") +
         "; " + std::string(refusal.instead);
}

/// All that is refused by name, each once.
struct Refusals {
  std::vector<const Refusal*> models;   // what cannot be run
  std::vector<const Refusal*> formats;  // what are no weights
};
Refusals all_refusals(Families families = all_families());

}  // namespace declip
