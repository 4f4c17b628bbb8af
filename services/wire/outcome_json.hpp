// How an attempt ended, as JSON: one shape wherever an outcome is told.
#pragma once

#include "services/domain/task.hpp"
#include "services/wire/json_text.hpp"

#include <optional>

namespace task_runner {

/// `{"kind":S}` with `code`, `signal` or `error` where the kind has one, or null.
void write_outcome(json_writer& json, const std::optional<outcome>& how);

} // namespace task_runner
