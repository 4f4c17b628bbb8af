// The route of what happens: tasks and channels as server-sent events.
// What is told, and how often, is the matter of services/streaming.
#include "actors/gateway/handlers.hpp"
#include "actors/gateway/requests.hpp"
#include "services/domain/names.hpp"
#include "services/http/event_stream.hpp"
#include "services/streaming/event_hub.hpp"
#include "services/wire/comma_list.hpp"

#include <algorithm>
#include <optional>
#include <string>

namespace task_runner {

namespace {

/// What somebody wants to hear of, and from when.
struct event_request {
  event_filter filter;
  std::optional<std::string> since;
};

result<void> take_types(event_filter& filter, std::string_view text) {
  filter.tasks = filter.counts = false;
  for (const auto type : split_at_commas(text)) {
    if (type == to_string(event_kind::task))
      filter.tasks = true;
    else if (type == to_string(event_kind::channel))
      filter.counts = true;
    else
      return error{error_code::invalid_argument,
                   "types has \"" + std::string(type) +
                       "\"; expected task, channel, or both with a comma between them"};
  }
  return {};
}

result<event_request> decode_event_request(const http_request& request) {
  event_request wanted;
  for (const auto& [name, value] : request.query_parameters) {
    if (name == "channel") {
      for (const auto channel : split_at_commas(value)) {
        if (!is_valid_name(channel))
          return error{error_code::invalid_argument,
                       "channel has something that is no name of a channel; give one, or several with commas "
                       "between them"};
        wanted.filter.channels.emplace_back(channel);
      }
    } else if (name == "types") {
      if (auto taken = take_types(wanted.filter, value); !taken)
        return taken.failure();
    } else if (name == "since") {
      wanted.since = value;
    } else {
      return unknown_member(name, "channel, types, since");
    }
  }
  auto& channels = wanted.filter.channels;
  std::sort(channels.begin(), channels.end());
  channels.erase(std::unique(channels.begin(), channels.end()), channels.end());
  // It counts more than the query, which a browser repeats as it was when it comes back.
  if (const auto last_id = last_event_id(request); !last_id.empty())
    wanted.since = last_id;
  return wanted;
}

void show_events(const gateway_pointer& shared, const http_request& request,
                 const http_responder& responder) {
  auto wanted = decode_event_request(request);
  if (!wanted) {
    responder.fail(wanted.failure());
    return;
  }
  if (auto followed = shared->events->follow(responder, std::move(wanted->filter), wanted->since); !followed)
    responder.fail(followed.failure());
}

} // namespace

void add_event_routes(route_table& routes, const gateway_pointer& shared) {
  routes.push_back({"GET", "/api/v1/events", when_open(shared, show_events)});
}

} // namespace task_runner
