// One ordered list per timeout: noting and forgetting a deadline takes the same short time however many there
// are.
#include "actors/gateway/request_deadlines.hpp"

#include <algorithm>

namespace task_runner {

request_deadlines::place request_deadlines::add(time_point now, std::chrono::milliseconds timeout,
                                                caf::message_id response) {
  auto& home = open_[timeout];
  return home.insert(home.end(), entry{now + timeout, response, &home});
}

void request_deadlines::remove(place which) {
  which->home->erase(which);
}

std::vector<caf::message_id> request_deadlines::take_due(time_point now) {
  std::vector<caf::message_id> due;
  for (auto& [timeout, home] : open_) {
    while (!home.empty() && home.front().at <= now) {
      due.push_back(home.front().response);
      home.front().home = &told_;
      told_.splice(told_.end(), home, home.begin());
    }
  }
  return due;
}

std::optional<request_deadlines::time_point> request_deadlines::next_alarm() {
  std::optional<time_point> earliest;
  for (const auto& [timeout, home] : open_)
    if (!home.empty())
      earliest = earliest ? std::min(*earliest, home.front().at) : home.front().at;
  if (!earliest || (alarm_at_ && *alarm_at_ <= *earliest))
    return std::nullopt;
  alarm_at_ = earliest;
  return earliest;
}

void request_deadlines::alarm_rang(time_point now) {
  if (alarm_at_ && *alarm_at_ <= now)
    alarm_at_.reset();
}

} // namespace task_runner
