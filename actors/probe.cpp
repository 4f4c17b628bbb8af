// Bookkeeping of the actors' probes.
#include "actors/probe.hpp"

#include "services/domain/time_text.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

namespace task_runner {

namespace {

int64_t steady_now_ns() noexcept {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

/// For counters that one thread at a time writes: it needs no locked instruction.
template <class T>
void add(std::atomic<T>& counter, T amount) noexcept {
  counter.store(counter.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
}

const probe_shape& service_shape() {
  static const probe_shape shape("service", {});
  return shape;
}

std::string full_name(std::string_view kind, const std::string& channel) {
  return channel.empty() ? std::string(kind) : std::string(kind) + ':' + channel;
}

/// make_shared() of arrays is not of C++17.
std::shared_ptr<std::atomic<uint64_t>[]> new_counters(size_t count) {
  return std::shared_ptr<std::atomic<uint64_t>[]>(new std::atomic<uint64_t>[count]());
}

bool is_wanted(const actor_probe& probe, const probe_filter& filter) {
  return (filter.kind.empty() || probe.kind() == filter.kind) &&
         (filter.channel.empty() || probe.channel() == filter.channel);
}

} // namespace

probe_shape::probe_shape(std::string_view kind_name, std::vector<std::string_view> own_kinds)
    : kind(kind_name)
    , message_kinds(std::move(own_kinds)) {
  message_kinds.insert(message_kinds.end(), {"reply", "other"});
}

two_clocks two_clocks::read() noexcept {
  return {steady_now_ns(), system_now_ms()};
}

actor_probe::actor_probe(const probe_shape& shape, std::string channel, const actor_probe* before)
    : shape_(shape)
    , channel_(std::move(channel))
    , name_(full_name(shape.kind, channel_))
    , started_at_ms_(system_now_ms())
    , counts_(std::make_unique<std::atomic<uint64_t>[]>(shape.message_kinds.size()))
    , times_(std::make_unique<time_counters[]>(shape.message_kinds.size()))
    , gauges_(std::make_unique<std::atomic<int64_t>[]>(shape.credits.size() + shape.facts.size()))
    , edges_(before != nullptr ? before->edges_ : new_counters(shape.edges.size()))
    , restarts_(before != nullptr ? before->restarts() : 0) {}

actor_probe::actor_probe(std::string_view service)
    : shape_(service_shape())
    , name_(service)
    , started_at_ms_(0)
    , counts_(std::make_unique<std::atomic<uint64_t>[]>(shape_.message_kinds.size()))
    , times_(std::make_unique<time_counters[]>(shape_.message_kinds.size())) {}

uint64_t actor_probe::handled() const noexcept {
  uint64_t sum = 0;
  for (size_t kind = 0; kind < shape_.message_kinds.size(); ++kind)
    sum += handled(kind);
  return sum;
}

message_figures actor_probe::figures(size_t message_kind) const noexcept {
  const auto& times = times_[message_kind];
  return {handled(message_kind), times.total_ns.load(std::memory_order_relaxed),
          times.longest_ns.load(std::memory_order_relaxed)};
}

uint64_t actor_probe::mailbox_depth() const noexcept {
  const auto mailbox = std::atomic_load(&mailbox_);
  return mailbox ? mailbox->depth() : 0;
}

uint64_t actor_probe::mailbox_peak() const noexcept {
  const auto mailbox = std::atomic_load(&mailbox_);
  // What waits now may be more than when the last message was taken.
  return mailbox ? std::max(mailbox->peak.load(std::memory_order_relaxed), mailbox->depth()) : 0;
}

bool actor_probe::is_alive() const noexcept {
  const auto mailbox = std::atomic_load(&mailbox_);
  return mailbox && !mailbox->closed.load(std::memory_order_relaxed);
}

std::string_view actor_probe::last_kind() const noexcept {
  const auto kind = last_kind_.load(std::memory_order_relaxed);
  return kind == no_kind ? std::string_view() : shape_.message_kinds[kind];
}

void actor_probe::watch(std::shared_ptr<const mailbox_counters> mailbox) {
  std::atomic_store(&mailbox_, std::move(mailbox));
}

bool actor_probe::begin(size_t otherwise) noexcept {
  if (begun_ns_ != 0)
    return false;
  begun_before_ns_ = last_begun_ns_.load(std::memory_order_relaxed);
  kind_before_ = last_kind_.load(std::memory_order_relaxed);
  otherwise_ = otherwise;
  begun_ns_ = steady_now_ns();
  busy_since_ns_.store(begun_ns_, std::memory_order_relaxed);
  last_begun_ns_.store(begun_ns_, std::memory_order_relaxed);
  last_kind_.store(otherwise, std::memory_order_relaxed);
  return true;
}

void actor_probe::say_kind(size_t message_kind) noexcept {
  if (kind_ != no_kind)
    return;
  kind_ = message_kind;
  add(counts_[message_kind], uint64_t{1});
  last_kind_.store(message_kind, std::memory_order_relaxed);
}

void actor_probe::end() noexcept {
  say_kind(otherwise_);
  auto& times = times_[kind_];
  const auto took_ns = steady_now_ns() - begun_ns_;
  add(times.total_ns, took_ns);
  if (took_ns > times.longest_ns.load(std::memory_order_relaxed))
    times.longest_ns.store(took_ns, std::memory_order_relaxed);
  busy_since_ns_.store(0, std::memory_order_relaxed);
  begun_ns_ = 0;
  kind_ = no_kind;
}

void actor_probe::drop() noexcept {
  last_begun_ns_.store(begun_before_ns_, std::memory_order_relaxed);
  last_kind_.store(kind_before_, std::memory_order_relaxed);
  busy_since_ns_.store(0, std::memory_order_relaxed);
  begun_ns_ = 0;
  kind_ = no_kind;
}

std::string actor_probe::name_of_end(std::string_view end) const {
  if (end.empty() || end.back() != '*')
    return std::string(end);
  end.remove_suffix(1);
  return std::string(end) + channel_;
}

std::shared_ptr<actor_probe> probe_registry::add(const probe_shape& shape, std::string channel,
                                                 const actor_probe* before) {
  auto probe = std::make_shared<actor_probe>(shape, std::move(channel), before);
  std::lock_guard<std::mutex> guard(mutex_);
  put(probe, before != nullptr);
  return probe;
}

void probe_registry::add_service(std::string_view name) {
  auto probe = std::make_shared<actor_probe>(name);
  std::lock_guard<std::mutex> guard(mutex_);
  put(std::move(probe), false);
}

bool probe_registry::is_gone(const std::shared_ptr<actor_probe>& probe) noexcept {
  return probe.use_count() == 1 && !probe->is_service();
}

void probe_registry::put(std::shared_ptr<actor_probe> probe, bool continues) {
  auto& listed = by_name_[probe->name()];
  if (listed != nullptr) {
    if (!continues && !listed->is_service())
      gone_[listed->kind()].restarts += listed->restarts();
    replaced_.push_back(std::move(listed));
  }
  listed = std::move(probe);
  if (by_name_.size() + replaced_.size() >= sweep_at_)
    sweep();
}

void probe_registry::sweep() {
  const auto leaves = [this](const std::shared_ptr<actor_probe>& probe) {
    if (!is_gone(probe))
      return false;
    gone_[probe->kind()].handled += probe->handled();
    return true;
  };
  replaced_.erase(std::remove_if(replaced_.begin(), replaced_.end(), leaves), replaced_.end());
  for (auto at = by_name_.begin(); at != by_name_.end();) {
    if (!leaves(at->second)) {
      ++at;
      continue;
    }
    gone_[at->second->kind()].restarts += at->second->restarts();
    at = by_name_.erase(at);
  }
  sweep_at_ = 2 * (by_name_.size() + replaced_.size()) + 64;
}

std::map<std::string_view, actor_sums> probe_registry::sums() const {
  std::lock_guard<std::mutex> guard(mutex_);
  auto sums = gone_;
  for (const auto& [name, probe] : by_name_) {
    if (probe->is_service())
      continue;
    auto& of_kind = sums[probe->kind()];
    of_kind.handled += probe->handled();
    of_kind.restarts += probe->restarts();
    if (is_gone(probe))
      continue;
    ++of_kind.actors;
    of_kind.depth += probe->mailbox_depth();
  }
  for (const auto& probe : replaced_)
    sums[probe->kind()].handled += probe->handled();
  return sums;
}

probe_registry::probes probe_registry::list(const probe_filter& filter, std::string_view after,
                                            size_t limit) const {
  probes wanted;
  std::lock_guard<std::mutex> guard(mutex_);
  for (auto at = by_name_.upper_bound(after); at != by_name_.end() && wanted.size() < limit; ++at)
    if (!is_gone(at->second) && is_wanted(*at->second, filter))
      wanted.push_back(at->second);
  return wanted;
}

} // namespace task_runner
