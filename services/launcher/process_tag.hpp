// Tags: a mark that every process of an attempt inherits and that setsid, double forks and a cleared
// environment do not take off. It is the hard limit RLIMIT_RTTIME, which means nothing to programs without
// real-time scheduling.
#pragma once

#include <cstdint>
#include <optional>
#include <set>

namespace task_runner::launcher {

// A hard limit can be lowered by anybody and raised by nobody but root, so a TaskRunner inside an attempt of
// another one takes its tags from below its own. A tag therefore owns the numbers directly below it, as many
// as its span says, and a process belongs to it when its limit lies among those:
//   no limit worth mentioning       tags are multiples of 2^28 from 2^60 to 2^62, span 2^28
//   inside such a tag               multiples of 2^8 below it, span 2^8
//   inside one of those             each number below it, span 1; nothing fits inside
//   a limit that somebody has set   numbers below it that are 77 modulo 2^8, span 1; nothing fits inside
// The span can be read off the number, so the number alone is journalled.

/// How many numbers, itself included, the tag owns downwards.
uint64_t span_of_tag(uint64_t tag) noexcept;

/// Whether a process with this hard limit belongs to the tag (not 0).
inline bool tag_holds(uint64_t tag, uint64_t hard_limit) noexcept {
  return hard_limit <= tag && tag - hard_limit < span_of_tag(tag);
}

/// Hands out tags that no process on the machine has. Not thread-safe.
class tag_source {
public:
  /// `own_limit` is the hard limit RLIMIT_RTTIME of this process, below which tags are found.
  explicit tag_source(uint64_t own_limit);

  /// Whether there is room for tags below the limit.
  bool available() const noexcept { return count_ > 0; }

  /// A tag that nobody has; 0 when there is none. Looks at all processes once per `block` tags.
  uint64_t next();

private:
  uint64_t tag_at(uint64_t place) const noexcept { return first_ + place * stride_; }

  /// Tags are `first_ + n * stride_`, n below `count_`.
  uint64_t first_ = 0;
  uint64_t stride_ = 1;
  uint64_t count_ = 0;
  /// Tags of one look at the machine: from `place_` on, `left_` of them.
  uint64_t block_ = 0;
  uint64_t place_ = 0;
  uint64_t left_ = 0;
  /// Those among them that are taken.
  std::set<uint64_t> taken_;
};

} // namespace task_runner::launcher
