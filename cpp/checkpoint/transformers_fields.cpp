#include "checkpoint/transformers_fields.h"

#include "files/text.h"

namespace declip {

void note_unknown(const Fields& fields,
                  const std::vector<KnownField>& known,
                  std::string_view model,
                  std::vector<std::string>& notes) {
  std::string names;
  for (const std::string& name : fields.unknown(known)) {
    if (name.starts_with('_')) continue;  // of the program that wrote it
    names += (names.empty() ? "" : ", ") + in_quotes(name);
  }
  if (names.empty()) return;
  notes.push_back("config.json has fields that transformers' " +
                  std::string(model) +
                  " does not know and that are ignored: " + names);
}

}  // namespace declip
