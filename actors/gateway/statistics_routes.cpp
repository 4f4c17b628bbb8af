// The routes of what was measured: the history of all channels or of one, and that of every channel in short.
// Answered on the thread that asks, as the history needs no actor.
#include "actors/gateway/handlers.hpp"
#include "actors/gateway/render.hpp"
#include "actors/gateway/requests.hpp"
#include "services/domain/names.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace task_runner {

namespace {

/// Points in an answer; no history has more.
constexpr uint32_t points_max = 1'000;
constexpr uint32_t channels_limit_default = 100;
constexpr uint32_t channels_limit_max = 1'000;

/// Which history is wanted, and how much of it.
struct statistics_request {
  std::optional<std::string> channel;
  history_span span = history_span::hour;
  uint32_t limit = points_max;
};

result<void> take_span(std::string_view text, history_span& span) {
  if (text != "1h" && text != "24h")
    return error{error_code::invalid_argument, "span is no history; give 1h or 24h"};
  span = text == "1h" ? history_span::hour : history_span::day;
  return {};
}

result<statistics_request> decode_statistics(const http_request& request) {
  statistics_request wanted;
  for (const auto& [name, value] : request.query_parameters) {
    if (name == "channel") {
      if (!is_valid_name(value))
        return error{error_code::invalid_argument,
                     "channel is no name of a channel; use 1 to 128 of A-Z a-z 0-9 . _ : -"};
      wanted.channel = value;
    } else if (name == "span") {
      if (auto taken = take_span(value, wanted.span); !taken)
        return taken.failure();
    } else if (name != "limit") {
      return unknown_member(name, "channel, span, limit");
    }
  }
  auto limit = decode_limit(request, points_max, points_max);
  if (!limit)
    return limit.failure();
  wanted.limit = *limit;
  if (wanted.channel && wanted.span != history_span::hour)
    return error{error_code::out_of_range,
                 "the history of a single channel has one hour; give span=1h, or leave channel out"};
  return wanted;
}

void show(const gateway_pointer& shared, const http_request& request, const http_responder& responder) {
  const auto wanted = decode_statistics(request);
  if (!wanted) {
    responder.fail(wanted.failure());
    return;
  }
  if (!wanted->channel) {
    responder.send_envelope(200, "ok",
                            render_statistics(shared->statistics->read(wanted->span, wanted->limit)));
    return;
  }
  const auto found = shared->statistics->read_channel(*wanted->channel);
  if (found)
    responder.send_envelope(200, "ok", render_channel_statistics(*found, wanted->limit));
  else
    responder.fail(found.failure());
}

void list(const gateway_pointer& shared, const http_request& request, const http_responder& responder) {
  const auto page = decode_name_page(request, channels_limit_default, channels_limit_max);
  if (!page) {
    responder.fail(page.failure());
    return;
  }
  // One more than is wanted, to know whether there are more.
  const auto found = shared->statistics->read_channels(page->after, page->limit + size_t{1});
  responder.send_envelope(200, "ok", render_channel_statistics_page(found, page->limit));
}

} // namespace

void add_statistics_routes(route_table& routes, const gateway_pointer& shared) {
  routes.push_back({"GET", "/api/v1/statistics", when_open(shared, show)});
  routes.push_back({"GET", "/api/v1/statistics/channels", when_open(shared, list)});
}

} // namespace task_runner
