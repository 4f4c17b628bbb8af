// Rendering of the envelope and of failures by splicing JSON that is rendered already.
#include "services/http/envelope.hpp"

#include "services/http/answer.hpp"
#include "services/http/http_text.hpp"

namespace task_runner {

namespace {

/// Puts further members behind those that are there, and closes the object.
void close_object(std::string& text, std::string_view members_json) {
  if (!members_json.empty()) {
    text += ',';
    text += members_json;
  }
  text += '}';
}

} // namespace

failed_request describe_failure(const error& why) noexcept {
  return {http_status(why.code), why.code, why.message};
}

std::string make_envelope(int status_code, std::string_view message, std::string_view data_json,
                          std::string_view members_json) {
  std::string text = "{\"status_code\":";
  text += std::to_string(status_code);
  text += ",\"message\":";
  text += json_quote(message);
  text += ",\"data\":";
  text += data_json;
  close_object(text, members_json);
  return text;
}

std::string make_envelope(const failed_request& failed, std::string_view members_json) {
  std::string members = "\"error\":" + make_problem(failed);
  if (!members_json.empty()) {
    members += ',';
    members += members_json;
  }
  return make_envelope(failed.status, failed.message, "null", members);
}

std::string make_problem(const failed_request& failed, std::string_view members_json) {
  std::string text = "{\"type\":\"";
  if (failed.code) {
    text += problem_pages_path;
    text += '/';
    text += to_string(*failed.code);
  } else {
    text += "about:blank";
  }
  text += "\",\"title\":";
  text += json_quote(failed.code ? title_of(*failed.code) : reason_phrase(failed.status));
  text += ",\"status\":";
  text += std::to_string(failed.status);
  text += ",\"detail\":";
  text += json_quote(failed.message);
  if (failed.code) {
    text += ",\"code\":\"";
    text += to_string(*failed.code);
    text += '"';
  }
  close_object(text, members_json);
  return text;
}

failure_answer make_failure(failure_form form, const failed_request& failed, std::string_view members_json) {
  if (form == failure_form::problem)
    return {failed.status, problem_content_type, make_problem(failed, members_json)};
  return {form == failure_form::legacy_envelope ? 200 : failed.status, envelope_content_type,
          make_envelope(failed, members_json)};
}

} // namespace task_runner
