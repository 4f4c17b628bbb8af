// The route of dead letters by what they died of.
#include "actors/gateway/grouping.hpp"
#include "actors/gateway/handlers.hpp"
#include "actors/gateway/render.hpp"
#include "actors/gateway/requests.hpp"

#include <algorithm>
#include <array>
#include <string_view>

namespace task_runner {

namespace {

/// What of the query of a listing has a meaning here.
constexpr std::array<std::string_view, 4> known_parameters = {"channel", "ended_from", "ended_until",
                                                              "limit"};

result<list_tasks> decode_groups(const http_request& request) {
  for (const auto& parameter : request.query_parameters)
    if (std::find(known_parameters.begin(), known_parameters.end(), parameter.name) == known_parameters.end())
      return unknown_member(parameter.name, "channel, ended_from, ended_until, limit");
  return decode_list(request);
}

void show_groups(const gateway_pointer& shared, const http_request& request,
                 const http_responder& responder) {
  auto wanted = decode_groups(request);
  if (!wanted) {
    responder.fail(wanted.failure());
    return;
  }
  group_dead_letters(shared, std::move(wanted->filter),
                     [responder, limit = wanted->limit](const result<dead_groups>& found) {
                       if (found)
                         responder.send_envelope(200, "ok", render_groups(*found, limit));
                       else
                         responder.fail(found.failure());
                     });
}

} // namespace

void add_group_routes(route_table& routes, const gateway_pointer& shared) {
  routes.push_back({"GET", "/api/v1/tasks:groups", when_open(shared, show_groups)});
}

} // namespace task_runner
