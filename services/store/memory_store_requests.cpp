// Requests that may be repeated, in the store in memory: a record each, the oldest of which go.
// Every call that makes a record takes some away that are too old or too many.
#include "services/store/memory_store.hpp"
#include "services/store/store_rules.hpp"

#include <algorithm>
#include <utility>

namespace task_runner {

void memory_store::unmark(const push_origin& origin) {
  const auto batch = marks_.find(origin.batch);
  batch->second.erase(origin.position);
  if (batch->second.empty())
    marks_.erase(batch);
}

void memory_store::forget_request(uint64_t number) {
  const auto found = requests_.find(number);
  if (found->second.answer)
    request_bytes_ -= found->second.answer->body.size();
  marks_.erase(request_batches_begin + number);
  requests_.erase(found);
}

store_answer memory_store::apply_one(const begin_request& operation) {
  request_answer answer;
  const auto known = std::find_if(requests_.begin(), requests_.end(), [&](const auto& one) {
    return one.second.key == operation.key && one.second.began_at_ms >= operation.forget_before_ms;
  });
  if (known != requests_.end()) {
    const auto& record = known->second;
    if (record.fingerprint != operation.fingerprint) {
      answer.what = request_answer::kind::another;
    } else if (record.answer) {
      answer.what = request_answer::kind::answered;
      answer.answer = *record.answer;
    } else {
      answer.what = request_answer::kind::unanswered;
      answer.identity = {record.task_id, request_batches_begin + known->first};
    }
    return answer;
  }
  // Found before anything is forgotten: a number names marks, and is never given twice.
  const uint64_t number = requests_.empty() ? 1 : requests_.rbegin()->first + 1;
  for (auto at = requests_.begin(); at != requests_.end(); ++at)
    if (at->second.key == operation.key) { // an old one
      forget_request(at->first);
      break;
    }
  requests_[number] = {operation.key, operation.fingerprint, operation.task_id, operation.now_ms,
                       std::nullopt};
  for (uint32_t gone = 0; gone < requests_forgotten_max; ++gone) {
    const auto oldest = requests_.begin();
    const bool is_beyond = number - oldest->first >= operation.records_max ||
                           request_bytes_ > operation.bytes_max ||
                           oldest->second.began_at_ms < operation.forget_before_ms;
    if (oldest->first == number || !is_beyond)
      break;
    forget_request(oldest->first);
  }
  answer.identity = {operation.task_id, request_batches_begin + number};
  return answer;
}

store_answer memory_store::apply_one(const finish_request& operation) {
  change_answer answer;
  const auto found = requests_.find(operation.batch - request_batches_begin);
  if (found == requests_.end() || found->second.answer)
    return answer;
  found->second.answer = operation.answer;
  request_bytes_ += operation.answer.body.size();
  marks_.erase(operation.batch);
  answer.applied = true;
  return answer;
}

} // namespace task_runner
