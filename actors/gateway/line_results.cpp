// Rendering of the fates of lines.
// Every line has its own object; the counts say at a glance whether it is worth looking at them.
#include "actors/gateway/line_results.hpp"

#include "services/domain/undecided.hpp"
#include "services/wire/json_text.hpp"

#include <utility>

namespace task_runner {

error unanswered_batch() {
  return {error_code::timeout,
          "the daemon did not answer in time, and lines of this batch may have been taken "
          "all the same; send it again: a line with an id is not taken twice"};
}

void line_results::add(uint64_t line, const push_reply& reply) {
  if (reply.failure) {
    add_refused(line, *reply.failure);
    return;
  }
  ++(reply.accepted ? reply_.accepted : reply_.duplicates);
  if (results_.size() > 1)
    results_ += ',';
  json_writer json(results_);
  json.begin_object()
      .member("line", line)
      .member("result", reply.accepted)
      .member("task_id", reply.task_id)
      .key("state");
  if (reply.state)
    json.value(to_string(*reply.state));
  else
    json.null();
  json.end_object();
}

void line_results::add_refused(uint64_t line, const error& why) {
  if (is_undecided(why.code)) {
    reply_.is_undecided = true;
    if (!undecided_why_)
      undecided_why_ = why;
    if (undecided_why_->code == why.code)
      ++undecided_;
  }
  add_refusal(line, why);
}

void line_results::add_unreadable(uint64_t line, const error& why) {
  ++unreadable_;
  if (!unreadable_why_)
    unreadable_why_ = error{why.code, "line " + std::to_string(line) + ": " + why.message};
  add_refusal(line, why);
}

void line_results::add_refusal(uint64_t line, const error& why) {
  ++reply_.refused;
  if (results_.size() > 1)
    results_ += ',';
  json_writer json(results_);
  json.begin_object().member("line", line).member("result", false);
  const bool explained = reply_.refused <= results_explained_max &&
                         messages_bytes_ + why.message.size() <= result_messages_bytes_max;
  if (explained)
    json.member("status_code", http_status(why.code));
  json.member("code", to_string(why.code));
  if (explained) {
    messages_bytes_ += why.message.size();
    json.member("message", why.message);
  }
  json.end_object();
}

push_lines_reply line_results::take() {
  const bool nothing_taken = reply_.accepted + reply_.duplicates == 0;
  if (nothing_taken && undecided_ != 0 && undecided_ == reply_.refused) {
    if (undecided_why_->code == error_code::timeout)
      undecided_why_ = unanswered_batch();
    else if (undecided_ > 1)
      undecided_why_->message =
          "nothing of " + std::to_string(undecided_) + " lines was taken: " + undecided_why_->message;
    reply_.failure = std::move(undecided_why_);
  } else if (nothing_taken && unreadable_ != 0 && unreadable_ == reply_.refused) {
    reply_.failure = std::move(unreadable_why_);
    if (unreadable_ > 1)
      reply_.failure->message =
          "none of " + std::to_string(unreadable_) + " lines can be read; " + reply_.failure->message;
  } else {
    results_ += ']';
    reply_.results = std::move(results_);
  }
  return std::move(reply_);
}

} // namespace task_runner
