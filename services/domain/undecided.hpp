// Which refusals only mean "not now", for whoever may submit a push again.
// One rule for every source, so that none gives up what another would repeat.
#pragma once

#include "services/domain/error.hpp"

namespace task_runner {

/// Whether a refusal only means "not now": the push is not decided and may be submitted again.
bool is_undecided(error_code code) noexcept;

} // namespace task_runner
