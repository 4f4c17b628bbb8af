// Writing of outcomes.
#include "services/wire/outcome_json.hpp"

namespace task_runner {

void write_outcome(json_writer& json, const std::optional<outcome>& how) {
  if (!how) {
    json.null();
    return;
  }
  json.begin_object().member("kind", to_string(how->kind));
  if (how->kind == outcome_kind::exited)
    json.member("code", how->code);
  if (how->kind == outcome_kind::signalled)
    json.member("signal", how->code);
  if (!how->error.empty())
    json.member("error", how->error);
  json.end_object();
}

} // namespace task_runner
