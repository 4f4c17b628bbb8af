// Attempts as bytes: keys, outcomes and what is known of an attempt, as messages and journal records carry
// them.
#pragma once

#include "services/launcher/byte_codec.hpp"
#include "services/ports/process_runner.hpp"

namespace task_runner::launcher {

/// Longest text of a failed start, bytes; longer ones are cut when written.
constexpr size_t spawn_error_length_max = 1'024;

void write_key(byte_writer& out, const attempt_key& key);
void write_outcome(byte_writer& out, const outcome& how);
void write_started(byte_writer& out, const attempt_started& event);
void write_ended(byte_writer& out, const attempt_ended& event);
void write_known(byte_writer& out, const known_attempt& attempt);
void write_start(byte_writer& out, const attempt_start& start);

/// The readers reject (see byte_reader) what is not a legal value: bad names, attempt 0, unknown kinds.
attempt_key read_key(byte_reader& in);
outcome read_outcome(byte_reader& in);
attempt_started read_started(byte_reader& in);
attempt_ended read_ended(byte_reader& in);
known_attempt read_known(byte_reader& in);
attempt_start read_start(byte_reader& in);

/// Whether read_start() would take it: the bounds of the domain, and no NUL where a program could not see
/// past it. `invalid_argument`, `out_of_range` or `too_large`.
result<void> check_start(const attempt_start& start);

/// About how many bytes write_start() makes of it.
size_t size_of(const attempt_start& start) noexcept;

/// A channel name or task id: 1 to 128 bytes of the alphabet of names.
std::string read_name(byte_reader& in);

} // namespace task_runner::launcher
