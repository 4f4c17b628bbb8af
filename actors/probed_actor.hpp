// An actor whose mailbox and messages are counted, whatever it does with them.
// It costs a counter where a message arrives, and two looks at a clock where it is handled.
#pragma once

#include "actors/probe.hpp"

#include <caf/invoke_message_result.hpp>
#include <caf/mailbox_element.hpp>
#include <caf/scheduled_actor.hpp>
#include <caf/stateful_actor.hpp>

#include <memory>
#include <type_traits>
#include <utility>

namespace task_runner {

/// `Base` with a probe. A state that has `void measure(actor_probe&, size_t asked) const` is asked for its
/// gauges after each message; `asked` requests of the actor have no answer then.
template <class Base>
class probed_actor : public Base {
public:
  explicit probed_actor(caf::actor_config& config)
      : Base(config) {}

  /// From now on the messages are counted by `probe`, which must live as long as the state. To be called
  /// once, where the behaviour is made; what has arrived by then counts, too.
  void watch(actor_probe& probe) {
    probe.watch(mailbox_counters_);
    probe_ = &probe;
    note_gauges();
  }

  using Base::consume;
  using Base::enqueue;

  void enqueue(caf::mailbox_element_ptr what, caf::execution_unit* host) override {
    mailbox_counters_->arrived.fetch_add(1, std::memory_order_relaxed);
    Base::enqueue(std::move(what), host);
  }

  caf::invoke_message_result consume(caf::mailbox_element& what) override {
    mailbox_counters_->take();
    const auto result = probe_ != nullptr ? consume_measured(what) : Base::consume(what);
    if (result == caf::invoke_message_result::skipped)
      mailbox_counters_->put_back();
    return result;
  }

  bool cleanup(caf::error&& reason, caf::execution_unit* host) override {
    mailbox_counters_->closed.store(true, std::memory_order_relaxed);
    return Base::cleanup(std::move(reason), host);
  }

private:
  template <class State, class = void>
  struct has_gauges : std::false_type {};
  template <class State>
  struct has_gauges<State, std::void_t<decltype(std::declval<const State&>().measure(
                               std::declval<actor_probe&>(), size_t{}))>> : std::true_type {};

  caf::invoke_message_result consume_measured(caf::mailbox_element& what) {
    const auto& shape = probe_->shape();
    handling guard(*probe_, unless_said{what.mid.is_response() ? shape.reply_kind() : shape.other_kind()});
    const auto result = Base::consume(what);
    if (result == caf::invoke_message_result::consumed)
      note_gauges();
    else
      guard.drop(); // such as the end of the time that a request had, when it was answered in time
    return result;
  }

  void note_gauges() noexcept {
    const size_t asked = this->multiplexed_responses_.size();
    if constexpr (has_gauges<std::decay_t<decltype(this->state)>>::value)
      this->state.measure(*probe_, asked);
    else
      probe_->set_in_flight(asked);
  }

  /// Senders count before the actor has begun, and after it has ended.
  const std::shared_ptr<mailbox_counters> mailbox_counters_ = std::make_shared<mailbox_counters>();
  actor_probe* probe_ = nullptr;
};

/// The pointer to itself of a probed actor with that interface and state.
template <class Handle, class State>
using probed_pointer = probed_actor<typename Handle::template stateful_base<State>>*;

} // namespace task_runner
