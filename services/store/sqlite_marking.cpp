// The marks of decided messages in the embedded store: set in the commit that decides, gone with their batch.
// A message that is offered again after a crash is known by its mark.
#include "services/store/origin_bits.hpp"
#include "services/store/sqlite_writer.hpp"

namespace task_runner {

bool sqlite_writer::mark(const push_origin& origin) {
  const auto place = bit_of(origin.position);
  return mark_block(static_cast<int64_t>(origin.batch), place.block, place.bit);
}

bool sqlite_writer::mark_block(int64_t batch, int64_t block, int64_t bits) {
  sqlite_statement::run(mark_).number(batch).number(block).number(bits).finish();
  return sqlite3_changes64(connection_.raw()) > 0;
}

size_t sqlite_writer::mark_together(const insert_task* const* rows, size_t count) {
  size_t first = 0;
  while (first < count) {
    const auto& origin = rows[first]->origin;
    if (!origin) {
      ++first;
      continue;
    }
    auto [block, bits] = bit_of(origin->position);
    size_t end = first + 1;
    for (; end < count && rows[end]->origin && rows[end]->origin->batch == origin->batch; ++end) {
      const auto next = bit_of(rows[end]->origin->position);
      if (next.block != block || (bits & next.bit) != 0)
        break;
      bits |= next.bit;
    }
    if (!mark_block(static_cast<int64_t>(origin->batch), block, bits))
      return first;
    first = end;
  }
  return count;
}

void sqlite_writer::unmark(const push_origin& origin) {
  const auto batch = static_cast<int64_t>(origin.batch);
  const auto place = bit_of(origin.position);
  sqlite_statement::run(unmark_).number(batch).number(place.block).number(place.bit).finish();
  sqlite_statement::run(remove_unmarked_).number(batch).number(place.block).finish();
}

store_answer sqlite_writer::apply_one(const mark_origin& operation) {
  change_answer answer;
  answer.applied = mark(operation.origin);
  return answer;
}

store_answer sqlite_writer::apply_one(const finish_request& operation) {
  change_answer answer;
  answer.applied = requests_.finish(operation);
  return answer;
}

store_answer sqlite_writer::apply_one(const forget_batch& operation) {
  sqlite_statement::run(forget_batch_).number(static_cast<int64_t>(operation.batch)).finish();
  change_answer answer;
  answer.applied = sqlite3_changes64(connection_.raw()) > 0;
  return answer;
}

} // namespace task_runner
