// What the router does for tasks: it asks the store or the channel's queue, and puts together what they say.
// One verb on many tasks is worked on a page at a time.
#include "actors/router_parts.hpp"
#include "services/observability/log.hpp"

#include <caf/all.hpp>

#include <algorithm>
#include <deque>
#include <memory>
#include <set>
#include <utility>

namespace task_runner {

namespace {

using caf::typed_response_promise;

/// How long a queue may take for an action; a cancel answers within 25 s.
constexpr std::chrono::seconds action_timeout{28};
/// Most refusals that an answer to a bulk request names, unless it named the tasks itself.
constexpr size_t refusals_max = 20;
/// Of named tasks so many are read at a time: they can be large.
constexpr size_t named_page = 64;

const error overloaded_error{error_code::overloaded,
                             "too many requests wait for the store; try again shortly"};

} // namespace

error not_answered(const caf::error& why) {
  if (why == caf::sec::request_timeout)
    return {error_code::timeout, "the channel's queue did not answer in time; look at /status"};
  return {error_code::unavailable, "the channel's queue is starting again; try again soon"};
}

result<void> read_task(router_pointer self, const std::string& id, bool with_attempts,
                       std::function<void(task_read&)> done) {
  auto& state = self->state;
  if (state.open_lookups.size() >= open_reads_max)
    return overloaded_error;
  const auto number = state.next_number++;
  const router_actor me{self};
  auto taken = ask_store(self).read([me, number, id, with_attempts](queue_store& store) {
    task_read read{number, store.find_task(id), {}};
    if (with_attempts && read.value && *read.value) {
      auto attempts = store.load_attempts(id);
      if (attempts)
        read.attempts = std::move(*attempts);
      else
        read.value = attempts.failure();
    }
    caf::anon_send(me, std::move(read));
  });
  if (taken)
    state.open_lookups.emplace(number, std::move(done));
  return taken;
}

namespace {

/// Has the store read some tasks and calls `done` in this actor.
result<void> read_tasks(router_pointer self, std::function<result<task_page>(queue_store&)> read,
                        std::function<void(result<task_page>)> done) {
  auto& state = self->state;
  if (state.open_pages.size() >= open_reads_max)
    return overloaded_error;
  const auto number = state.next_number++;
  const router_actor me{self};
  auto taken = ask_store(self).read([me, number, read = std::move(read)](queue_store& store) {
    caf::anon_send(me, page_read{number, read(store)});
  });
  if (taken)
    state.open_pages.emplace(number, std::move(done));
  return taken;
}

/// Reads a page of a listing and calls `done` in this actor.
result<void> read_page(router_pointer self, task_filter filter, listing_place after, uint32_t limit,
                       std::function<void(result<task_page>)> done) {
  return read_tasks(
      self,
      [filter = std::move(filter), after, limit](queue_store& store) {
        return store.list_tasks(filter, after, limit);
      },
      std::move(done));
}

/// Reads tasks by their ids and calls `done` in this actor; those that are not there are left out.
result<void> read_named(router_pointer self, std::vector<std::string> ids,
                        std::function<void(result<task_page>)> done) {
  return read_tasks(
      self,
      [ids = std::move(ids)](queue_store& store) -> result<task_page> {
        auto found = store.find_tasks(ids);
        if (!found)
          return found.failure();
        task_page page;
        page.tasks = std::move(*found);
        return page;
      },
      std::move(done));
}

task_reply failed(error why) {
  task_reply reply;
  reply.failure = std::move(why);
  return reply;
}

/// Adds what the router knows to a reply about a task.
task_reply completed(router_pointer self, task_reply reply) {
  if (!reply.value)
    return reply;
  const auto& value = *reply.value;
  if (value.options && value.options->max_attempts) {
    reply.max_attempts = *value.options->max_attempts;
  } else if (const auto found = self->state.channels.find(value.channel);
             found != self->state.channels.end()) {
    reply.max_attempts = found->second.record.defaults.max_attempts.value_or(max_attempts_default);
  }
  return reply;
}

/// As its queue does where there is one.
void tell_deletion(router_pointer self, const task& value) {
  log_event(log_level::debug, "task deleted", {{"channel", value.channel}, {"task_id", value.id}});
  auto* const observer = self->state.dependencies.observer;
  if (observer != nullptr && observer->is_interested())
    observer->on_task_events({{value.id, value.channel, value.attempt, value.state, std::nullopt,
                               self->state.dependencies.clock->now_ms(), true}});
}

/// The task's channel does not exist any more: there is no queue to ask, and nothing of it waits or runs.
void act_without_channel(router_pointer self, const act_on_task& what, task value,
                         const std::function<void(task_reply)>& done) {
  switch (what.verb) {
  case task_verb::cancel:
    if (is_terminal(value.state)) {
      task_reply reply;
      reply.value = std::move(value);
      done(std::move(reply));
      return;
    }
    break;
  case task_verb::remove: {
    auto taken =
        commit(self, {delete_task{value.id}}, [self, value, done](result<std::vector<store_answer>> answers) {
          if (!answers) {
            done(failed(answers.failure()));
            return;
          }
          auto& change = std::get<change_answer>(answers->front());
          if (!change.applied) {
            done(failed({error_code::conflict, "task " + value.id +
                                                   " is not there any more, or has not "
                                                   "ended"}));
            return;
          }
          if (auto* history = self->state.dependencies.history; history != nullptr) {
            std::vector<attempt_key> attempts;
            for (uint32_t attempt = 1; attempt <= value.attempt; ++attempt)
              attempts.push_back({value.id, attempt});
            history->discard(std::move(attempts));
          }
          tell_deletion(self, value);
          task_reply reply;
          reply.value = change.after ? *change.after : value;
          done(std::move(reply));
        });
    if (!taken)
      done(failed(taken.failure()));
    return;
  }
  case task_verb::signal:
  case task_verb::retry:
  case task_verb::release:
    break;
  }
  done(failed({error_code::conflict, "task " + value.id + " belongs to channel " + value.channel +
                                         ", which is gone; create it again, or delete the task"}));
}

/// One verb on a task that the store has shown.
void act_on_found(router_pointer self, const act_on_task& what, task value, bool wait_for_end,
                  const std::function<void(task_reply)>& done) {
  const auto found = self->state.channels.find(value.channel);
  if (found == self->state.channels.end() || found->second.emptied) {
    act_without_channel(self, what, std::move(value), done);
    return;
  }
  if (found->second.failed) {
    done(failed(channel_has_failed(value.channel)));
    return;
  }
  task_action action;
  action.verb = what.verb;
  action.id = value.id;
  action.signal_number = what.signal_number;
  action.grace_ms = what.grace_ms;
  action.wait = wait_for_end;
  action.seen = value.state;
  ask_queue(self, found->second, action_timeout, queue_action{std::move(action)})
      .then([done](task_reply& reply) { done(std::move(reply)); },
            [done](const caf::error& why) { done(failed(not_answered(why))); });
}

/// The states that a verb is for, when the filter does not name any.
std::vector<task_state> states_for(task_verb verb) {
  switch (verb) {
  case task_verb::cancel:
  case task_verb::release:
    return {task_state::pending, task_state::delayed, task_state::running};
  case task_verb::signal:
    return {task_state::running};
  case task_verb::retry:
    return {task_state::dead};
  case task_verb::remove:
    return {task_state::finished, task_state::dead, task_state::cancelled};
  }
  return {};
}

/// A request for many tasks while it is worked on: pages are read, and a bounded number of actions is open.
struct bulk_job {
  typed_response_promise<tasks_reply> promise;
  act_on_tasks request;
  tasks_reply reply;
  std::deque<task> waiting;
  /// Where the listing goes on.
  listing_place after;
  /// Of named tasks: how many have been looked up, and which are under way.
  size_t looked_up = 0;
  std::set<std::string> under_way;
  size_t open = 0;
  bool reading = false;
  bool listed = false;
  bool answered = false;
  uint64_t patience = 0;

  bool names_tasks() const noexcept { return !request.ids.empty(); }
};
using bulk_pointer = std::shared_ptr<bulk_job>;

void continue_bulk(router_pointer self, const bulk_pointer& job);

void answer_bulk(router_pointer self, const bulk_pointer& job) {
  if (std::exchange(job->answered, true))
    return;
  forget_wait(self, job->patience);
  job->promise.deliver(std::move(job->reply));
}

void note_refusal(const bulk_pointer& job, const std::string& id, error why) {
  if (job->names_tasks() || job->reply.refused.size() < refusals_max)
    job->reply.refused.emplace_back(id, std::move(why));
}

/// There was no time for the rest: of named tasks it is said which these are.
void give_up_rest(const bulk_pointer& job) {
  job->reply.more = true;
  const error unfinished{error_code::timeout,
                         "it took too long, and may still happen; look at it before you ask again"};
  const error not_begun{error_code::timeout, "there was no time for it; nothing was done, ask again"};
  for (const auto& id : job->under_way)
    note_refusal(job, id, unfinished);
  if (!job->names_tasks())
    return;
  for (const auto& value : job->waiting)
    note_refusal(job, value.id, not_begun);
  const auto& ids = job->request.ids;
  for (size_t i = job->looked_up; i < ids.size(); ++i)
    note_refusal(job, ids[i], not_begun);
}

/// Takes those of so many named tasks, from `from` on, that are there.
void take_named(router_pointer self, const bulk_pointer& job, size_t from, size_t count,
                result<task_page> page) {
  job->reading = false;
  const auto& ids = job->request.ids;
  if (!page) {
    // What was done for those before is told in any case.
    if (from == 0)
      job->reply.failure = page.failure();
    else
      for (size_t i = from; i < ids.size(); ++i)
        note_refusal(job, ids[i], page.failure());
    job->looked_up = ids.size();
  } else {
    job->looked_up = from + count;
    std::set<std::string> found;
    for (const auto& value : page->tasks)
      found.insert(value.id);
    job->reply.matched += found.size();
    for (size_t i = from; i < job->looked_up; ++i)
      if (found.count(ids[i]) == 0)
        note_refusal(job, ids[i], {error_code::not_found, "there is no such task"});
    if (!job->request.dry_run)
      for (auto& value : page->tasks)
        job->waiting.push_back(std::move(value));
  }
  job->listed = job->looked_up == ids.size();
  continue_bulk(self, job);
}

void take_page(router_pointer self, const bulk_pointer& job, result<task_page> page) {
  job->reading = false;
  if (!page) {
    if (job->after.is_beginning())
      job->reply.failure = page.failure();
    else
      job->reply.more = true;
    job->listed = true;
  } else {
    for (auto& value : page->tasks) {
      if (job->reply.matched >= job->request.limit) {
        job->reply.more = true;
        break;
      }
      ++job->reply.matched;
      if (!job->request.dry_run)
        job->waiting.push_back(std::move(value));
    }
    job->after = page->next;
    job->listed = page->next.is_beginning() || job->reply.more;
  }
  continue_bulk(self, job);
}

void begin_bulk_action(router_pointer self, const bulk_pointer& job) {
  auto value = std::move(job->waiting.front());
  job->waiting.pop_front();
  ++job->open;
  const auto id = value.id;
  if (job->names_tasks())
    job->under_way.insert(id);
  act_on_found(self, job->request.what, std::move(value), false, [self, job, id](const task_reply& reply) {
    --job->open;
    if (job->answered)
      return;
    job->under_way.erase(id);
    if (!reply.failure)
      ++job->reply.done;
    else
      note_refusal(job, id, *reply.failure);
    continue_bulk(self, job);
  });
}

/// Reads more of the tasks that are meant.
void read_more(router_pointer self, const bulk_pointer& job) {
  job->reading = true;
  if (job->names_tasks()) {
    const auto& ids = job->request.ids;
    const auto from = job->looked_up;
    const auto count = std::min(named_page, ids.size() - from);
    const auto first = ids.begin() + static_cast<std::ptrdiff_t>(from);
    auto taken = read_named(self, {first, first + static_cast<std::ptrdiff_t>(count)},
                            [self, job, from, count](result<task_page> page) {
                              take_named(self, job, from, count, std::move(page));
                            });
    if (!taken)
      take_named(self, job, from, count, taken.failure());
    return;
  }
  // One more than is wanted, to know whether there are more.
  const auto wanted = std::min<uint64_t>(bulk_page, job->request.limit - job->reply.matched + 1);
  auto taken = read_page(self, job->request.filter, job->after, static_cast<uint32_t>(wanted),
                         [self, job](result<task_page> page) { take_page(self, job, std::move(page)); });
  if (!taken)
    take_page(self, job, taken.failure());
}

void continue_bulk(router_pointer self, const bulk_pointer& job) {
  while (!job->answered && job->open < bulk_open_max && !job->waiting.empty())
    begin_bulk_action(self, job);
  if (job->answered || job->reading || !job->waiting.empty())
    return;
  if (!job->listed)
    read_more(self, job);
  else if (job->open == 0)
    answer_bulk(self, job);
}

} // namespace

caf::result<task_reply> look_up(router_pointer self, const get_task& request) {
  auto promise = self->make_response_promise<task_reply>();
  auto taken = read_task(self, request.id, true, [self, promise](task_read& read) mutable {
    task_reply answer;
    if (!read.value)
      answer.failure = read.value.failure();
    else if (!*read.value)
      answer.failure = error{error_code::not_found, "there is no such task"};
    else
      answer.value = std::move(*read.value);
    answer.attempts = std::move(read.attempts);
    promise.deliver(completed(self, std::move(answer)));
  });
  if (!taken)
    promise.deliver(failed(taken.failure()));
  return promise;
}

caf::result<task_page_reply> list(router_pointer self, const list_tasks& request) {
  auto promise = self->make_response_promise<task_page_reply>();
  const auto answer = [promise](result<task_page> page) mutable {
    task_page_reply reply;
    if (page)
      reply.page = std::move(*page);
    else
      reply.failure = page.failure();
    promise.deliver(std::move(reply));
  };
  if (auto taken = read_page(self, request.filter, request.after, request.limit, answer); !taken)
    promise.deliver(task_page_reply{{}, taken.failure()});
  return promise;
}

caf::result<task_reply> act(router_pointer self, const act_on_task& request) {
  auto promise = self->make_response_promise<task_reply>();
  auto taken = read_task(self, request.id, true, [self, promise, request](task_read& read) mutable {
    if (!read.value) {
      promise.deliver(failed(read.value.failure()));
      return;
    }
    if (!*read.value) {
      promise.deliver(failed({error_code::not_found, "there is no such task"}));
      return;
    }
    auto earlier = std::make_shared<std::vector<attempt_record>>(std::move(read.attempts));
    act_on_found(self, request, std::move(**read.value), true,
                 [self, promise, earlier](task_reply reply) mutable {
                   reply.attempts = std::move(*earlier);
                   promise.deliver(completed(self, std::move(reply)));
                 });
  });
  if (!taken)
    promise.deliver(failed(taken.failure()));
  return promise;
}

caf::result<tasks_reply> act_on_many(router_pointer self, const act_on_tasks& request) {
  auto job = std::make_shared<bulk_job>();
  job->request = request;
  job->request.limit = request.limit == 0 ? bulk_max : std::min(request.limit, bulk_max);
  if (job->request.filter.states.empty())
    job->request.filter.states = states_for(request.what.verb);
  job->promise = self->make_response_promise<tasks_reply>();
  job->patience = wait(self, bulk_patience, [self, job] {
    give_up_rest(job);
    answer_bulk(self, job);
  });
  auto promise = job->promise;
  continue_bulk(self, job);
  return promise;
}

} // namespace task_runner
