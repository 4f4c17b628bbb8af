// Requests that may be repeated, in the embedded store: a record each, with the answer once there is one.
// Nothing grows with their number: a key is found in an index, and the oldest stand at the front of the
// table.
#pragma once

#include "services/ports/queue_store.hpp"
#include "services/store/sqlite_connection.hpp"

#include <cstdint>
#include <optional>

namespace task_runner {

/// Finds, makes and keeps the records. Throws sqlite_failure. Remembers nothing between calls. Not
/// thread-safe.
class sqlite_requests {
public:
  explicit sqlite_requests(sqlite_connection& connection);

  /// REQUIRES: a transaction is open.
  request_answer begin(const begin_request& operation);

  /// Whether there was a record without an answer. REQUIRES: a transaction is open.
  bool finish(const finish_request& operation);

private:
  struct oldest_record {
    int64_t number = 0;
    int64_t began_at_ms = 0;
    int64_t answer_bytes = 0;
  };

  /// The number of the latest record; 0: there is none.
  int64_t newest();
  std::optional<oldest_record> oldest();
  int64_t kept_bytes();
  void add_bytes(int64_t bytes);
  void forget(int64_t number, int64_t answer_bytes);
  void forget_marks(int64_t number);
  /// Takes some records away that are too old or too many, but never this one.
  void tidy(const begin_request& rule, int64_t newest);

  sqlite_connection& connection_;
  sqlite_statement find_;
  sqlite_statement newest_;
  sqlite_statement insert_;
  sqlite_statement answer_;
  sqlite_statement oldest_;
  sqlite_statement forget_;
  sqlite_statement forget_marks_;
  sqlite_statement kept_bytes_;
  sqlite_statement add_bytes_;
};

} // namespace task_runner
