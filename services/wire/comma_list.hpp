// Lists that come as one text with commas between their entries, in queries, forms and settings.
// What an entry may be, an empty one too, is for its reader to say.
#pragma once

#include <algorithm>
#include <string_view>
#include <vector>

namespace task_runner {

/// What stands before, between and behind the commas, one more than there are; views of `text`.
inline std::vector<std::string_view> split_at_commas(std::string_view text) {
  std::vector<std::string_view> entries;
  for (size_t begin = 0; begin <= text.size();) {
    const auto comma = std::min(text.find(',', begin), text.size());
    entries.push_back(text.substr(begin, comma - begin));
    begin = comma + 1;
  }
  return entries;
}

} // namespace task_runner
