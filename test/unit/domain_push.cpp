// check_push, which holds for every source. Its rules are tried one by one at their edges.
#include "services/domain/names.hpp"
#include "services/domain/push.hpp"

#include <catch2/catch.hpp>

#include <functional>
#include <limits>

using namespace task_runner;
using Catch::Matchers::Contains;

namespace {

push_item item_with(const std::function<void(push_item&)>& change) {
  push_item item;
  item.name = "date";
  change(item);
  return item;
}

void check_refused(const push_item& item, error_code code, const std::string& part) {
  const auto checked = check_push(item);
  REQUIRE_FALSE(checked);
  CHECK(checked.failure().code == code);
  CHECK_THAT(checked.failure().message, Contains(part));
}

} // namespace

TEST_CASE("a task needs something to run") {
  CHECK(check_push(item_with([](push_item&) {})));
  for (const char* blank : {"", " ", "\t\r\n\v\f "})
    check_refused(item_with([blank](push_item& item) { item.name = blank; }), error_code::invalid_argument,
                  "the task is empty");
  CHECK(check_push(item_with([](push_item& item) {
    item.name.clear();
    item.command.line = "date";
  })));
  CHECK(check_push(item_with([](push_item& item) {
    item.name.clear();
    item.command.argv = {"date"};
  })));
  check_refused(item_with([](push_item& item) { item.command.line = "  "; }), error_code::invalid_argument,
                "the command is blank");
  check_refused(item_with([](push_item& item) {
                  item.command.argv = {"", "x"};
                }),
                error_code::invalid_argument, "program name is empty");
  CHECK(check_push(item_with([](push_item& item) { item.command.argv = {"printf", ""}; })));
}

TEST_CASE("a command is no longer than Linux can run") {
  CHECK(check_push(item_with([](push_item& item) { item.name.assign(command_length_max, 'x'); })));
  check_refused(item_with([](push_item& item) { item.name.assign(command_length_max + 1, 'x'); }),
                error_code::too_large, "the task has 131072 bytes");
  check_refused(item_with([](push_item& item) { item.command.line.assign(command_length_max + 1, 'x'); }),
                error_code::too_large, "the command has 131072 bytes");
  check_refused(item_with([](push_item& item) {
                  item.command.argv = {"echo", std::string(command_length_max + 1, 'x')};
                }),
                error_code::too_large, "an argument has 131072 bytes");
}

TEST_CASE("arguments are bounded in number and in bytes") {
  CHECK(check_push(item_with([](push_item& item) { item.command.argv.assign(argument_count_max, "x"); })));
  check_refused(item_with([](push_item& item) { item.command.argv.assign(argument_count_max + 1, "x"); }),
                error_code::too_large, "4097 arguments");
  // Each argument counts with the NUL that ends it.
  const std::string eighth(argument_bytes_max / 16 - 1, 'x');
  CHECK(check_push(item_with([&](push_item& item) { item.command.argv.assign(16, eighth); })));
  check_refused(item_with([&](push_item& item) {
                  item.command.argv.assign(16, eighth);
                  item.command.argv.emplace_back();
                }),
                error_code::too_large, "bytes together");
}

TEST_CASE("all text is UTF-8 without NUL") {
  const std::string nul("a\0b", 3);
  for (const std::string& bad : {nul, std::string("\xff")}) {
    check_refused(item_with([&](push_item& item) { item.name = bad; }), error_code::invalid_argument,
                  "the task");
    check_refused(item_with([&](push_item& item) { item.command.line = bad; }), error_code::invalid_argument,
                  "the command");
    check_refused(item_with([&](push_item& item) {
                    item.command.argv = {"echo", bad};
                  }),
                  error_code::invalid_argument, "an argument");
  }
}

TEST_CASE("ids and channels are names, or left out") {
  CHECK(check_push(item_with([](push_item& item) {
    item.id = "order:1234";
    item.channel = "mail.high-prio";
  })));
  check_refused(item_with([](push_item& item) { item.id = "a/b"; }), error_code::invalid_argument, "the id");
  check_refused(item_with([](push_item& item) { item.id.assign(129, 'x'); }), error_code::invalid_argument,
                "the id");
  check_refused(item_with([](push_item& item) { item.channel = "ä"; }), error_code::invalid_argument,
                "the channel");
}

TEST_CASE("a delay is 0 to ten years") {
  for (double delay_s : {0.0, 0.001, 316'224'000.0})
    CHECK(check_push(item_with([delay_s](push_item& item) { item.delay_s = delay_s; })));
  for (double delay_s : {-0.001, 316'224'000.5, std::numeric_limits<double>::infinity(),
                         std::numeric_limits<double>::quiet_NaN()})
    check_refused(item_with([delay_s](push_item& item) { item.delay_s = delay_s; }), error_code::out_of_range,
                  "the delay");
  for (wall_time_ms moment : {wall_time_ms{0}, wall_time_ms{1}, wall_time_ms{253'402'300'799'999}})
    CHECK(check_push(item_with([moment](push_item& item) { item.not_before_ms = moment; })));
  for (wall_time_ms moment : {wall_time_ms{-1}, wall_time_ms{253'402'300'800'000}})
    check_refused(item_with([moment](push_item& item) { item.not_before_ms = moment; }),
                  error_code::out_of_range, "the moment");
}

TEST_CASE("options and distinct keys of a push are checked") {
  CHECK(check_push(item_with([](push_item& item) {
    item.distinct_key.assign(key_length_max, 'x');
    item.options.max_attempts = 3;
  })));
  check_refused(item_with([](push_item& item) { item.distinct_key.assign(key_length_max + 1, 'x'); }),
                error_code::too_large, "distinct_key");
  check_refused(item_with([](push_item& item) { item.distinct_key = "\xff"; }), error_code::invalid_argument,
                "distinct_key");
  check_refused(item_with([](push_item& item) { item.options.max_attempts = 0; }), error_code::out_of_range,
                "max_attempts");
  check_refused(item_with([](push_item& item) { item.options.environment.directory = "tmp"; }),
                error_code::invalid_argument, "cwd");
}

TEST_CASE("a push of a request that may be repeated has the same id and mark each time") {
  const push_identity as{make_task_id(1'700'000'000'000), request_batches_begin + 5};
  push_item first;
  identify(first, as, 0);
  CHECK(first.id == as.task_id);
  REQUIRE(first.origin);
  CHECK(is_of_request(*first.origin));
  CHECK(first.origin->batch == as.batch);
  push_item later;
  identify(later, as, 999);
  CHECK(later.origin->position == 999);
  CHECK(later.id != first.id);
  CHECK(is_valid_name(later.id));
  CHECK(later.id.substr(0, 28) == first.id.substr(0, 28));
  push_item again;
  identify(again, as, 999);
  CHECK(again.id == later.id);
  push_item named;
  named.id = "of-the-client";
  identify(named, as, 3);
  CHECK(named.id == "of-the-client");
  CHECK_FALSE(is_of_request(push_origin{uint64_t{1} << 62, 0}));
  CHECK(make_sibling_id("00000000-0000-7000-8000-0000ffffffff", 1) == "00000000-0000-7000-8000-000000000000");
}
