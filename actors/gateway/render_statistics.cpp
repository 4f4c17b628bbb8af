// Rendering of the history as columns: what plots take, and a fraction of what rows would need.
// Steps in which nobody looked are null in every column but their time.
#include "actors/gateway/render.hpp"
#include "actors/gateway/render_parts.hpp"
#include "actors/gateway/requests.hpp"
#include "services/domain/time_text.hpp"

#include <algorithm>
#include <cmath>

namespace task_runner {

namespace {

/// Seconds with three digits: nothing was measured more finely.
double seconds(double duration_ms) noexcept {
  return std::round(duration_ms) / 1'000.0;
}

/// A quotient, in as many digits as it deserves.
double rounded(double value) noexcept {
  return std::round(value * 1e6) / 1e6;
}

template <class Value>
void write_or_null(json_writer& json, const std::optional<Value>& value) {
  if (value)
    json.value(*value);
  else
    json.null();
}

std::optional<double> seconds(const std::optional<double>& duration_ms) noexcept {
  return duration_ms ? std::optional(seconds(*duration_ms)) : std::nullopt;
}

std::optional<double> rounded(const std::optional<double>& value) noexcept {
  return value ? std::optional(rounded(*value)) : std::nullopt;
}

/// One array: what `value_of` gives of each row, an optional where there may be nothing.
template <class Row, class Value>
void write_column(json_writer& json, std::string_view name, const std::vector<Row>& rows, size_t from,
                  Value value_of) {
  json.key(name).begin_array();
  for (size_t i = from; i < rows.size(); ++i)
    write_or_null(json, value_of(rows[i]));
  json.end_array();
}

/// The three percentiles of waits or runs, each by its own name.
struct percentile_name {
  std::string_view wait;
  std::string_view run;
  std::optional<double> duration_percentiles::*member;
};
constexpr std::array<percentile_name, 3> percentile_names{{
    {"wait_p50_s", "run_p50_s", &duration_percentiles::p50_ms},
    {"wait_p95_s", "run_p95_s", &duration_percentiles::p95_ms},
    {"wait_p99_s", "run_p99_s", &duration_percentiles::p99_ms},
}};

constexpr uint64_t in_line(const channel_counts& counts) noexcept {
  return counts.pending + counts.held;
}

void write_points(json_writer& json, const std::vector<statistics_point>& points) {
  const auto column = [&](std::string_view name, auto value_of) {
    write_column(json, name, points, 0, [&](const statistics_point& point) {
      using value_type = std::decay_t<decltype(value_of(point))>;
      return point.length_ms == 0 ? std::optional<value_type>() : std::optional<value_type>(value_of(point));
    });
  };
  json.begin_object();
  write_column(json, "at", points, 0,
               [](const auto& point) { return std::optional(format_time(point.at_ms)); });
  column("length_s", [](const auto& point) { return seconds(static_cast<double>(point.length_ms)); });
  for (size_t i = 0; i < counter_names.size(); ++i)
    column(counter_names[i], [i](const auto& point) { return point.counted[i]; });
  json.key("attempts").begin_object();
  for (size_t i = 0; i < attempt_ends_count; ++i)
    column(to_string(static_cast<attempt_end>(i)),
           [i](const auto& point) { return point.counted[counter_names.size() + i]; });
  json.end_object();
  column("pending", [](const auto& point) { return in_line(point.standing); });
  column("held", [](const auto& point) { return point.standing.held; });
  column("delayed", [](const auto& point) { return point.standing.delayed; });
  column("running", [](const auto& point) { return point.standing.running; });
  column("workers", [](const auto& point) { return point.workers; });
  for (const auto& name : percentile_names)
    write_column(json, name.wait, points, 0,
                 [&](const auto& point) { return seconds(point.wait.*name.member); });
  for (const auto& name : percentile_names)
    write_column(json, name.run, points, 0,
                 [&](const auto& point) { return seconds(point.run.*name.member); });
  json.end_object();
}

void write_share(json_writer& json, uint64_t finished, uint64_t dead) {
  write_or_null(json.key("failure_share"), rounded(failure_share(finished, dead)));
}

void write_totals(json_writer& json, std::string_view name, const statistics_totals& totals) {
  json.key(name).begin_object().member("length_s", seconds(static_cast<double>(totals.length_ms)));
  for (size_t i = 0; i < counter_names.size(); ++i)
    json.member(counter_names[i], totals.counted[i]);
  json.key("attempts").begin_object();
  for (size_t i = 0; i < attempt_ends_count; ++i)
    json.member(to_string(static_cast<attempt_end>(i)), totals.counted[counter_names.size() + i]);
  json.end_object();
  write_share(json, totals.counted[counter_finished], totals.counted[counter_dead]);
  for (const auto& one : percentile_names)
    write_or_null(json.key(one.wait), seconds(totals.wait.*one.member));
  for (const auto& one : percentile_names)
    write_or_null(json.key(one.run), seconds(totals.run.*one.member));
  json.end_object();
}

void write_totals(json_writer& json, std::string_view name, const channel_totals& totals) {
  json.key(name)
      .begin_object()
      .member("length_s", seconds(static_cast<double>(totals.length_ms)))
      .member("pushed", totals.pushed)
      .member("finished", totals.finished)
      .member("dead", totals.dead);
  write_share(json, totals.finished, totals.dead);
  json.end_object();
}

/// Which histories are shown, and how long their steps are.
template <class History>
void write_frame(json_writer& json, const History& history) {
  json.member("span_s", history.span_ms / 1'000).member("step_s", history.step_ms / 1'000);
}

void write_steps(json_writer& json, const std::vector<channel_step>& steps, size_t from) {
  write_column(json, "at", steps, from,
               [](const auto& step) { return std::optional(format_time(step.at_ms)); });
  write_column(json, "length_s", steps, from, [](const channel_step& step) {
    return step.length_ms == 0 ? std::nullopt : std::optional(seconds(static_cast<double>(step.length_ms)));
  });
}

void write_channel_points(json_writer& json, const std::vector<std::optional<channel_point>>& points,
                          size_t from) {
  const auto column = [&](std::string_view name, uint32_t channel_point::*member) {
    write_column(json, name, points, from, [member](const std::optional<channel_point>& point) {
      return point ? std::optional((*point).*member) : std::nullopt;
    });
  };
  column("pushed", &channel_point::pushed);
  column("finished", &channel_point::finished);
  column("dead", &channel_point::dead);
  column("pending", &channel_point::pending);
}

void write_channel(json_writer& json, const channel_history& one, wall_time_ms now_ms) {
  const auto& counts = one.counts;
  json.begin_object()
      .member("channel", one.channel)
      .member("paused", counts.paused)
      .member("workers", one.workers)
      .member("pending", in_line(counts))
      .member("held", counts.held)
      .member("delayed", counts.delayed)
      .member("running", counts.running)
      .key("next_wait_s");
  if (counts.next_ready_at_ms == 0)
    json.null();
  else
    json.value(seconds(static_cast<double>(std::max<int64_t>(now_ms - counts.next_ready_at_ms, 0))));
  write_or_null(json.key("ended_per_s"), rounded(one.ended_per_s()));
  const auto eta_s = one.eta_s();
  write_or_null(json.key("eta_s"), eta_s ? std::optional(seconds(*eta_s * 1'000.0)) : std::nullopt);
  json.key("points").begin_object();
  write_channel_points(json, one.points, 0);
  json.end_object().end_object();
}

} // namespace

std::string render_statistics(const statistics_series& series) {
  std::string text;
  json_writer json(text);
  json.begin_object().key("channel").null();
  write_frame(json, series);
  write_points(json.key("points"), series.points);
  json.key("totals").begin_object();
  write_totals(json, "last_5_minutes", series.recent);
  write_totals(json, "last_hour", series.whole);
  json.end_object().end_object();
  return text;
}

std::string render_channel_statistics(const channel_histories& found, size_t limit) {
  const auto& one = found.channels.front();
  const auto from = found.steps.size() - std::min(limit, found.steps.size());
  std::string text;
  json_writer json(text);
  json.begin_object().member("channel", one.channel);
  write_frame(json, found);
  json.key("points").begin_object();
  write_steps(json, found.steps, from);
  write_channel_points(json, one.points, from);
  json.end_object().key("totals").begin_object();
  write_totals(json, "last_5_minutes", one.recent);
  write_totals(json, "last_hour", one.whole);
  json.end_object().end_object();
  return text;
}

std::string render_channel_statistics_page(const channel_histories& found, size_t limit) {
  std::string text;
  json_writer json(text);
  json.begin_object();
  write_frame(json, found);
  write_steps(json, found.steps, 0);
  json.key("items").begin_array();
  size_t shown = 0;
  for (; shown < found.channels.size() && shown < limit && text.size() < page_bytes_max; ++shown)
    write_channel(json, found.channels[shown], found.now_ms);
  json.end_array().key("next");
  if (shown < found.channels.size())
    json.value(encode_cursor(found.channels[shown - 1].channel));
  else
    json.null();
  json.end_object();
  return text;
}

} // namespace task_runner
