// The predecessor's later paths, with its shapes: channels with their tasks, failed tasks, delayed tasks.
// Whatever they do is done by the same requests as behind /api/v1.
#include "actors/gateway/handlers.hpp"
#include "actors/gateway/render.hpp"
#include "actors/gateway/requests.hpp"

#include <algorithm>

namespace task_runner {

namespace {

/// Most tasks in one answer; the rest is reached with `cursor`.
constexpr uint32_t tasks_in_answer_max = 1'000;
/// Tasks that are shown of a channel unless `limit` says otherwise.
constexpr uint32_t tasks_in_channel = 100;
/// A page of the store may be empty and not be the last: so many are asked for before an answer is given.
constexpr uint32_t pages_max = 32;

std::string channel_of(const http_request& request) {
  return std::string(request.path_parameter("channel"));
}

/// Asks for the status of one channel, or of all where `channel` is empty, with as many tasks as `limit`
/// says.
void ask_status(const gateway_pointer& shared, const http_request& request, const http_responder& responder,
                const std::string& channel, std::function<void(status_reply&)> show) {
  auto limit = decode_limit(request, tasks_in_channel, tasks_in_answer_max);
  if (!limit)
    responder.fail(limit.failure());
  else
    ask_actor<status_reply>(shared, shared->router, get_status{channel, *limit}, responder, std::move(show));
}

void show_channels(const gateway_pointer& shared, const http_request& request,
                   const http_responder& responder) {
  ask_status(shared, request, responder, "", [responder](const status_reply& answer) {
    responder.send_envelope(200, "ok", render_old_channels(answer.channels));
  });
}

void show_channel(const gateway_pointer& shared, const http_request& request,
                  const http_responder& responder) {
  ask_status(shared, request, responder, channel_of(request), [responder](const status_reply& answer) {
    responder.send_envelope(200, "ok", render_old_channel(answer.channels.front()));
  });
}

void create_channel_old(const gateway_pointer& shared, const http_request& request,
                        const http_responder& responder) {
  auto decoded = decode_queue(request);
  if (!decoded) {
    responder.fail(decoded.failure());
    return;
  }
  ask_actor<action_reply>(shared, shared->router, std::move(*decoded), responder,
                          [responder](const action_reply&) { responder.send_envelope(200, "ok"); });
}

void push_to_channel(const gateway_pointer& shared, const http_request& request,
                     const http_responder& responder) {
  auto item = decode_push(request);
  if (!item) {
    responder.fail(item.failure());
    return;
  }
  const auto channel = channel_of(request);
  if (!item->channel.empty() && item->channel != channel) {
    responder.fail({error_code::invalid_argument,
                    "the path and the member \"channel\" name different channels; leave the member out"});
    return;
  }
  item->channel = channel;
  answer_push(shared, std::move(*item), responder);
}

/// A listing that is being put together out of several pages.
struct collection {
  list_tasks listing;
  uint32_t limit = 0;
  uint32_t pages = 0;
  std::vector<task> tasks;
  size_t bytes = 0;
};

size_t shown_bytes(const task& value) {
  size_t bytes = value.name.size() + value.command.line.size();
  for (const auto& word : value.command.argv)
    bytes += word.size();
  return bytes;
}

void collect(const gateway_pointer& shared, const std::shared_ptr<collection>& all,
             const http_responder& responder) {
  all->listing.limit = all->limit - static_cast<uint32_t>(all->tasks.size());
  ask_actor<task_page_reply>(
      shared, shared->router, list_tasks(all->listing), responder,
      [shared, all, responder](task_page_reply& answer) {
        auto next = answer.page.next;
        for (auto& value : answer.page.tasks) {
          if (all->bytes >= page_bytes_max) {
            next = place_behind(all->tasks.back(), all->listing.after.order);
            break;
          }
          all->bytes += shown_bytes(value);
          all->tasks.push_back(std::move(value));
        }
        all->listing.after = next;
        const bool full = all->tasks.size() >= all->limit || all->bytes >= page_bytes_max;
        if (!next.is_beginning() && !full && ++all->pages < pages_max) {
          collect(shared, all, responder);
          return;
        }
        const auto more =
            "\"next\":" + (next.is_beginning() ? std::string("null") : "\"" + encode_cursor(next) + "\"");
        responder.send_envelope(200, "ok", render_old_tasks(all->tasks), more);
      });
}

/// The tasks in one state, newest first; of one channel unless that is empty. `limit` and `cursor` as in the
/// listing of version 1.
void list_in_state(const gateway_pointer& shared, const http_request& request,
                   const http_responder& responder, const std::string& channel, task_state state) {
  auto listing = decode_list(request);
  if (!listing) {
    responder.fail(listing.failure());
    return;
  }
  if (is_by_end(listing->after.order) && !is_terminal(state)) {
    responder.fail(
        {error_code::invalid_argument, "these tasks have not ended; give sort=created or -created"});
    return;
  }
  auto all = std::make_shared<collection>();
  all->limit = request.query("limit") ? listing->limit : tasks_in_answer_max;
  all->listing = std::move(*listing);
  if (!channel.empty())
    all->listing.filter.channel = channel;
  all->listing.filter.states = {state};
  collect(shared, all, responder);
}

void list_failed(const gateway_pointer& shared, const http_request& request,
                 const http_responder& responder) {
  list_in_state(shared, request, responder, channel_of(request), task_state::dead);
}

void list_delayed(const gateway_pointer& shared, const http_request& request,
                  const http_responder& responder) {
  list_in_state(shared, request, responder, "", task_state::delayed);
}

/// Looks up the task that the path names and hands it to `use`; 404 when it is in another channel or state.
void with_task(const gateway_pointer& shared, const http_request& request, const http_responder& responder,
               std::optional<task_state> state, std::function<void(const task&)> use) {
  ask_actor<task_reply>(
      shared, shared->router, get_task{std::string(request.path_parameter("id"))}, responder,
      [responder, channel = channel_of(request), state, use = std::move(use)](const task_reply& answer) {
        const auto& value = *answer.value;
        if (!channel.empty() && value.channel != channel)
          responder.fail({error_code::not_found, "there is no such task in this channel"});
        else if (state && value.state != *state)
          responder.fail({error_code::not_found, "the task is " + std::string(to_string(value.state)) +
                                                     ", not " + std::string(to_string(*state))});
        else
          use(value);
      });
}

void show(const gateway_pointer& shared, const http_request& request, const http_responder& responder,
          std::optional<task_state> state) {
  with_task(shared, request, responder, state,
            [responder](const task& value) { responder.send_envelope(200, "ok", render_old_task(value)); });
}

/// Does `verb` to the task that the path names, and answers with the task as it stood before, or with
/// nothing.
void act(const gateway_pointer& shared, const http_request& request, const http_responder& responder,
         std::optional<task_state> state, task_verb verb) {
  with_task(shared, request, responder, state, [shared, responder, verb](const task& before) {
    act_on_task action;
    action.verb = verb;
    action.id = before.id;
    ask_actor<task_reply>(shared, shared->router, std::move(action), responder,
                          [responder, verb, text = render_old_task(before)](const task_reply&) {
                            responder.send_envelope(200, "ok", verb == task_verb::retry ? "null" : text);
                          });
  });
}

void show_any(const gateway_pointer& shared, const http_request& request, const http_responder& responder) {
  show(shared, request, responder, std::nullopt);
}
void show_failed(const gateway_pointer& shared, const http_request& request,
                 const http_responder& responder) {
  show(shared, request, responder, task_state::dead);
}
void show_delayed(const gateway_pointer& shared, const http_request& request,
                  const http_responder& responder) {
  show(shared, request, responder, task_state::delayed);
}
void cancel_any(const gateway_pointer& shared, const http_request& request, const http_responder& responder) {
  act(shared, request, responder, std::nullopt, task_verb::cancel);
}
void retry_failed(const gateway_pointer& shared, const http_request& request,
                  const http_responder& responder) {
  act(shared, request, responder, task_state::dead, task_verb::retry);
}
void remove_failed(const gateway_pointer& shared, const http_request& request,
                   const http_responder& responder) {
  act(shared, request, responder, task_state::dead, task_verb::remove);
}
void cancel_delayed(const gateway_pointer& shared, const http_request& request,
                    const http_responder& responder) {
  act(shared, request, responder, task_state::delayed, task_verb::cancel);
}

} // namespace

void add_alias_routes(route_table& routes, const gateway_pointer& shared) {
  const auto add = [&](const char* method, const char* pattern, gateway_handler handler) {
    routes.push_back({method, pattern, when_open(shared, handler)});
  };
  add("GET", "/channels", show_channels);
  add("POST", "/channels", create_channel_old);
  add("GET", "/channels/:channel", show_channel);
  add("DELETE", "/channels/:channel", remove_channel_by_path);
  add("GET", "/channels/:channel/tasks", show_channel);
  add("POST", "/channels/:channel/tasks", push_to_channel);
  add("GET", "/channels/:channel/tasks/:id", show_any);
  add("DELETE", "/channels/:channel/tasks/:id", cancel_any);
  add("GET", "/channels/:channel/failed-tasks", list_failed);
  add("GET", "/channels/:channel/failed-tasks/:id", show_failed);
  add("POST", "/channels/:channel/failed-tasks/:id", retry_failed);
  add("DELETE", "/channels/:channel/failed-tasks/:id", remove_failed);
  add("GET", "/delay-tasks", list_delayed);
  add("GET", "/delay-tasks/:id", show_delayed);
  add("DELETE", "/delay-tasks/:id", cancel_delayed);
}

} // namespace task_runner
