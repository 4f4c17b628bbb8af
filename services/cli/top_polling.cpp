// Each look asks for the task first and for its output afterwards, so that nothing of an ended task's output
// is missed. Of output that is longer than what is kept, the middle is left out and the end slides along: the
// bytes before the place where reading goes on are read again, and show whether they are still the same.
#include "services/cli/top_polling.hpp"

#include "services/cli/task_view.hpp"

#include <algorithm>
#include <utility>

namespace task_runner::cli {

namespace {

/// So many of the last bytes are kept to find the place again.
constexpr size_t overlap_bytes = 512;
/// As much of the end of an output that slides is asked for: the largest piece that the daemon gives.
constexpr uint64_t end_bytes = 262'144;

} // namespace

polled_output::polled_output(daemon_api& daemon, std::string id, uint64_t offset)
    : daemon_(daemon)
    , id_(std::move(id))
    , offset_(offset) {
  // nop
}

output_piece polled_output::fail(api_reply why) const {
  output_piece news;
  news.what = output_piece::kind::failed;
  news.failure = std::move(why);
  return news;
}

output_piece polled_output::give(std::string bytes, output_piece::kind what) {
  output_piece news;
  if (bytes.empty())
    return news;
  offset_ += bytes.size();
  last_ += bytes;
  last_.erase(0, last_.size() - std::min(last_.size(), overlap_bytes));
  news.what = what;
  news.bytes = std::move(bytes);
  return news;
}

output_piece polled_output::read_end() {
  // The size is known from an answer of no bytes.
  auto whole = daemon_.output(id_, attempt_, INT64_MAX);
  if (!whole.how.is_ok())
    return fail(std::move(whole.how));
  auto end = daemon_.output(id_, attempt_, whole.size - std::min(whole.size, end_bytes));
  if (!end.how.is_ok())
    return fail(std::move(end.how));
  const auto known = end.bytes.rfind(last_);
  if (known == std::string::npos)
    return give(std::move(end.bytes), output_piece::kind::output_after_gap);
  return give(end.bytes.substr(known + last_.size()), output_piece::kind::output);
}

output_piece polled_output::read() {
  if (has_slid_)
    return read_end();
  auto piece = daemon_.output(id_, attempt_, offset_ - last_.size());
  if (!piece.how.is_ok())
    return fail(std::move(piece.how));
  if (piece.bytes.compare(0, last_.size(), last_) != 0) {
    has_slid_ = true;
    return read_end();
  }
  return give(piece.bytes.substr(last_.size()), output_piece::kind::output);
}

output_piece polled_output::next() {
  if (!looked_) {
    auto reply = daemon_.get(task_path(id_));
    if (!reply.is_ok())
      return fail(std::move(reply));
    task_ = reply.data();
    looked_ = true;
  }
  const auto last_attempt = static_cast<uint64_t>(task_["attempt"].whole());
  if (attempt_ == 0)
    attempt_ = last_attempt;
  output_piece news;
  if (attempt_ != 0 && attempt_ <= last_attempt) {
    news = read();
    if (news.what != output_piece::kind::nothing)
      return news;
  }
  if (attempt_ < last_attempt) {
    ++attempt_;
    offset_ = 0;
    last_.clear();
    has_slid_ = false;
    news.what = output_piece::kind::next_attempt;
  } else if (is_ended(task_["state"].text())) {
    news.what = output_piece::kind::ended;
    news.task = task_;
  }
  looked_ = false;
  return news;
}

} // namespace task_runner::cli
