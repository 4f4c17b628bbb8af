// One turn of an HTTP worker: all that its sockets had for it at once. What handlers put off to the end of
// the turn is done once for all of the turn's requests.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

namespace task_runner {

/// Marks a turn of the thread that makes it, until it is destroyed: then what was put off is done, in its
/// order. Turns do not nest.
class worker_turn {
public:
  worker_turn() noexcept;
  ~worker_turn();
  worker_turn(const worker_turn&) = delete;
  worker_turn& operator=(const worker_turn&) = delete;

private:
  friend void after_this_turn(std::function<void()> work);

  std::vector<std::function<void()>> put_off_;
};

/// Tells the turns of this thread apart; 0 where there is none.
uint64_t this_turn() noexcept;

/// Does `work` on this thread when its turn ends, or at once where there is no turn. It must not block; what
/// it throws is logged. To be called a few times a request at most: that bounds what is put off.
void after_this_turn(std::function<void()> work);

} // namespace task_runner
