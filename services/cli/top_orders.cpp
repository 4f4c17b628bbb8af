// What a person at the full-screen view has told the daemon to do: carried out in threads of their own, so
// that a slow answer holds up neither the keys nor the looks. Those for one target keep their order.
#include "services/cli/task_view.hpp"
#include "services/cli/top_feed.hpp"
#include "services/wire/json_text.hpp"

#include <algorithm>
#include <exception>
#include <utility>

namespace task_runner::cli {

namespace {

std::string object_of(std::string_view name, std::string_view value) {
  std::string text;
  json_writer(text).begin_object().member(name, value).end_object();
  return text;
}

std::string workers_text(int64_t workers) {
  return std::to_string(workers) + (workers == 1 ? " worker" : " workers");
}

} // namespace

void top_feed::lend_hand(daemon_api& daemon) {
  for (;;) {
    top_order order;
    {
      std::unique_lock<std::mutex> guard(mutex_);
      const auto next = [this] {
        return std::find_if(orders_.begin(), orders_.end(),
                            [this](const top_order& one) { return in_hand_.count(one.about) == 0; });
      };
      changed_.wait(guard, [&] { return ends_ || next() != orders_.end(); });
      if (ends_)
        return;
      const auto found = next();
      order = std::move(*found);
      orders_.erase(found);
      in_hand_.insert(order.about);
    }
    top_news news;
    news.asked_at_s = steady_seconds();
    try {
      news.answer = carry_out(daemon, order);
    } catch (const std::exception& failure) { // out of memory
      news.answer = top_answer{order, false, std::string("it could not be done: ") + failure.what(), {}};
    }
    {
      const std::lock_guard<std::mutex> guard(mutex_);
      in_hand_.erase(order.about);
      is_urgent_ = true; // what it has changed is to be seen
      changed_.notify_all();
    }
    post(std::move(news));
  }
}

top_answer top_feed::carry_out_text(daemon_api& daemon, const top_order& order) const {
  const bool is_why = order.verb == top_verb::why;
  const auto reply = daemon.get(task_path(order.about, is_why ? "/why" : ""));
  if (!reply.is_ok())
    return {order, false, printable(reply.message), {}};
  return {
      order, true, is_why ? reason_text(reply.data(), terminal_) : task_details(reply.data(), terminal_), {}};
}

top_answer top_feed::carry_out(daemon_api& daemon, const top_order& order) const {
  api_reply reply;
  switch (order.verb) {
  case top_verb::why:
  case top_verb::details:
    return carry_out_text(daemon, order);
  case top_verb::pause:
    reply = daemon.post(channel_path(order.about, "/pause"));
    break;
  case top_verb::resume:
    reply = daemon.post(channel_path(order.about, "/resume"));
    break;
  case top_verb::set_workers:
    reply = daemon.patch(channel_path(order.about), object_of("worker", order.value));
    break;
  case top_verb::cancel:
    reply = daemon.post(task_path(order.about, "/cancel"));
    break;
  case top_verb::kill:
    reply = daemon.post(task_path(order.about, "/signal"), object_of("signal", order.value));
    break;
  case top_verb::retry:
    reply = daemon.post(task_path(order.about, "/retry"));
    break;
  case top_verb::none:
  case top_verb::quit:
  case top_verb::redraw:
    break;
  }
  top_answer answer{order, reply.is_ok(), printable(reply.message), {}};
  if (!answer.is_ok)
    return answer;
  const auto remark = reply.message == "ok" ? std::string() : "; " + answer.text;
  const bool is_of_channel =
      order.verb == top_verb::pause || order.verb == top_verb::resume || order.verb == top_verb::set_workers;
  if (is_of_channel) {
    answer.channel = read_top_channel(reply.data());
    answer.text = answer.channel->name + (order.verb == top_verb::set_workers
                                              ? " has " + workers_text(answer.channel->workers)
                                              : " is " + answer.channel->state);
  } else if (order.verb == top_verb::kill) {
    answer.text = "signal " + printable(order.value) + " was sent to " + order.about;
  } else if (order.verb == top_verb::retry) {
    answer.text = retried_text(reply.data());
  } else {
    answer.text = end_text(reply.data());
  }
  answer.text += remark;
  return answer;
}

} // namespace task_runner::cli
