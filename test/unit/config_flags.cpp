// The command line: every flag in every spelling. Every mistake is answered with one useful line.
#include "config/option_table.hpp"
#include "test/unit/config_support.hpp"

#include <algorithm>
#include <map>

using namespace task_runner;
using namespace task_runner::test;
using Catch::Matchers::Contains;
using Catch::Matchers::Equals;

namespace {

/// A value other than the default for every flag that takes one, as describe_settings writes it.
const std::map<std::string, std::string> sample_values{{"channel-default", "mail"},
                                                       {"colorful-tty", "true"},
                                                       {"concurrent", "17"},
                                                       {"task-mode", "false"},
                                                       {"state-dir", "/srv/state"},
                                                       {"store", "embedded"},
                                                       {"pidfile", "/run/x.pid"},
                                                       {"drain-timeout", "1500ms"},
                                                       {"running-max", "200"},
                                                       {"containment", "tag"},
                                                       {"tasks-max", "1048576"},
                                                       {"recoveries-max", "7"},
                                                       {"retention-age", "36h"},
                                                       {"retention-dead-age", "90d"},
                                                       {"retention-count", "2048"},
                                                       {"retention-bytes", "3G"},
                                                       {"output-head", "512k"},
                                                       {"output-tail", "64k"},
                                                       {"redis-host", "redis.example:7000"},
                                                       {"redis-db", "15"},
                                                       {"redis-intake", "off"},
                                                       {"intake-key", "my:queue"},
                                                       {"http-addr", "127.0.0.1:7777"},
                                                       {"allow-host", "tasks.example"},
                                                       {"legacy-200", "true"},
                                                       {"max-body", "2M"},
                                                       {"idempotency-keep", "2h"},
                                                       {"log-level", "debug"},
                                                       {"log-format", "json"},
                                                       {"log-file", "/var/log/x.log"},
                                                       {"host", "other.example:7001"}};

std::vector<std::vector<std::string>> spellings(const std::string& name, const std::string& value) {
  return {{"-" + name, value}, {"-" + name + "=" + value}, {"--" + name, value}, {"--" + name + "=" + value}};
}

/// The line of describe_settings that a flag shows in.
std::string described_line(const option_row& row, const std::string& value) {
  const option_row& shown = row.alias_of.empty() ? row : *find_option(row.alias_of);
  return "\n" + shown.key + " = " + value + "\n";
}

} // namespace

TEST_CASE("every flag with a value is understood in all four spellings") {
  size_t tried = 0;
  for (const auto& row : option_rows()) {
    if ((row.places & in_flags) == 0 || row.show == nullptr || row.secret)
      if (row.name != "host")
        continue;
    if (row.name == "redis-password-file")
      continue; // needs a file, see the passwords
    CAPTURE(row.name);
    REQUIRE(sample_values.count(row.name) == 1);
    const std::string value = sample_values.at(row.name);
    for (const auto& arguments : spellings(row.name, value)) {
      if (row.kind == option_kind::boolean && arguments.size() == 2)
        continue;
      CAPTURE(arguments);
      const auto loaded = must_load(plain_input(arguments));
      CHECK_THAT(describe_settings(loaded.values), Contains(described_line(row, value)));
      CHECK(loaded.action == daemon_action::run);
      ++tried;
    }
  }
  CHECK(tried >= sample_values.size() * 3);
}

TEST_CASE("every flag of the documentation exists") {
  for (const char* name : {"channel-default",
                           "colorful-tty",
                           "concurrent",
                           "host",
                           "password",
                           "http-addr",
                           "pidfile",
                           "redis-db",
                           "redis-host",
                           "redis-password",
                           "redis-password-file",
                           "task-mode",
                           "config",
                           "state-dir",
                           "store",
                           "redis-intake",
                           "intake-key",
                           "log-level",
                           "log-format",
                           "log-file",
                           "drain-timeout",
                           "allow-host",
                           "legacy-200",
                           "max-body",
                           "idempotency-keep",
                           "help",
                           "version",
                           "check-config"}) {
    CAPTURE(name);
    const option_row* row = find_option(name);
    REQUIRE(row != nullptr);
    CHECK((row->places & in_flags) != 0);
    CHECK_THAT(help_text(), Contains("\n  -" + std::string(name)));
  }
}

TEST_CASE("without flags the defaults of the predecessor hold") {
  const auto loaded = must_load(plain_input());
  const settings& values = loaded.values;
  CHECK(values.channel_default == "default");
  CHECK(values.concurrent == 5);
  CHECK(values.http_host == "127.0.0.1");
  CHECK(values.http_port == 60001);
  CHECK(values.pidfile == "/tmp/task-runner.pid");
  CHECK(values.redis_host == "127.0.0.1");
  CHECK(values.redis_port == 6379);
  CHECK(values.redis_password.empty());
  CHECK(values.redis_db == 0);
  CHECK(values.task_mode);
  CHECK(values.redis_intake);
  CHECK(values.intake_keys == std::vector<std::string>{"task:prepare:queue"});
  CHECK(values.store == "embedded");
  CHECK(values.drain_timeout_ms == 0);
  CHECK(values.http_body_max == 1'048'576);
  CHECK(loaded.warnings.empty());
  CHECK(loaded.config_file.empty());
}

TEST_CASE("a bare boolean is true and swallows nothing") {
  CHECK(must_load(plain_input({"-legacy-200"})).values.http_legacy_200);
  CHECK(must_load(plain_input({"--legacy-200", "-redis-db", "3"})).values.redis_db == 3);
  for (const char* text : {"false", "0", "no", "off"})
    CHECK_FALSE(must_load(plain_input({std::string("-task-mode=") + text})).values.task_mode);
  CHECK_THAT(refusal_of_flags({"-task-mode", "false"}), Equals("command line: 'false' stands alone; write "
                                                               "-task-mode=false"));
  CHECK_THAT(refusal_of_flags({"-task-mode=maybe"}),
             Contains("flag -task-mode: 'maybe' is not accepted; give true "
                      "or false"));
}

TEST_CASE("what is no flag is refused") {
  CHECK_THAT(refusal_of_flags({"run"}), Contains("command line: 'run' is not a flag"));
  CHECK_THAT(refusal_of_flags({"-"}), Contains("'-' is not a flag"));
  CHECK_THAT(refusal_of_flags({""}), Contains("'' is not a flag"));
  CHECK_THAT(refusal_of_flags({"-redis-db", "1", "x"}), Contains("'x' is not a flag"));
  CHECK_THAT(refusal_of_flags({"--", "x"}), Contains("'x' is not a flag"));
  CHECK_THAT(refusal_of_flags({"---help"}), Contains("'---help' is not a flag"));
  CHECK_THAT(refusal_of_flags({"-=5"}), Contains("is not a flag"));
  CHECK(must_load(plain_input({"-redis-db", "1", "--"})).values.redis_db == 1);
}

TEST_CASE("an unknown flag is refused, and prefixes are not guessed") {
  for (const char* word :
       {"-redis-h", "--redis-h=1", "-concurren", "-Concurrent", "-nope", "-c", "-redis_host"}) {
    CAPTURE(word);
    CHECK_THAT(refusal_of_flags({word, "5"}),
               Contains("there is no such flag; task-runner -help lists the flags"));
  }
  CHECK_THAT(refusal_of_flags({"-allow-remote"}),
             Equals("flag -allow-remote: accepted in the INI file only; write "
                    "allow-remote = true under [http]"));
}

TEST_CASE("a flag is given once, but for lists") {
  CHECK_THAT(refusal_of_flags({"-redis-db", "1", "--redis-db=1"}),
             Equals("flag -redis-db: it is given twice; give "
                    "it once"));
  CHECK_THAT(refusal_of_flags({"-task-mode", "-task-mode"}), Contains("given twice"));
  const auto loaded = must_load(plain_input(
      {"-intake-key", "a", "-allow-host=x.example", "--intake-key=b,c", "--allow-host", "y.example"}));
  CHECK(loaded.values.intake_keys == std::vector<std::string>{"a", "b", "c"});
  CHECK(loaded.values.http_allow_hosts == std::vector<std::string>{"x.example", "y.example"});
  CHECK_THAT(refusal_of_flags({"-intake-key", "a", "-intake-key", "a"}),
             Contains("flag -intake-key: 'a,a' is not "
                      "accepted; give each key once"));
}

TEST_CASE("a missing value is told, a value that begins with a dash is taken") {
  CHECK_THAT(refusal_of_flags({"-redis-host"}),
             Equals("flag -redis-host: the value is missing; give -redis-host "
                    "HOST[:PORT]"));
  CHECK_THAT(refusal_of_flags({"-redis-host", "-redis-db", "3"}),
             Contains("flag -redis-host: the value is missing"));
  CHECK_THAT(refusal_of_flags({"-redis-host", "--redis-db=3"}),
             Contains("flag -redis-host: the value is missing"));
  CHECK(must_load(plain_input({"-redis-password", "-x=y"})).values.redis_password == "-x=y");
  CHECK(must_load(plain_input({"-redis-password=-redis-db"})).values.redis_password == "-redis-db");
  CHECK(must_load(plain_input({"-redis-password="})).values.redis_password.empty());
  CHECK(must_load(plain_input({"-redis-password=a=b=c"})).values.redis_password == "a=b=c");
  CHECK(must_load(plain_input({"-redis-password", ""})).values.redis_password.empty());
  CHECK_THAT(refusal_of_flags({"-pidfile="}), Contains("flag -pidfile: '' is not accepted; give a path"));
}

TEST_CASE("a wrong value says what is allowed") {
  CHECK_THAT(refusal_of_flags({"-concurrent", "0"}),
             Equals("flag -concurrent: '0' is not accepted; give a whole number from 1 to 1024"));
  CHECK_THAT(refusal_of_flags({"-log-level=loud"}),
             Equals("flag -log-level: 'loud' is not accepted; give debug, info, warning or error"));
  CHECK_THAT(refusal_of_flags({"-store", "redis"}), Contains("give embedded"));
  CHECK_THAT(refusal_of_flags({"-channel-default", "a b"}), Contains("1 to 128 of A-Z a-z 0-9"));
  CHECK_THAT(refusal_of_flags({"-redis-db", "1\n2"}), Contains("'1\\x0a2'"));
}

TEST_CASE("the action asked for") {
  CHECK(must_load(plain_input({"-help"})).action == daemon_action::help);
  CHECK(must_load(plain_input({"-h"})).action == daemon_action::help);
  CHECK(must_load(plain_input({"--help", "-config", "/no/such/file"})).action == daemon_action::help);
  CHECK(must_load(plain_input({"-version"})).action == daemon_action::version);
  CHECK(must_load(plain_input({"-check-config", "-redis-db", "2"})).action == daemon_action::check_config);
  CHECK(must_load(plain_input({"-help=false"})).action == daemon_action::run);
  CHECK_THAT(refusal_of_flags({"-check-config", "-redis-db", "99"}), Contains("flag -redis-db"));
}

TEST_CASE("deprecated names still work, with one warning") {
  auto loaded = must_load(plain_input({"-host", "127.0.0.1:6380", "-password", "secret"}));
  CHECK(loaded.values.redis_port == 6380);
  CHECK(loaded.values.redis_password == "secret");
  REQUIRE(loaded.warnings.size() == 2);
  CHECK(loaded.warnings[0] == "flag -host is deprecated; use redis-host instead");
  CHECK(loaded.warnings[1] == "flag -password is deprecated; use redis-password instead");

  loaded = must_load(plain_input({"-host", "old:1", "-redis-host", "new:2"}));
  CHECK(loaded.values.redis_host == "new");
  REQUIRE(loaded.warnings.size() == 1);
  CHECK_THAT(loaded.warnings[0], Contains("ignored here: redis-host is given too"));

  // Across sources it is the source that decides.
  auto input = plain_input({"-host", "flag:1"});
  input.environment["TASK_RUNNER_REDIS_HOST"] = "variable:2";
  CHECK(must_load(input).values.redis_host == "flag");
  CHECK_THAT(refusal_of_flags({"-host", "a:b"}), Contains("flag -host: 'a:b' is not accepted"));
}

TEST_CASE("a password is never part of a message") {
  const std::string secret = "hunter2";
  const std::vector<std::vector<std::string>> mistakes{
      {"-redis-password", secret, secret},
      {"-redis-password=" + secret, "-nope"},
      {"-redis-password", secret, "-redis-password", secret},
      {"-redis-password", secret, "-redis-password-file", "/x"},
      {"-password", secret, "-redis-db", "99"},
      {"-redis-password" + secret},
      {"-redis-passwort=" + secret},
      {"--password-" + secret},
      {"-redis-host", "redis://:" + secret + "@host:1"},
      {"-http-addr", secret + "@host:1"},
      {"-redis-password", std::string(5'000, 'x') + secret}};
  for (const auto& arguments : mistakes) {
    CAPTURE(arguments);
    CHECK_THAT(refusal_of_flags(arguments), !Contains(secret));
  }
}

TEST_CASE("the help names every place and default") {
  const std::string help = help_text();
  CHECK_THAT(help, Contains("-http-addr HOST:PORT\n") && Contains("(default 127.0.0.1:60001)") &&
                       Contains("(default task:prepare:queue)") && Contains("TASK_RUNNER_") &&
                       Contains("[channel.NAME]"));
  size_t begin = 0;
  for (size_t end = help.find('\n'); end != std::string::npos; begin = end + 1, end = help.find('\n', begin))
    CHECK(end - begin <= 100);
  CHECK(begin == help.size());
}
