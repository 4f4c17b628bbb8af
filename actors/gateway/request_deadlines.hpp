// The deadlines of the requests that an actor has open, with one alarm for all of them.
// CAF's own timeouts wake its clock's thread for every request, which costs more than most requests do.
#pragma once

#include <caf/all.hpp>

#include <chrono>
#include <list>
#include <map>
#include <optional>
#include <vector>

namespace task_runner {

/// Deadlines by the actors' clock. Used by one actor alone. It holds one entry for each open request: what
/// bounds those bounds it.
class request_deadlines {
public:
  using time_point = caf::actor_clock::time_point;

private:
  struct entry;
  using entries = std::list<entry>;
  struct entry {
    time_point at;
    caf::message_id response;
    entries* home;
  };

public:
  /// Where a request stands in here, until remove().
  using place = entries::iterator;

  /// Notes a request that must be answered within `timeout` from `now`.
  place add(time_point now, std::chrono::milliseconds timeout, caf::message_id response);

  /// The request is answered, or has failed.
  void remove(place which);

  /// The requests whose deadlines have passed, each told once. They stay in here until remove().
  std::vector<caf::message_id> take_due(time_point now);

  /// The moment for which an alarm has to be set now: there are deadlines, and none of the alarms that are
  /// set rings as early as that. It is taken for set from then on.
  std::optional<time_point> next_alarm();

  /// An alarm has rung.
  void alarm_rang(time_point now);

private:
  /// By timeout, so that those of one list pass in its order. The timeouts are few: constants of the program.
  std::map<std::chrono::milliseconds, entries> open_;
  entries told_;
  std::optional<time_point> alarm_at_;
};

} // namespace task_runner
