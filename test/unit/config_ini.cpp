// The INI file: what PropertyTree gets right and what it forgets. Every mistake is told with its place.
#include "config/ini_file.hpp"
#include "config/option_table.hpp"
#include "test/unit/config_support.hpp"

#include <map>
#include <random>
#include <sys/stat.h>

using namespace task_runner;
using namespace task_runner::test;
using Catch::Matchers::Contains;
using Catch::Matchers::EndsWith;
using Catch::Matchers::Equals;

namespace {

std::string refusal_of_ini(const std::string& text) {
  return refusal_of(load_ini(text));
}

settings settings_of_ini(const std::string& text) {
  auto loaded = load_ini(text);
  INFO((loaded ? std::string() : loaded.failure().message));
  REQUIRE(loaded);
  return loaded->values;
}

} // namespace

TEST_CASE("every key of every section is read") {
  const auto values = settings_of_ini("[daemon]\n"
                                      "channel-default = mail\n"
                                      "concurrent=9\n"
                                      "pidfile = /run/a.pid\n"
                                      "task-mode = false\n"
                                      "state-dir = /srv/a\n"
                                      "store = embedded\n"
                                      "drain-timeout = 5m\n"
                                      "colorful-tty = yes\n"
                                      "[redis]\n"
                                      "host = r.example:1\n"
                                      "password = p\n"
                                      "db = 4\n"
                                      "intake = off\n"
                                      "intake-key = a, b\n"
                                      "[http]\n"
                                      "addr = [::1]:2\n"
                                      "allow-host = x.example\n"
                                      "allow-remote = true\n"
                                      "legacy-200 = true\n"
                                      "max-body = 2M\n"
                                      "idempotency-keep = 90m\n"
                                      "[log]\n"
                                      "level = error\n"
                                      "format = json\n"
                                      "file = /var/log/a.log\n"
                                      "[channel.mail]\n"
                                      "worker = 3\n"
                                      "distinct = true\n");
  CHECK(values.channel_default == "mail");
  CHECK(values.concurrent == 9);
  CHECK(values.pidfile == "/run/a.pid");
  CHECK_FALSE(values.task_mode);
  CHECK(values.state_dir == "/srv/a");
  CHECK(values.drain_timeout_ms == 300'000);
  CHECK(values.idempotency_keep_ms == 5'400'000);
  CHECK(values.colorful_tty);
  CHECK(values.redis_host == "r.example");
  CHECK(values.redis_port == 1);
  CHECK(values.redis_password == "p");
  CHECK(values.redis_password_from == redis_password_source::value);
  CHECK(values.redis_db == 4);
  CHECK_FALSE(values.redis_intake);
  CHECK(values.intake_keys == std::vector<std::string>{"a", "b"});
  CHECK(values.http_host == "::1");
  CHECK(values.http_port == 2);
  CHECK(values.http_allow_hosts == std::vector<std::string>{"x.example"});
  CHECK(values.http_allow_remote);
  CHECK(values.http_legacy_200);
  CHECK(values.http_body_max == 2'097'152);
  CHECK(values.log_level == "error");
  CHECK(values.log_format == "json");
  CHECK(values.log_file == "/var/log/a.log");
  REQUIRE(values.channels.size() == 1);
  CHECK(values.channels.at("mail") == channel_settings{distinct_mode::until_finished, 3, {}, {}, {}});
}

TEST_CASE("a password survives the INI file byte for byte") {
  for (const std::string password :
       {"p#w", "#pw", "p;w", ";pw", "a=b=", "a # b ; c", "\"quoted\"", "'q'", "\"", "\\n\\t$HOME%20", "[x]",
        "pä§漢字🔑", "a  b\tc", "\x01\x02", "x\xff\xfey"}) {
    CAPTURE(password);
    CHECK(settings_of_ini("[redis]\npassword=" + password + "\n").redis_password == password);
    CHECK(settings_of_ini("[redis]\r\npassword = " + password + "\r\n").redis_password == password);
  }
  // Blanks around a value belong to the file, not to the value.
  CHECK(settings_of_ini("[redis]\npassword =  pw \t\n").redis_password == "pw");
  CHECK(settings_of_ini("[redis]\npassword =\n").redis_password_from == redis_password_source::none);
}

TEST_CASE("comments begin at the start of a line only") {
  const auto values = settings_of_ini("# one\n; two\n  # three\n[daemon]\n#concurrent = x\n;concurrent = y\n"
                                      "pidfile = /run/a#b;c.pid\n\n");
  CHECK(values.pidfile == "/run/a#b;c.pid");
  CHECK(values.concurrent == 5);
  CHECK_THAT(
      refusal_of_ini("[daemon]\nconcurrent = 5 ; five\n"),
      EndsWith(
          "x.ini:2 [daemon] concurrent: '5 ; five' is not accepted; give a whole number from 1 to 1024; a "
          "comment needs a line of its own"));
  CHECK_THAT(refusal_of_ini("[daemon] # the daemon\n"),
             EndsWith("x.ini:1: text behind the closing ]; a comment needs a "
                      "line of its own"));
}

TEST_CASE("files of other editors are read") {
  CHECK(settings_of_ini("\xef\xbb\xbf[daemon]\r\nconcurrent = 6\r\n").concurrent == 6);
  CHECK(settings_of_ini("[daemon]\nconcurrent = 6").concurrent == 6);
  CHECK(settings_of_ini("  [ daemon ]  \n  concurrent  =  6  ").concurrent == 6);
  CHECK(settings_of_ini("").concurrent == 5);
  CHECK(settings_of_ini("[daemon]\n[redis]\n[http]\n[log]\n").concurrent == 5);
}

TEST_CASE("a mistake in the INI file is told with its line") {
  CHECK_THAT(
      refusal_of_ini("[daemon]\n\n# x\nconcurrrent = 5\n"),
      EndsWith("x.ini:4 [daemon] concurrrent: there is no such key; allowed in [daemon] are channel-default, "
               "concurrent, task-mode, state-dir, store, pidfile, drain-timeout, running-max, containment, "
               "tasks-max, recoveries-max, colorful-tty"));
  CHECK_THAT(refusal_of_ini("\n[redi]\nhost = x\n"),
             EndsWith("x.ini:2 [redi]: there is no such section; allowed are [daemon], [retention], "
                      "[output], [redis], [http], [log], [client], "
                      "[channel.NAME]"));
  CHECK_THAT(refusal_of_ini("[empty]\n"), Contains("x.ini:1 [empty]: there is no such section"));
  CHECK_THAT(refusal_of_ini("[redis]\nhost=a\nhost=b\n"),
             EndsWith("x.ini:3 [redis] host: the key stands in line 2 already; give each key once"));
  CHECK_THAT(refusal_of_ini("[redis]\nhost=a\n[log]\n[redis]\n"),
             Contains("x.ini:4 [redis]: the section stands here "
                      "again"));
  CHECK_THAT(refusal_of_ini("[log]\n[log]\n"), Contains("x.ini:2 [log]: the section stands here again"));
  CHECK_THAT(refusal_of_ini("concurrent = 5\n"),
             Contains("x.ini:1: the key stands before the first section"));
  CHECK_THAT(refusal_of_ini("[daemon\n"), Contains("x.ini:1: the closing ] of the section is missing"));
  CHECK_THAT(refusal_of_ini("[daemon]\n\nwords\n"), Contains("x.ini:3: neither a [section], a key = value"));
  CHECK_THAT(refusal_of_ini("[daemon]\n = 5\n"), Contains("x.ini:2: neither"));
  CHECK_THAT(refusal_of_ini(std::string("[daemon]\0\n", 10)), Contains("NUL"));
  CHECK_THAT(refusal_of_ini("[http]\nhttp-addr = 127.0.0.1:1\n"),
             Contains("allowed in [http] are addr, allow-host, "
                      "allow-remote, legacy-200, max-body, idempotency-keep"));
  CHECK_THAT(refusal_of_ini("[daemon]\nconfig = /x\n"), Contains("there is no such key"));
  CHECK_THAT(refusal_of_ini("[]\nconfig = /x\n"), Contains("x.ini:1 []: there is no such section"));
}

TEST_CASE("no line of a password shows in a message") {
  CHECK_THAT(refusal_of_ini("[redis]\npassword = first\nhunter2\n"), !Contains("hunter2"));
  CHECK_THAT(refusal_of_ini("[redis]\npassword = hunter2\npassword = hunter2\n"), !Contains("hunter2"));
  CHECK_THAT(refusal_of_ini("[redis]\npassword = hunter2\npassword-file = /x\n"),
             Contains("give one of the two") && !Contains("hunter2"));
  CHECK_THAT(refusal_of_ini("[redis]\nhost = redis://:hunter2@h:1\n"), !Contains("hunter2"));
  CHECK_THAT(refusal_of_ini("[redis]\npassword = " + std::string(4'097, 'x') + "\n"),
             EndsWith("[redis] password: the value is not accepted; give at most 4096 bytes without NUL"));
}

TEST_CASE("a value is valid or not alike in flags, environment and INI") {
  const std::map<std::string, std::string> wrong{
      {"channel-default", "a/b"},   {"concurrent", "1025"},     {"task-mode", "perhaps"},
      {"store", "memory"},          {"drain-timeout", "5w"},    {"colorful-tty", "2"},
      {"redis-host", "a:b:c"},      {"redis-db", "16"},         {"redis-intake", "auto"},
      {"intake-key", "a,,b"},       {"http-addr", "60001"},     {"allow-host", "h:1"},
      {"legacy-200", "200"},        {"max-body", "1T"},         {"log-level", "warn"},
      {"log-format", "xml"},        {"running-max", "-1"},      {"containment", "none"},
      {"tasks-max", "0"},           {"recoveries-max", "1001"}, {"retention-age", "1w"},
      {"retention-dead-age", "-1"}, {"retention-count", "1M"},  {"retention-bytes", "1T"},
      {"output-head", "2G"},        {"output-tail", "0"},       {"idempotency-keep", "31d"}};
  constexpr unsigned everywhere = in_flags | in_environment | in_ini;
  for (const auto& row : option_rows()) {
    if ((row.places & everywhere) != everywhere || row.secret)
      continue;
    CAPTURE(row.name);
    if (wrong.count(row.name) == 0) {
      // Paths: any text is one.
      CHECK_THAT(row.placeholder, Equals("FILE") || Equals("DIR"));
      continue;
    }
    const std::string value = wrong.at(row.name);
    const std::string by_flag = refusal_of_flags({"-" + row.name + "=" + value});
    auto input = plain_input();
    input.environment[environment_name(row.name)] = value;
    const std::string by_variable = refusal_of(load_settings(input));
    const std::string by_ini = refusal_of_ini("[" + row.section + "]\n" + row.key + " = " + value + "\n");
    const std::string place = "flag -" + row.name;
    REQUIRE(by_flag.compare(0, place.size(), place) == 0);
    const std::string sentence = by_flag.substr(place.size());
    CHECK(by_variable == "environment " + environment_name(row.name) + sentence);
    CHECK_THAT(by_ini, EndsWith("x.ini:2 [" + row.section + "] " + row.key + sentence));
  }
}

TEST_CASE("channels have sections of their own") {
  const auto channels = settings_of_ini("[channel.a.b:c_d-9]\nworker = 0\n"
                                        "[channel.empty]\n"
                                        "[channel.last]\ndistinct = no\nworker = 1024\n"
                                        "[channel.tail]\n")
                            .channels;
  REQUIRE(channels.size() == 4);
  CHECK(channels.at("a.b:c_d-9") == channel_settings{});
  CHECK(channels.at("empty") == channel_settings{});
  CHECK(channels.at("last") == channel_settings{distinct_mode::off, 1'024, {}, {}, {}});
  CHECK(channels.at("tail") == channel_settings{});
  CHECK_THAT(refusal_of_ini("[channel.]\nworker = 1\n"), Contains("x.ini:1 [channel.]: not a channel name"));
  CHECK_THAT(refusal_of_ini("[channel.a b]\n"), Contains("not a channel name"));
  CHECK_THAT(refusal_of_ini("[channel]\nworker = 1\n"), Contains("there is no such section"));
  CHECK_THAT(
      refusal_of_ini("[channel.a]\nworker = 1025\n"),
      EndsWith(
          "x.ini:2 [channel.a] worker: '1025' is not accepted; give a whole number from 0 to 1024; 0 follows "
          "concurrent in this file"));
  CHECK_THAT(refusal_of_ini("[channel.a]\ndistinct = maybe\n"), Contains("[channel.a] distinct: 'maybe'"));
  CHECK_THAT(refusal_of_ini("[channel.a]\nworkers = 1\n"),
             Contains("allowed in a channel's section are worker, "
                      "distinct"));
}

TEST_CASE("a channel's section holds what its tasks have in common") {
  const auto a = settings_of_ini("[channel.a]\ndistinct = while-pending\nweight = 1000\ntasks-max = 1\n"
                                 "max-attempts = 3\nenv.PATH-x = a=b;c # d\nenv = TZ=UTC\n"
                                 "limits.memory = 1G\nnice = -5\nexpires_s = 90\n")
                     .channels.at("a");
  CHECK(a.distinct == distinct_mode::while_pending);
  CHECK(a.weight == 1'000U);
  CHECK(a.tasks_max == uint64_t{1});
  CHECK(a.defaults.max_attempts == 3U);
  CHECK(a.defaults.environment.limits.memory_bytes == uint64_t{1'073'741'824});
  CHECK(a.defaults.environment.nice == -5);
  CHECK(a.defaults.expires_ms == int64_t{90'000});
  using variables = std::vector<std::pair<std::string, std::string>>;
  CHECK(a.defaults.environment.variables == variables{{"PATH-x", "a=b;c # d"}, {"TZ", "UTC"}});

  for (const std::string key : {"weight = 0", "weight = 1001", "tasks-max = 0", "tasks-max = 1000000001",
                                "max-attempts = 0", "max-attempts = x", "timeout = 0", "nice = 20",
                                "umask = 8", "retry-on = 0", "retry-on = 1,,2", "backoff = slow", "cwd = tmp",
                                "limits.memory = 1T", "limits.files = 1", "env = novalue", "distinct = 2"}) {
    const auto refused = refusal_of_ini("[channel.a]\n" + key + "\n");
    const auto name = key.substr(0, key.find(' '));
    INFO(refused);
    CHECK_THAT(refused, Contains("x.ini:2 [channel.a] " + name + ": "));
  }
  // The value of a variable may be a secret.
  const auto refused = refusal_of_ini("[channel.a]\nenv.KEY = \xff"
                                      "secret\n");
  CHECK_THAT(refused, Contains("[channel.a] env.KEY: ") && !Contains("secret"));
}

TEST_CASE("a reload gives the channels, or says what is wrong anywhere in the file") {
  const temp_dir directory;
  const std::string path = write_file(directory, "r.ini", "[channel.a]\nworker = 2\n[channel.b]\n");
  auto channels = reload_channels(path);
  REQUIRE(channels);
  CHECK(channels->size() == 2);
  CHECK(channels->at("a").worker == 2);
  write_file(directory, "r.ini", "[channel.a]\nworker = 3\n[log]\nlevel = loud\n");
  channels = reload_channels(path);
  REQUIRE_FALSE(channels);
  CHECK_THAT(channels.failure().message, Contains("r.ini:4 [log] level: 'loud' is not accepted"));
  CHECK_THAT(reload_channels(directory / "gone.ini").failure().message,
             Contains("gone.ini") && Contains("No such file or directory"));
}

TEST_CASE("an INI file that cannot be read is told with the reason") {
  const temp_dir directory;
  CHECK_THAT(refusal_of_flags({"-config", directory / "gone.ini"}),
             Contains("flag -config: cannot read '") && EndsWith("gone.ini': No such file or directory"));
  CHECK_THAT(refusal_of_flags({"-config", directory.path()}), EndsWith("Is a directory"));
  CHECK_THAT(refusal_of_flags({"-config="}), Contains("flag -config: give a path"));
  const std::string large = write_file(directory, "large.ini", std::string(1'048'577, '#'));
  CHECK_THAT(refusal_of_flags({"-config", large}), EndsWith("it has more than 1048576 bytes"));
}

TEST_CASE("a password in a file that all may read is worth a warning") {
  const temp_dir directory;
  const std::string path = write_file(directory, "x.ini", "[redis]\npassword = p\n");
  REQUIRE(chmod(path.c_str(), 0644) == 0);
  const auto loaded = must_load(plain_input({"-config", path}));
  REQUIRE(loaded.warnings.size() == 1);
  CHECK_THAT(loaded.warnings[0],
             Contains("x.ini:2 [redis] password: every user of this machine can read the file"));
  REQUIRE(chmod(path.c_str(), 0600) == 0);
  CHECK(must_load(plain_input({"-config", path})).warnings.empty());
}

TEST_CASE("property: a mangled INI file is read or refused with one line that names it") {
  const std::string whole = "# c\n[daemon]\nconcurrent = 5\n[redis]\npassword = hunter2\nhost=h:1\n"
                            "[channel.a.b]\nworker=2\ndistinct = true\n[http]\naddr=127.0.0.1:1\n";
  constexpr char letters[] = "[]=#;\n\r \t.ab1\0\xff";
  std::mt19937_64 random(Catch::rngSeed());
  size_t refused = 0;
  constexpr size_t rounds = 3'000;
  for (size_t i = 0; i < rounds; ++i) {
    std::string text = whole;
    for (auto changes = 1 + random() % 4; changes > 0; --changes) {
      const size_t at = random() % text.size();
      const char letter = letters[random() % (sizeof letters - 1)];
      if (random() % 2 == 0)
        text.insert(at, 1, letter);
      else
        text[at] = letter;
    }
    const auto content = parse_ini(text, "f.ini");
    if (content)
      continue;
    ++refused;
    CAPTURE(text);
    const std::string& message = content.failure().message;
    REQUIRE(message.rfind("f.ini:", 0) == 0);
    REQUIRE(message.find('\n') == std::string::npos);
  }
  CHECK(refused > rounds / 10);
  CHECK(refused < rounds);
}

TEST_CASE("ten thousand channels are read at once") {
  std::string text;
  constexpr size_t count = 10'000;
  for (size_t i = 0; i < count; ++i)
    text += "[channel." + std::to_string(i) + "]\nworker = 1\ndistinct = true\n";
  const auto content = parse_ini(text, "f.ini");
  REQUIRE(content);
  CHECK(content->channels.size() == count);
}
