// Finding, making and forgetting records of requests; each call is a few searches by key.
#include "services/store/sqlite_requests.hpp"

#include "services/store/store_rules.hpp"

namespace task_runner {

sqlite_requests::sqlite_requests(sqlite_connection& connection)
    : connection_(connection)
    , find_(connection, "SELECT number, began_at_ms, fingerprint, task_id, status, content_type, body, "
                        "coalesce(length(body), 0) FROM requests WHERE key = ?")
    , newest_(connection, "SELECT coalesce(max(number), 0) FROM requests")
    , insert_(connection, "INSERT INTO requests (number, key, fingerprint, task_id, began_at_ms) "
                          "VALUES (?, ?, ?, ?, ?)")
    , answer_(connection, "UPDATE requests SET status = ?, content_type = ?, body = ? "
                          "WHERE number = ? AND status IS NULL")
    , oldest_(connection, "SELECT number, began_at_ms, coalesce(length(body), 0) FROM requests "
                          "ORDER BY number LIMIT 1")
    , forget_(connection, "DELETE FROM requests WHERE number = ?")
    , forget_marks_(connection, "DELETE FROM origin_marks WHERE batch = ?")
    , kept_bytes_(connection, "SELECT value FROM store_state WHERE name = 'request_bytes'")
    , add_bytes_(connection, "UPDATE store_state SET value = value + ? WHERE name = 'request_bytes'") {}

request_answer sqlite_requests::begin(const begin_request& operation) {
  request_answer answer;
  int64_t outdated = 0;
  int64_t outdated_bytes = 0;
  {
    sqlite_statement::run run(find_);
    if (run.text(operation.key).next()) {
      const int64_t number = run.number_at(0);
      if (run.number_at(1) < operation.forget_before_ms) {
        outdated = number;
        outdated_bytes = run.number_at(7);
      } else if (run.bytes_at(2) != operation.fingerprint) {
        answer.what = request_answer::kind::another;
        return answer;
      } else if (run.is_null_at(4)) {
        answer.what = request_answer::kind::unanswered;
        answer.identity = {run.text_at(3), request_batches_begin + static_cast<uint64_t>(number)};
        return answer;
      } else {
        answer.what = request_answer::kind::answered;
        answer.answer.status = static_cast<int>(run.number_at(4));
        answer.answer.content_type = run.text_at(5);
        answer.answer.body = std::string(run.bytes_at(6));
        return answer;
      }
    }
  }
  // Found before anything is forgotten: a number names marks, and is never given twice.
  const int64_t number = newest() + 1;
  if (outdated != 0)
    forget(outdated, outdated_bytes);
  sqlite_statement::run(insert_)
      .number(number)
      .text(operation.key)
      .blob_or_null(operation.fingerprint)
      .text(operation.task_id)
      .number(operation.now_ms)
      .finish();
  tidy(operation, number);
  answer.identity = {operation.task_id, request_batches_begin + static_cast<uint64_t>(number)};
  return answer;
}

bool sqlite_requests::finish(const finish_request& operation) {
  const auto number = static_cast<int64_t>(operation.batch - request_batches_begin);
  const auto& answer = operation.answer;
  {
    sqlite_statement::run run(answer_);
    run.number(answer.status).text(answer.content_type).blob_or_null(answer.body).number(number).finish();
  }
  if (sqlite3_changes64(connection_.raw()) == 0)
    return false;
  add_bytes(static_cast<int64_t>(answer.body.size()));
  forget_marks(number);
  return true;
}

int64_t sqlite_requests::newest() {
  sqlite_statement::run run(newest_);
  return run.next() ? run.number_at(0) : 0;
}

std::optional<sqlite_requests::oldest_record> sqlite_requests::oldest() {
  sqlite_statement::run run(oldest_);
  if (!run.next())
    return std::nullopt;
  return oldest_record{run.number_at(0), run.number_at(1), run.number_at(2)};
}

int64_t sqlite_requests::kept_bytes() {
  sqlite_statement::run run(kept_bytes_);
  if (!run.next())
    connection_.fail_damaged("the sum of kept answers is missing");
  return run.number_at(0);
}

void sqlite_requests::add_bytes(int64_t bytes) {
  if (bytes != 0)
    sqlite_statement::run(add_bytes_).number(bytes).finish();
}

void sqlite_requests::forget(int64_t number, int64_t answer_bytes) {
  forget_marks(number);
  sqlite_statement::run(forget_).number(number).finish();
  add_bytes(-answer_bytes);
}

void sqlite_requests::forget_marks(int64_t number) {
  sqlite_statement::run(forget_marks_).number(static_cast<int64_t>(request_batches_begin) + number).finish();
}

void sqlite_requests::tidy(const begin_request& rule, int64_t newest) {
  for (uint32_t gone = 0; gone < requests_forgotten_max; ++gone) {
    const auto first = oldest();
    if (!first || first->number == newest)
      return;
    const bool is_beyond = newest - first->number >= static_cast<int64_t>(rule.records_max) ||
                           first->began_at_ms < rule.forget_before_ms ||
                           kept_bytes() > static_cast<int64_t>(rule.bytes_max);
    if (!is_beyond)
      return;
    forget(first->number, first->answer_bytes);
  }
}

} // namespace task_runner
