// Rendering of what followers are sent.
#include "services/streaming/output_events.hpp"

#include "services/domain/names.hpp"
#include "services/http/event_stream.hpp"
#include "services/wire/byte_text.hpp"
#include "services/wire/json_text.hpp"
#include "services/wire/outcome_json.hpp"

#include <algorithm>
#include <charconv>
#include <limits>

namespace task_runner {

namespace {

constexpr std::string_view end_suffix = "-end";

std::string place_text(uint64_t offset, uint32_t attempt) {
  return std::to_string(offset) + "-" + std::to_string(attempt);
}

template <class Number>
bool read_whole(std::string_view text, Number& number) {
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), number);
  return fault == std::errc{} && end == text.data() + text.size();
}

} // namespace

result<output_place> parse_output_place(std::string_view text) {
  const error wrong{
      error_code::invalid_argument,
      "the id of the last event is none of this stream's; expected OFFSET-ATTEMPT, as the events "
      "have it in their id, or an offset"};
  output_place place;
  auto rest = text;
  if (rest.size() > end_suffix.size() && rest.substr(rest.size() - end_suffix.size()) == end_suffix) {
    place.is_end = true;
    rest.remove_suffix(end_suffix.size());
  }
  const auto dash = rest.find('-');
  if (dash != std::string_view::npos) {
    uint32_t attempt = 0;
    if (!read_whole(rest.substr(dash + 1), attempt) || attempt == 0)
      return wrong;
    place.attempt = attempt;
  }
  constexpr auto offset_max = static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
  if (!read_whole(rest.substr(0, dash), place.offset) || place.offset > offset_max ||
      (place.is_end && !place.attempt))
    return wrong;
  return place;
}

std::optional<output_end> find_output_end(const task& value, const std::vector<attempt_record>& attempts,
                                          uint32_t attempt) {
  if (value.attempt == attempt && value.state == task_state::running)
    return std::nullopt;
  if (value.attempt > attempt) {
    const auto record = std::find_if(attempts.begin(), attempts.end(),
                                     [&](const attempt_record& one) { return one.attempt == attempt; });
    return output_end{record == attempts.end() ? std::nullopt : std::optional(record->how), value.state};
  }
  if (value.attempt < attempt && !is_terminal(value.state))
    return std::nullopt;
  return output_end{value.last_outcome, value.state};
}

std::string render_output_event(uint32_t attempt, uint64_t offset, std::string_view bytes) {
  std::string data;
  data.reserve(bytes.size() + bytes.size() / 8 + 48);
  json_writer json(data);
  json.begin_object().member("offset", offset);
  if (is_valid_utf8(bytes))
    json.member("text", bytes);
  else
    json.member("base64", encode_base64(bytes));
  json.end_object();
  return render_event({place_text(offset + bytes.size(), attempt), "output", data});
}

std::string render_gap_event(uint32_t attempt, uint64_t from, uint64_t to) {
  std::string data;
  json_writer(data).begin_object().member("from", from).member("to", to).end_object();
  return render_event({place_text(to, attempt), "gap", data});
}

std::string render_reset_event(uint32_t attempt) {
  return render_event({place_text(0, attempt), "reset", R"({"offset":0})"});
}

std::string render_end_event(const attempt_key& key, uint64_t written, const output_end& how) {
  std::string data;
  json_writer json(data);
  json.begin_object()
      .member("task_id", key.task_id)
      .member("attempt", key.attempt)
      .member("offset", written)
      .key("state");
  if (how.state)
    json.value(to_string(*how.state));
  else
    json.null();
  write_outcome(json.key("outcome"), how.how);
  json.end_object();
  return render_event({place_text(written, key.attempt) + std::string(end_suffix), "end", data});
}

std::string render_failure_event(const error& why) {
  std::string data;
  json_writer(data)
      .begin_object()
      .member("code", to_string(why.code))
      .member("message", why.message)
      .end_object();
  return render_event({{}, "failure", data});
}

} // namespace task_runner
