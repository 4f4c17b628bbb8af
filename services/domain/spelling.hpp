// How near a word is to another, for messages that guess what was meant.
// Pure functions on bytes.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

namespace task_runner {

/// How many letters must be changed, put in or left out to make one text of the other; at most `most`, and
/// `most` + 1 beyond. Two neighbours that changed places count once. Costs the product of both lengths.
size_t spelling_distance(std::string_view one, std::string_view other, size_t most);

/// The one of `names` that was probably meant by a word that is none of them; empty where none is near.
std::string_view nearest_name(std::string_view word, const std::vector<std::string_view>& names);

} // namespace task_runner
