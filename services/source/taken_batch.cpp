// Bookkeeping of a taken batch. Messages are decoded again when they are submitted again rather than kept
// decoded: that is rare, and the text must be kept anyhow for the list of rejected messages.
#include "services/source/taken_batch.hpp"

#include "services/domain/time_text.hpp"
#include "services/source/rejected_entry.hpp"
#include "services/source/taken_lists.hpp"
#include "services/wire/push_json.hpp"

#include <algorithm>

namespace task_runner {

taken_batch::taken_batch(uint64_t number, size_t key_index, redis_reply reply)
    : number_(number)
    , key_index_(key_index)
    , reply_(std::move(reply)) {
  const auto add = [this](const redisReply& one) {
    message added;
    added.position = static_cast<uint32_t>(messages_.size());
    if (one.type == REDIS_REPLY_ARRAY && one.elements == 2) { // {length, beginning}
      added.text = reply_text(*one.element[1]);
      added.length = static_cast<uint64_t>(one.element[0]->integer);
    } else {
      added.text = reply_text(one);
      added.length = one.len;
    }
    added.open = added.text != filed_mark;
    open_count_ += added.open ? 1 : 0;
    bytes_ += added.length;
    messages_.push_back(added);
  };
  if (reply_->type == REDIS_REPLY_ARRAY) {
    messages_.reserve(reply_->elements);
    for (size_t at = 1; at < reply_->elements; ++at)
      add(*reply_->element[at]);
  } else {
    add(*reply_);
  }
  size_ = messages_.size();
}

std::vector<uint32_t> taken_batch::open_positions() const {
  std::vector<uint32_t> positions;
  positions.reserve(open_count_);
  for (const auto& one : messages_)
    if (one.open)
      positions.push_back(one.position);
  return positions;
}

const taken_batch::message& taken_batch::find(uint32_t position) const noexcept {
  if (position < messages_.size() && messages_[position].position == position)
    return messages_[position];
  return *std::lower_bound(messages_.begin(), messages_.end(), position,
                           [](const message& one, uint32_t sought) { return one.position < sought; });
}

void taken_batch::skip(const std::vector<uint32_t>& positions) {
  for (const auto position : positions)
    if (position < messages_.size() && messages_[position].open)
      decide(position);
}

result<push_item> taken_batch::make_item(uint32_t position, uint64_t message_bytes_max) {
  const auto& one = find(position);
  if (one.length > message_bytes_max) {
    error too_long{error_code::too_large, "the message has " + std::to_string(one.length) +
                                              " bytes; at most " + std::to_string(message_bytes_max) +
                                              " are accepted. Put the data in a file."};
    reject(position, too_long.message);
    return too_long;
  }
  auto item = decode_push_json(one.text);
  if (item)
    item->origin = push_origin{number_, position};
  else
    reject(position, item.failure().message);
  return item;
}

void taken_batch::decide(uint32_t position) {
  find(position).open = false;
  --open_count_;
}

void taken_batch::reject(uint32_t position, std::string reason) {
  decide(position);
  rejections_.push_back({position, std::move(reason), system_now_ms()});
}

void taken_batch::shrink(size_t first_rejection) {
  auto needed = rejected_positions(first_rejection);
  for (const auto& one : messages_)
    if (one.open)
      needed.push_back(one.position);
  std::sort(needed.begin(), needed.end());
  std::vector<message> messages;
  std::deque<std::string> texts;
  messages.reserve(needed.size());
  for (const auto position : needed) {
    auto one = find(position);
    one.text = texts.emplace_back(one.text);
    messages.push_back(one);
  }
  messages_ = std::move(messages);
  kept_texts_ = std::move(texts);
  reply_.reset();
}

std::vector<rejection> taken_batch::ordered_rejections(size_t first) const {
  std::vector<rejection> ordered(rejections_.begin() + static_cast<std::ptrdiff_t>(first), rejections_.end());
  std::sort(ordered.begin(), ordered.end(),
            [](const rejection& left, const rejection& right) { return left.position < right.position; });
  return ordered;
}

std::vector<std::string> taken_batch::make_rejected_entries(size_t first) const {
  std::vector<std::string> entries;
  for (const auto& one : ordered_rejections(first)) {
    const auto& refused = find(one.position);
    entries.push_back(make_rejected_entry(one.reason, one.at_ms, refused.text, refused.length));
  }
  return entries;
}

std::vector<uint32_t> taken_batch::rejected_positions(size_t first) const {
  std::vector<uint32_t> positions;
  for (const auto& one : ordered_rejections(first))
    positions.push_back(one.position);
  return positions;
}

} // namespace task_runner
