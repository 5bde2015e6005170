#pragma once

#include <string>

#include "declip/refusal.h"

/// What is refused, as the guide has it: two tables in Markdown.
inline std::string refusals_table() {
  const auto cell = [](std::string_view text) {
    return " " + std::string(text) + " |";
  };
  const auto without = [](std::string_view text, std::string_view start) {
    return text.starts_with(start) ? text.substr(start.size()) : text;
  };
  const auto all = declip::all_refusals();
  std::string out =
      "| not run | told by | why | what works |\n| --- | --- | --- | --- |\n";
  for (const declip::Refusal* refusal : all.models) {
    out += "|" + cell(refusal->name) + cell(refusal->told_by) +
           cell(without(refusal->why, "it is ")) + cell(refusal->instead) +
           "\n";
  }
  out += "\n| no weights | told by | what works |\n| --- | --- | --- |\n";
  for (const declip::Refusal* refusal : all.formats) {
    out += "|" + cell(refusal->name) + cell(refusal->told_by) +
           cell(refusal->instead) + "\n";
  }
  return out;
}
