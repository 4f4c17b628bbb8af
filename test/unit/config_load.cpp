// Sources against each other. Then what is settled once all values are known: password, paths, address.
#include "config/option_table.hpp"
#include "test/unit/config_support.hpp"

#include <algorithm>
#include <map>
#include <sys/stat.h>

using namespace task_runner;
using namespace task_runner::test;
using Catch::Matchers::Contains;
using Catch::Matchers::EndsWith;
using Catch::Matchers::Equals;

namespace {

/// The repository's root: this file stands two folders below it.
std::string repository_root() {
  const std::string file = __FILE__;
  return file.substr(0, file.rfind("/test/unit/"));
}

} // namespace

TEST_CASE("flags win over the environment, it over the INI file, that over the defaults") {
  const temp_dir directory;
  const std::string ini = write_file(directory, "x.ini",
                                     "[daemon]\nconcurrent = 2\n[redis]\ndb = 2\nintake-key = i\n"
                                     "[log]\nlevel = error\n");
  auto input = plain_input({"-config", ini, "-redis-db", "4", "-intake-key", "f"});
  input.environment["TASK_RUNNER_REDIS_DB"] = "3";
  input.environment["TASK_RUNNER_CONCURRENT"] = "3";
  input.environment["TASK_RUNNER_INTAKE_KEY"] = "e1,e2";
  const auto loaded = must_load(input);
  CHECK(loaded.values.redis_db == 4);
  CHECK(loaded.values.concurrent == 3);
  CHECK(loaded.values.log_level == "error");
  CHECK(loaded.values.log_format == "text");
  // A list is replaced, not added to.
  CHECK(loaded.values.intake_keys == std::vector<std::string>{"f"});
  CHECK(loaded.config_file == ini);
  input.arguments.resize(2);
  CHECK(must_load(input).values.intake_keys == std::vector<std::string>{"e1", "e2"});
}

TEST_CASE("a wrong value is told even where a better source hides it") {
  const temp_dir directory;
  const std::string ini = write_file(directory, "x.ini", "[redis]\ndb = 99\n");
  CHECK_THAT(refusal_of_flags({"-config", ini, "-redis-db", "1"}), Contains("x.ini:2 [redis] db: '99'"));
}

TEST_CASE("the environment") {
  auto input = plain_input();
  input.environment["TASK_RUNNER_HTTP_ADDR"] = "127.0.0.1:1";
  input.environment["TASK_RUNNER_TASK_MODE"] = "false";
  input.environment["TASK_RUNNER_REDIS_PASSWORD"] = " blanks stay ";
  input.environment["TASK_RUNNER_LEGACY_200"] = "true";
  input.environment["TASK_RUNNER_LOG_LEVEL"] = "";
  auto loaded = must_load(input);
  CHECK(loaded.values.http_port == 1);
  CHECK_FALSE(loaded.values.task_mode);
  CHECK(loaded.values.redis_password == " blanks stay ");
  CHECK(loaded.values.http_legacy_200);
  CHECK(loaded.values.log_level == "info");
  CHECK(loaded.warnings.empty());

  SECTION("what a command inherits is no setting") {
    input.environment["TASK_RUNNER_TASK_ID"] = "x";
    input.environment["TASK_RUNNER_CHANNEL"] = "x";
    input.environment["TASK_RUNNER_ATTEMPT"] = "1";
    CHECK(must_load(input).warnings.empty());
  }
  SECTION("an unknown variable gets a warning, without its value") {
    input.environment["TASK_RUNNER_NONSENSE"] = "hunter2";
    input.environment["TASK_RUNNER_HELP"] = "1";
    input.environment["TASK_RUNNER_ALLOW_REMOTE"] = "true";
    loaded = must_load(input);
    REQUIRE(loaded.warnings.size() == 3);
    CHECK_THAT(loaded.warnings[0],
               Contains("environment TASK_RUNNER_ALLOW_REMOTE: ignored, allow-remote is accepted "
                        "in the INI file only"));
    CHECK_THAT(loaded.warnings[1], Contains("TASK_RUNNER_HELP: ignored") && Contains("the flag -help only"));
    CHECK_THAT(loaded.warnings[2],
               Equals("environment 'TASK_RUNNER_NONSENSE': ignored, there is no such setting"));
    CHECK_FALSE(loaded.values.http_allow_remote);
  }
  SECTION("a wrong value of a known one is an error") {
    input.environment["TASK_RUNNER_DRAIN_TIMEOUT"] = "soon";
    CHECK_THAT(refusal_of(load_settings(input)),
               Contains("environment TASK_RUNNER_DRAIN_TIMEOUT: 'soon' is not accepted; give a duration"));
  }
  SECTION("the INI file may be named there") {
    const temp_dir directory;
    input.environment["TASK_RUNNER_CONFIG"] = write_file(directory, "x.ini", "[redis]\ndb = 7\n");
    CHECK(must_load(input).values.redis_db == 7);
  }
}

TEST_CASE("the password may stand in a file of its own") {
  const temp_dir directory;
  const auto load_password = [&directory](const std::string& text) {
    const std::string path = write_file(directory, "password", text);
    REQUIRE(chmod(path.c_str(), 0600) == 0);
    return load_settings(plain_input({"-redis-password-file", path}));
  };
  for (const std::string password : {"p", " blanks # stay ; ", "=\"'", "pä漢"}) {
    for (const char* end : {"", "\n", "\r\n"}) {
      const auto loaded = load_password(password + end);
      REQUIRE(loaded);
      CHECK(loaded->values.redis_password == password);
      CHECK(loaded->values.redis_password_from == redis_password_source::file);
      CHECK(loaded->values.redis_password_file == directory / "password");
      CHECK(loaded->warnings.empty());
    }
  }
  CHECK_THAT(refusal_of(load_password("")), EndsWith("is empty; put the password there"));
  CHECK_THAT(refusal_of(load_password("\n")), EndsWith("is empty; put the password there"));
  CHECK_THAT(refusal_of(load_password("hunter2\nmore\n")),
             Contains("has several lines") && !Contains("hunter2"));
  CHECK_THAT(refusal_of(load_password(std::string("hunter2\0x", 9))),
             Contains("NUL") && !Contains("hunter2"));
  CHECK_THAT(refusal_of(load_password(std::string(5'000, 'x'))), Contains("more than"));
  CHECK_THAT(refusal_of_flags({"-redis-password-file", directory / "gone"}),
             Contains("flag -redis-password-file: cannot read") && EndsWith("No such file or directory"));
}

TEST_CASE("of password and password file the better source wins") {
  const temp_dir directory;
  const std::string file = write_file(directory, "password", "from file");
  const std::string ini = write_file(directory, "x.ini", "[redis]\npassword-file = " + file + "\n");
  REQUIRE(chmod(file.c_str(), 0644) == 0);
  auto loaded = must_load(plain_input({"-config", ini}));
  CHECK(loaded.values.redis_password == "from file");
  REQUIRE(loaded.warnings.size() == 1);
  CHECK_THAT(loaded.warnings[0],
             Contains("x.ini:2 [redis] password-file: every user of this machine can read"));

  loaded = must_load(plain_input({"-config", ini, "-redis-password", "from flag"}));
  CHECK(loaded.values.redis_password == "from flag");
  CHECK(loaded.values.redis_password_file.empty());

  // An empty one undoes nothing in the same source.
  CHECK(must_load(plain_input({"-redis-password-file=" + file, "-redis-password="})).values.redis_password ==
        "from file");
  CHECK(must_load(plain_input({"-redis-password-file=", "-redis-password=p"})).values.redis_password == "p");
  CHECK(must_load(plain_input({"-config", ini, "-redis-password="})).values.redis_password.empty());

  auto input = plain_input({"-redis-password-file=" + file});
  input.environment["TASK_RUNNER_REDIS_PASSWORD"] = "from variable";
  CHECK(must_load(input).values.redis_password == "from file");
}

TEST_CASE("the state directory has a default for everybody") {
  auto input = plain_input();
  CHECK(must_load(input).values.state_dir == "/home/user/.local/state/task-runner");
  input.environment["XDG_STATE_HOME"] = "/xdg/";
  CHECK(must_load(input).values.state_dir == "/xdg/task-runner");
  input.environment["XDG_STATE_HOME"] = "relative";
  CHECK(must_load(input).values.state_dir == "/home/user/.local/state/task-runner");
  input.environment.erase("HOME");
  CHECK_THAT(refusal_of(load_settings(input)), Contains("give -state-dir DIR"));
  input.is_root = true;
  CHECK(must_load(input).values.state_dir == "/var/lib/task-runner");
}

TEST_CASE("paths become absolute from the working directory") {
  const auto values =
      must_load(plain_input({"-state-dir", "../x//y/", "-pidfile", "p", "-log-file=./l"})).values;
  CHECK(values.state_dir == "/x/y");
  CHECK(values.pidfile == "/work dir/p");
  CHECK(values.log_file == "/work dir/l");
  auto input = plain_input({"-state-dir", "x"});
  input.working_directory.clear();
  CHECK_THAT(refusal_of(load_settings(input)),
             Equals("flag -state-dir: the path is relative and the working directory "
                    "is unknown; give an absolute path"));
}

TEST_CASE("an address that others can reach needs the INI file's word") {
  const temp_dir directory;
  const std::string ini = write_file(directory, "x.ini", "[http]\nallow-remote = true\n");
  for (const char* address : {":60001", "0.0.0.0:1", "[::]:1", "10.0.0.1:1", "host.example:1", "*:1"}) {
    CAPTURE(address);
    CHECK_THAT(refusal_of_flags({"-http-addr", address}),
               Contains(std::string("flag -http-addr: '") + address + "': other machines could reach it") &&
                   Contains("allow-remote = true under [http] in the INI file"));
    const auto loaded = must_load(plain_input({"-config", ini, "-http-addr", address}));
    REQUIRE(loaded.warnings.size() == 1);
    CHECK_THAT(loaded.warnings[0], Contains("as allow-remote permits"));
  }
  for (const char* address : {"127.0.0.1:1", "localhost:1", "[::1]:0", "127.9.9.9:1"})
    CHECK(must_load(plain_input({"-http-addr", address})).warnings.empty());
  CHECK(must_load(plain_input({"-config", ini})).warnings.empty());
}

TEST_CASE("the input is taken from main's arguments") {
  const char* argv[] = {"task-runner", "-redis-db", "1", nullptr};
  const char* environment[] = {"A=b=c", "EMPTY=", "odd", nullptr};
  const load_input input = capture_input(3, argv, environment);
  CHECK(input.arguments == std::vector<std::string>{"-redis-db", "1"});
  CHECK(input.environment == std::map<std::string, std::string>{{"A", "b=c"}, {"EMPTY", ""}});
  CHECK(input.working_directory.front() == '/');
  CHECK(capture_input(0, nullptr, nullptr).arguments.empty());
}

TEST_CASE("the sample file says the defaults, commented out and not") {
  const std::string path = repository_root() + "/config/task-runner.ini";
  auto input = plain_input({"-config", path});
  input.is_root = true; // the sample shows root's state directory
  auto with_nothing = plain_input();
  with_nothing.is_root = true;
  const std::string defaults = describe_settings(must_load(with_nothing).values);
  CHECK(describe_settings(must_load(input).values) == defaults);

  // Every `#key = value` taken out of its comment, and every key of the table among them.
  std::ifstream sample(path);
  std::string uncommented;
  std::string section;
  std::vector<std::string> seen;
  for (std::string line; std::getline(sample, line);) {
    if (line.size() > 1 && line[0] == '#' && line[1] != ' ')
      line.erase(0, 1);
    uncommented += line + "\n";
    if (!line.empty() && line[0] == '[')
      section = line.substr(1, line.size() - 2);
    else if (!line.empty() && line[0] != '#')
      seen.push_back(section + "." + line.substr(0, line.find(' ')));
  }
  for (const auto& row : option_rows())
    if ((row.places & in_ini) != 0) {
      CAPTURE(row.section, row.key);
      CHECK(std::count(seen.begin(), seen.end(), row.section + "." + row.key) == 1);
    }
  const auto loaded = load_ini(uncommented);
  INFO((loaded ? std::string() : loaded.failure().message));
  REQUIRE(loaded);
  const auto& mail = loaded->values.channels.at("mail");
  CHECK(mail.distinct == distinct_mode::off);
  CHECK_FALSE(mail.worker);
  CHECK(mail.weight == 1U);
  CHECK(mail.tasks_max == uint64_t{100'000'000});
  CHECK(mail.defaults.retry_on == std::vector<uint8_t>{75, 111});
  CHECK(mail.defaults.timeout_ms == int64_t{600'000});
  CHECK(mail.defaults.environment.variables.front() ==
        std::pair<std::string, std::string>("LANG", "C.UTF-8"));
  CHECK(mail.defaults.environment.file_mask == 027U);
  CHECK(mail.defaults.environment.limits.cpu_s == uint64_t{3'600});
  settings values = loaded->values;
  values.channels.clear();
  CHECK(describe_settings(values) == defaults);
}

TEST_CASE("what -check-config prints loads to the same settings, without the password") {
  const temp_dir directory;
  const std::string ini =
      write_file(directory, "x.ini",
                 "[channel.a]\nworker = 2\n[channel.b.c]\ndistinct = true\n[channel.d]\n"
                 "distinct = while-pending\nweight = 7\ntasks-max = 50\nmax-attempts = 3\nbackoff = linear\n"
                 "backoff-s = 250ms\nretry-on = 1, 75\ntimeout = 5m\nenv.A-b_c = x = y\nenv.B =\n"
                 "limits.file-size = 3k\numask = 7\nconcurrency-key = k\ncwd = /tmp\njitter = 0.25\n");
  const auto loaded =
      must_load(plain_input({"-config", ini, "-redis-password", "hunter2", "-concurrent", "7",
                             "-drain-timeout", "90", "-intake-key", "a,b", "-redis-host", "[::1]:9",
                             "-task-mode=false", "-max-body", "3000", "-log-file", "/x y.log"}));
  const std::string text = describe_settings(loaded.values);
  CHECK_THAT(text, !Contains("hunter2") && Contains("# password is set (***)") &&
                       Contains("drain-timeout = 90s\n"));
  const auto again = load_ini(text);
  INFO((again ? text : again.failure().message));
  REQUIRE(again);
  CHECK(again->values.channels == loaded.values.channels);
  settings expected = loaded.values;
  expected.redis_password.clear();
  CHECK(describe_settings(again->values) == describe_settings(expected));
  CHECK_THAT(describe_settings(again->values), Contains("# password is not set"));
}
