// Rendering of the envelope by splicing JSON that is rendered already.
#include "services/http/envelope.hpp"

#include "services/http/http_text.hpp"

namespace task_runner {

std::string make_envelope(int status_code, std::string_view message, std::string_view data_json,
                          std::string_view members_json) {
  std::string text = "{\"status_code\":";
  text += std::to_string(status_code);
  text += ",\"message\":";
  text += json_quote(message);
  text += ",\"data\":";
  text += data_json;
  if (!members_json.empty()) {
    text += ',';
    text += members_json;
  }
  text += '}';
  return text;
}

std::string make_envelope(const error& failure) {
  return make_envelope(http_status(failure.code), failure.message);
}

} // namespace task_runner
