// Which line of an output tells of the error, and what two of them may differ in and still be the same.
#include "services/observability/error_fingerprint.hpp"

#include <catch2/catch.hpp>

#include <string>

using namespace task_runner;

namespace {

std::string line_of(const std::string& output) {
  return fingerprint_of(output).line;
}

bool are_same(const std::string& left, const std::string& right) {
  const auto first = fingerprint_of(left);
  const auto second = fingerprint_of(right);
  INFO(normalized_error(first.line) << " | " << normalized_error(second.line));
  CHECK(first.hash.size() == 16);
  return first.hash == second.hash;
}

} // namespace

TEST_CASE("the error of a Python program is its last line") {
  CHECK(line_of("Traceback (most recent call last):\n"
                "  File \"/srv/pay.py\", line 12, in <module>\n"
                "    pay(int(sys.argv[1]))\n"
                "  File \"/srv/pay.py\", line 7, in pay\n"
                "    raise ValueError(f\"no such order: {order}\")\n"
                "ValueError: no such order: 4711\n") == "ValueError: no such order: 4711");
  CHECK(line_of("Traceback (most recent call last):\n  File \"a.py\", line 1, in <module>\n"
                "    time.sleep(9)\nKeyboardInterrupt\n") == "KeyboardInterrupt");
}

TEST_CASE("the error of a PHP program stands before its stack trace") {
  const std::string output = "working on order 17\n"
                             "PHP Fatal error:  Uncaught InvalidArgumentException: no such order: 17 in "
                             "/srv/app/pay.php:23\n"
                             "Stack trace:\n"
                             "#0 /srv/app/error_handler.php(9): handle_error(17)\n"
                             "#1 {main}\n"
                             "  thrown in /srv/app/pay.php on line 23\n";
  CHECK(line_of(output) == "PHP Fatal error:  Uncaught InvalidArgumentException: no such order: 17 in "
                           "/srv/app/pay.php:23");
}

TEST_CASE("the name of an exception that stands alone is shown with its message") {
  CHECK(
      line_of("\n   \x1b[41;37m RuntimeException \x1b[39;49m\n\n"
              "  \x1b[1mOrder 4711 cannot be paid.\x1b[22m\n\n"
              "  at app/Console/Commands/Pay.php:23\n"
              "     19\xe2\x96\x95     public function handle()\n"
              "  \xe2\x9e\x9c  23\xe2\x96\x95         throw new RuntimeException('Order cannot be paid.');\n"
              "\n      \x1b[2m+13 vendor frames \x1b[22m\n"
              "  14  artisan:37\n"
              "      Illuminate\\Foundation\\Console\\Kernel::handle()\n") ==
      "RuntimeException: Order 4711 cannot be paid.");
  CHECK(line_of("  Illuminate\\Database\\QueryException\n\n  SQLSTATE[HY000] [2002] Connection refused\n") ==
        "Illuminate\\Database\\QueryException: SQLSTATE[HY000] [2002] Connection refused");
  CHECK(line_of("a thing\nValueError\n") == "ValueError");
}

TEST_CASE("a line of Laravel's log is found before its stack trace") {
  CHECK(line_of("[2026-01-31 12:00:00] production.ERROR: Connection refused {\"exception\":\"[object]\n"
                "[stacktrace]\n#0 /srv/vendor/error.php(11): PDO->__construct()\n#1 {main}\n\"}\n") ==
        "[2026-01-31 12:00:00] production.ERROR: Connection refused {\"exception\":\"[object]");
}

TEST_CASE("the errors of shells and other languages are found") {
  CHECK(line_of("step 1\nrun.sh: line 3: foo: command not found\n") ==
        "run.sh: line 3: foo: command not found");
  CHECK(line_of("sh: 1: cannot open /nowhere: No such file\n") ==
        "sh: 1: cannot open /nowhere: No such file");
  CHECK(line_of("cp: /x: Permission denied\ncleaning up\n") == "cp: /x: Permission denied");
  CHECK(line_of("panic: runtime error: index out of range [5]\n\ngoroutine 1 [running]:\n"
                "main.main()\nexit status 2\n") == "panic: runtime error: index out of range [5]");
  CHECK(
      line_of("Error: ENOENT: no such file\n    at Object.openSync (node:fs:601:3)\n\nNode.js v18.19.0\n") ==
      "Error: ENOENT: no such file");
  CHECK(line_of("Exception in thread \"main\" java.lang.IllegalStateException: x\n\tat A.main(A.java:3)\n"
                "Caused by: java.io.IOException: disk\n\t... 1 more\n") ==
        "Caused by: java.io.IOException: disk");
  CHECK(line_of("thread 'main' panicked at src/main.rs:2:5:\nnote: run with `RUST_BACKTRACE=1`\n") ==
        "thread 'main' panicked at src/main.rs:2:5:");
}

TEST_CASE("where no line tells of an error the last one speaks") {
  CHECK(line_of("one\ntwo\n\n \t\n") == "two");
  CHECK(line_of("no end of the line") == "no end of the line");
  CHECK(line_of("terrors and errorless work\nlast\n") == "last");
  CHECK(line_of("#0 only\n#1 frames\n") == "#1 frames");
}

TEST_CASE("nothing has no fingerprint") {
  for (const auto* output : {"", "\n\n", " \t \r\n", "\x1b[0m\n"}) {
    CHECK(fingerprint_of(output).line.empty());
    CHECK(fingerprint_of(output).hash.empty());
  }
}

TEST_CASE("colours, titles and control characters are no part of a line, nor is what was overwritten") {
  CHECK(line_of("\x1b]0;title\x07\x1b[1;31merror:\x1b[0m bad\x08 thing\n") == "error: bad thing");
  CHECK(line_of("10 %\r20 %\rerror: disk\r\n") == "error: disk");
  CHECK(line_of("error: cut \x1b[3") == "error: cut");
  CHECK(line_of("error: cut \x1b") == "error: cut");
  CHECK(line_of("error: x\x1b]8;;http://never.ends\nmore\n") == "error: x");
}

TEST_CASE("numbers, UUIDs, hashes, quoted texts and the lines of files may differ") {
  CHECK(are_same("ValueError: no such order: 4711", "ValueError: no such order: 12"));
  CHECK(are_same("error: user 01a2040c-77cb-7562-99a7-46a3ccfbb360 is gone",
                 "error: user FFA2040c-0000-7562-99a7-46a3ccfbb361 is gone"));
  CHECK(are_same("fatal: bad object 9fceb02d0ae598e95dc970b74767f19372d61af8",
                 "fatal: bad object 0123456789abcdef0123456789abcdef01234567"));
  CHECK(are_same("error: segment at 0x7ffe0001", "error: segment at 0x1a"));
  CHECK(are_same("error: cannot read \"a b.txt\"", "error: cannot read \"/tmp/c\""));
  CHECK(are_same("error: no column 'a', can't go on", "error: no column 'it's', can't go on"));
  CHECK(are_same("Error in /srv/app/pay.php:23", "Error in /srv/app/pay.php:42"));
  CHECK(are_same("[2026-01-31 12:00:00.123] ERROR: full", "[2027-11-03 01:59:59.999] ERROR: full"));
  CHECK(are_same("error:   disk  3", "error: disk 44"));
  CHECK(are_same("error: took 1.5 s, 1,000 rows of 10.0.0.1:80",
                 "error: took 12 s, 7 rows of 192.168.1.2:8080"));
}

TEST_CASE("what is said may not differ") {
  CHECK_FALSE(are_same("ValueError: no such order: 1", "KeyError: no such order: 1"));
  CHECK_FALSE(are_same("error: cannot read /srv/a", "error: cannot read /srv/b"));
  CHECK_FALSE(are_same("error: don't", "error: won't"));
  CHECK_FALSE(are_same("error: deadbeef", "error: facade")); // words, not hashes
}

TEST_CASE("what is normal says what was taken out") {
  CHECK(normalized_error("user 7 (uuid 01a2040c-77cb-7562-99a7-46a3ccfbb360) has `x' at 0xff: utf8, 1.2.3") ==
        "user <n> (uuid <uuid>) has <text> at <hex>: utf<n>, <n>");
  CHECK(normalized_error("can't open \"one") == "can't open \"one");
  CHECK(normalized_error("") == "");
}

TEST_CASE("a long line is cut between characters") {
  const std::string start(199, 'x');
  CHECK(line_of(start + "y and more") == start + "y");
  CHECK(line_of(start + "\xc3\xa4 and more") == start);
  CHECK(line_of(start.substr(3) + "\xf0\x9f\x90\x98\xf0\x9f\x90\x98") ==
        start.substr(3) + "\xf0\x9f\x90\x98");
  CHECK(line_of(std::string(500, '\x80')).size() == error_line_bytes_max);
  std::string numbers;
  for (int i = 0; i < 60; ++i)
    numbers += "1 ";
  CHECK(normalized_error(numbers).size() <= error_line_bytes_max);
}
