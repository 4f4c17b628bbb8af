// Bookkeeping of a taken batch. Messages are decoded again for another round rather than kept decoded: rounds
// beyond the first are rare, and the text must be kept anyhow for the list of rejected messages.
#include "services/source/taken_batch.hpp"

#include "services/domain/time_text.hpp"
#include "services/source/rejected_entry.hpp"
#include "services/wire/push_json.hpp"

#include <algorithm>

namespace task_runner {

bool is_undecided(error_code code) noexcept {
  switch (code) {
  case error_code::unavailable:
  case error_code::overloaded:
  case error_code::draining:
  case error_code::timeout:
  case error_code::queue_full:
    return true;
  case error_code::invalid_argument:
  case error_code::forbidden:
  case error_code::not_found:
  case error_code::method_not_allowed:
  case error_code::conflict:
  case error_code::too_large:
  case error_code::out_of_range:
  case error_code::internal:
    break;
  }
  return false;
}

taken_batch::taken_batch(uint64_t number, size_t key_index, redis_reply reply)
    : number_(number)
    , key_index_(key_index)
    , reply_(std::move(reply)) {
  const auto add = [this](const redisReply& one) {
    if (one.type == REDIS_REPLY_ARRAY && one.elements == 2) // {length, beginning}
      messages_.push_back({reply_text(*one.element[1]), static_cast<uint64_t>(one.element[0]->integer)});
    else
      messages_.push_back({reply_text(one), one.len});
  };
  if (reply_->type == REDIS_REPLY_ARRAY) {
    messages_.reserve(reply_->elements);
    for (size_t at = 1; at < reply_->elements; ++at)
      add(*reply_->element[at]);
  } else {
    add(*reply_);
  }
  open_count_ = messages_.size();
}

void taken_batch::skip(const std::vector<uint32_t>& positions) {
  for (const auto position : positions)
    if (position < messages_.size() && messages_[position].open) {
      messages_[position].open = false;
      --open_count_;
    }
}

void taken_batch::reject(uint32_t position, std::string reason) {
  messages_[position].open = false;
  --open_count_;
  rejections_.push_back({position, std::move(reason), system_now_ms()});
}

std::vector<push_item> taken_batch::make_items(uint64_t message_bytes_max) {
  std::vector<push_item> items;
  items.reserve(open_count_);
  submitted_.clear();
  for (uint32_t position = 0; position < messages_.size(); ++position) {
    const auto& one = messages_[position];
    if (!one.open)
      continue;
    if (one.length > message_bytes_max) {
      reject(position, "the message has " + std::to_string(one.length) + " bytes; at most " +
                           std::to_string(message_bytes_max) + " are accepted. Put the data in a file.");
      continue;
    }
    auto item = decode_push_json(one.text);
    if (!item) {
      reject(position, item.failure().message);
      continue;
    }
    item->origin = push_origin{number_, position};
    items.push_back(std::move(*item));
    submitted_.push_back(position);
  }
  return items;
}

batch_progress taken_batch::apply(const std::vector<push_reply>& replies) {
  batch_progress progress;
  for (size_t at = 0; at < submitted_.size(); ++at) {
    if (at >= replies.size()) {
      progress.undecided = error{error_code::timeout, "the intake gave no answer"};
      break;
    }
    const auto& reply = replies[at];
    if (reply.failure && is_undecided(reply.failure->code)) {
      progress.undecided = *reply.failure;
    } else if (reply.failure) {
      reject(submitted_[at], reply.failure->message);
    } else {
      messages_[submitted_[at]].open = false;
      --open_count_;
      ++(reply.accepted ? progress.accepted : progress.duplicates);
    }
  }
  submitted_.clear();
  return progress;
}

std::vector<std::string> taken_batch::make_rejected_entries() const {
  auto ordered = rejections_;
  std::sort(ordered.begin(), ordered.end(),
            [](const rejection& left, const rejection& right) { return left.position < right.position; });
  std::vector<std::string> entries;
  entries.reserve(ordered.size());
  for (const auto& one : ordered) {
    const auto& refused = messages_[one.position];
    entries.push_back(make_rejected_entry(one.reason, one.at_ms, refused.text, refused.length));
  }
  return entries;
}

} // namespace task_runner
