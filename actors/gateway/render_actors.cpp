// Rendering of what the actors' probes say, for /status and as a resource of its own.
// Nobody is asked: probes are read where they are, so that an actor that is stuck shows as well.
#include "actors/gateway/render.hpp"
#include "actors/gateway/render_parts.hpp"
#include "actors/gateway/requests.hpp"

#include <algorithm>
#include <array>
#include <map>

namespace task_runner {

namespace {

double seconds(int64_t nanoseconds) noexcept {
  return static_cast<double>(nanoseconds) / 1e9;
}

void write_text(json_writer& json, std::string_view name, std::string_view text) {
  json.key(name);
  if (text.empty())
    json.null();
  else
    json.value(text);
}

void write_moment(json_writer& json, std::string_view name, int64_t moment_ns, const two_clocks& now) {
  write_time(json, name, moment_ns == 0 ? 0 : now.wall_of(moment_ns));
}

void write_messages(json_writer& json, const actor_probe& probe) {
  const auto& kinds = probe.message_kinds();
  std::vector<message_figures> figures;
  figures.reserve(kinds.size());
  message_figures sum;
  for (size_t i = 0; i < kinds.size(); ++i) {
    const auto& one = figures.emplace_back(probe.figures(i));
    sum.count += one.count;
    sum.total_ns += one.total_ns;
  }
  json.key("messages")
      .begin_object()
      .member("total", sum.count)
      .member("total_s", seconds(sum.total_ns))
      .key("by_kind")
      .begin_array();
  for (size_t i = 0; i < kinds.size(); ++i)
    if (figures[i].count > 0)
      json.begin_object()
          .member("kind", kinds[i])
          .member("count", figures[i].count)
          .member("total_s", seconds(figures[i].total_ns))
          .member("longest_s", seconds(figures[i].longest_ns))
          .end_object();
  json.end_array().end_object();
}

void write_last_message(json_writer& json, const actor_probe& probe, const two_clocks& now) {
  json.key("last_message");
  const auto kind = probe.last_kind();
  if (kind.empty()) {
    json.null();
    return;
  }
  json.begin_object().member("kind", kind);
  write_moment(json, "at", probe.last_begun_ns(), now);
  json.end_object();
}

/// `{NAME:N,…}`, null where there are none.
template <class Value>
void write_gauges(json_writer& json, std::string_view name, const std::vector<std::string_view>& names,
                  Value value_of) {
  json.key(name);
  if (names.empty()) {
    json.null();
    return;
  }
  json.begin_object();
  for (size_t i = 0; i < names.size(); ++i)
    json.member(names[i], value_of(i));
  json.end_object();
}

/// What an actor has and a service has not.
constexpr std::array actor_members{"watched_by", "alive",      "started_at",   "mailbox",
                                   "messages",   "busy_since", "last_message", "restarts",
                                   "in_flight",  "credits",    "facts"};

void write_actor(json_writer& json, const actor_probe& probe, const two_clocks& now) {
  json.begin_object().member("name", probe.name()).member("kind", probe.kind());
  write_text(json, "channel", probe.channel());
  if (probe.is_service()) {
    for (const auto* unknown : actor_members)
      json.key(unknown).null();
    json.end_object();
    return;
  }
  write_text(json, "watched_by", probe.shape().watched_by);
  json.member("alive", probe.is_alive());
  write_time(json, "started_at", probe.started_at_ms());
  // The depth first, so that it is never above the peak.
  const auto depth = probe.mailbox_depth();
  json.key("mailbox")
      .begin_object()
      .member("depth", depth)
      .member("peak", std::max(depth, probe.mailbox_peak()))
      .end_object();
  write_messages(json, probe);
  write_moment(json, "busy_since", probe.busy_since_ns(), now);
  write_last_message(json, probe, now);
  json.member("restarts", probe.restarts()).member("in_flight", probe.in_flight());
  write_gauges(json, "credits", probe.shape().credits, [&](size_t i) { return probe.credit(i); });
  write_gauges(json, "facts", probe.shape().facts, [&](size_t i) { return probe.fact(i); });
  json.end_object();
}

/// About as much as one actor takes in /status.
constexpr size_t actor_bytes_usual = 400;

/// What stands before the count of each kind of message in an object of all of them. Written once for all
/// actors of a kind, as there may be thousands.
std::vector<std::string> kind_keys(const probe_shape& shape) {
  std::vector<std::string> keys;
  for (const auto kind : shape.message_kinds) {
    auto& key = keys.emplace_back(keys.empty() ? "{" : ",");
    append_json_string(key, kind);
    key += ':';
  }
  return keys;
}

/// The edges that a probe counts and that something has taken.
void write_edges(json_writer& json, const actor_probe& probe) {
  for (size_t i = 0; i < probe.shape().edges.size(); ++i)
    if (const auto messages = probe.edge_messages(i); messages > 0)
      json.begin_object()
          .member("from", probe.edge_from(i))
          .member("to", probe.edge_to(i))
          .member("messages", messages)
          .end_object();
}

} // namespace

std::string render_actors(const probe_registry::probes& probes) {
  const auto now = two_clocks::read();
  std::string text;
  text.reserve(probes.size() * actor_bytes_usual);
  std::string handled;
  std::map<const probe_shape*, std::vector<std::string>> keys;
  json_writer json(text);
  json.begin_array();
  for (const auto& probe : probes) {
    if (probe->is_service())
      continue;
    const auto depth = probe->mailbox_depth();
    json.begin_object().member("name", probe->name()).member("kind", probe->kind());
    write_text(json, "channel", probe->channel());
    json.member("mailbox_depth", depth).member("mailbox_peak", std::max(depth, probe->mailbox_peak()));
    auto& kinds = keys[&probe->shape()];
    if (kinds.empty())
      kinds = kind_keys(probe->shape());
    handled.clear();
    for (size_t i = 0; i < kinds.size(); ++i) {
      handled += kinds[i];
      append_json_number(handled, probe->handled(i));
    }
    json.key("handled").raw(handled += '}');
    json.member("restarts", probe->restarts()).member("in_flight", probe->in_flight());
    write_moment(json, "busy_since", probe->busy_since_ns(), now);
    json.end_object();
  }
  json.end_array();
  return text;
}

std::string render_actor_page(const probe_registry::probes& probes, size_t limit) {
  const auto now = two_clocks::read();
  std::string text;
  std::string edges;
  json_writer json(text);
  json_writer edge_json(edges);
  json.begin_object().key("items").begin_array();
  edge_json.begin_array();
  size_t shown = 0;
  for (; shown < probes.size() && shown < limit && text.size() + edges.size() < page_bytes_max; ++shown) {
    write_actor(json, *probes[shown], now);
    write_edges(edge_json, *probes[shown]);
  }
  edge_json.end_array();
  json.end_array().key("edges").raw(edges).key("next");
  if (shown < probes.size())
    json.value(encode_cursor(probes[shown - 1]->name()));
  else
    json.null();
  json.end_object();
  return text;
}

} // namespace task_runner
