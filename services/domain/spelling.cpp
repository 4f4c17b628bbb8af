// The distance of Damerau and Levenshtein, in its plain form: the words are short.
#include "services/domain/spelling.hpp"

#include <algorithm>

namespace task_runner {

size_t spelling_distance(std::string_view one, std::string_view other, size_t most) {
  const size_t difference = one.size() > other.size() ? one.size() - other.size() : other.size() - one.size();
  if (difference > most)
    return most + 1;
  std::vector<std::vector<size_t>> table(one.size() + 1, std::vector<size_t>(other.size() + 1));
  for (size_t i = 0; i <= one.size(); ++i)
    for (size_t j = 0; j <= other.size(); ++j) {
      auto& cell = table[i][j];
      if (i == 0 || j == 0) {
        cell = i + j;
        continue;
      }
      const size_t change = one[i - 1] == other[j - 1] ? 0 : 1;
      cell = std::min({table[i - 1][j] + 1, table[i][j - 1] + 1, table[i - 1][j - 1] + change});
      if (i > 1 && j > 1 && one[i - 1] == other[j - 2] && one[i - 2] == other[j - 1])
        cell = std::min(cell, table[i - 2][j - 2] + 1);
    }
  return std::min(table[one.size()][other.size()], most + 1);
}

std::string_view nearest_name(std::string_view word, const std::vector<std::string_view>& names) {
  constexpr size_t word_length_max = 64;
  std::string_view best;
  // A third of the letters may be wrong, but no more than two.
  size_t distance_max = std::min<size_t>(2, word.size() / 3);
  if (word.size() > word_length_max)
    return best;
  for (const auto name : names)
    if (const auto distance = spelling_distance(word, name, distance_max); distance <= distance_max) {
      if (distance == 0)
        return name;
      best = name;
      distance_max = distance - 1;
    }
  return best;
}

} // namespace task_runner
