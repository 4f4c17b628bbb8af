// Where a client finds the daemon: flag, environment, INI file, default.
#include "config/client_settings.hpp"
#include "test/unit/config_support.hpp"

using namespace task_runner;
using namespace task_runner::test;

namespace {

std::string found(const client_input& input) {
  const auto address = find_daemon_address(input);
  if (!address)
    return "refused: " + address.failure().message;
  return format_host_port(address->host, address->port) + " by " + address->said_by;
}

} // namespace

TEST_CASE("config: a client finds the daemon by what stands first") {
  const temp_dir directory;
  const auto ini =
      write_file(directory, "x.ini", "[redis]\npassword-file = /nobody/may/read\n[http]\naddr = :81\n");
  const auto without = write_file(directory, "y.ini", "[daemon]\nconcurrent = 3\n");
  client_input input;
  CHECK(found(input) == "127.0.0.1:60001 by the default");
  input.config_file = without;
  CHECK(found(input) == "127.0.0.1:60001 by the default");
  input.config_file = ini;
  CHECK(found(input) == "127.0.0.1:81 by " + ini + ":4 [http] addr");
  input.config_file.clear();
  input.environment = {{"TASK_RUNNER_CONFIG", ini}, {"TASK_RUNNER_CHANNEL", "x"}};
  CHECK(found(input) == "127.0.0.1:81 by " + ini + ":4 [http] addr");
  input.environment["TASK_RUNNER_HTTP_ADDR"] = "[::]:82";
  CHECK(found(input) == "[::1]:82 by environment TASK_RUNNER_HTTP_ADDR");
  input.environment["TASK_RUNNER_ADDRESS"] = "example.org:83";
  CHECK(found(input) == "example.org:83 by environment TASK_RUNNER_ADDRESS");
  input.address = "localhost:84";
  CHECK(found(input) == "127.0.0.1:84 by --address");
}

TEST_CASE("config: a client refuses what is no address, and a wrong file") {
  const temp_dir directory;
  client_input input;
  for (const std::string wrong : {"127.0.0.1", "127.0.0.1:0", "127.0.0.1:99999", "a b:1", ":"}) {
    input.address = wrong;
    CHECK(found(input).find("refused: --address: ") == 0);
  }
  input.address.clear();
  input.config_file = directory / "missing.ini";
  CHECK(found(input).find("refused: --config: ") == 0);
  input.config_file = write_file(directory, "wrong.ini", "[http]\nadr = :81\n");
  CHECK(found(input).find("refused: " + input.config_file + ":2") == 0);
}

TEST_CASE("config: the token of an INI file belongs to the daemon of the same file") {
  const temp_dir directory;
  const auto ini = write_file(
      directory, "x.ini", "[http]\naddr = :81\n[client]\naddress = runner.example:82\ntoken = abc.DEF-1\n");
  const auto token_of = [](const client_input& input) {
    const auto address = find_daemon_address(input);
    return address ? address->token : "refused: " + address.failure().message;
  };
  client_input input;
  input.config_file = ini;
  CHECK(found(input) == "runner.example:82 by " + ini + ":4 [client] address");
  CHECK(token_of(input) == "abc.DEF-1");
  input.environment["TASK_RUNNER_TOKEN"] = "other";
  CHECK(token_of(input) == "other");
  input.environment.clear();
  input.address = "elsewhere.example:83";
  CHECK(token_of(input).empty());
  input.address.clear();
  input.config_file = write_file(directory, "y.ini", "[client]\ntoken = abc\n");
  CHECK(found(input) == "127.0.0.1:60001 by the default");
  CHECK(token_of(input) == "abc");
  input.config_file = write_file(directory, "z.ini", "[client]\ntoken = a b\n");
  CHECK(token_of(input).find("refused: " + input.config_file + ":2 [client] token: ") == 0);
  CHECK(token_of(input).find("a b") == std::string::npos);
}

TEST_CASE("config: a token of the environment is checked as one of an INI file is") {
  const temp_dir directory;
  client_input input;
  input.config_file = write_file(directory, "x.ini", "[client]\ntoken = of-the-file\n");
  for (const auto& wrong : {std::string("a b"), std::string("a\r\nX-Other: b"), std::string("\x7f"),
                            std::string("sch\xc3\xb6n"), std::string(5'000, 'a')}) {
    input.environment["TASK_RUNNER_TOKEN"] = wrong;
    const auto address = find_daemon_address(input);
    REQUIRE_FALSE(address);
    CHECK(address.failure().code == error_code::invalid_argument);
    CHECK(address.failure().message.find("environment TASK_RUNNER_TOKEN: ") == 0);
    CHECK(address.failure().message.find(wrong) == std::string::npos);
  }
  input.environment["TASK_RUNNER_TOKEN"] = "!~";
  CHECK(find_daemon_address(input)->token == "!~");
  input.environment["TASK_RUNNER_TOKEN"] = "";
  CHECK(find_daemon_address(input)->token == "of-the-file");
}

TEST_CASE("config: a client's token is not shown, and an address of port 0 is refused") {
  const temp_dir directory;
  const auto loaded = load_ini("[client]\ntoken = geheim\n");
  REQUIRE(loaded);
  CHECK(loaded->values.client_token == "geheim");
  CHECK(describe_settings(loaded->values).find("geheim") == std::string::npos);
  CHECK(refusal_of(load_ini("[client]\naddress = :0\n")).find("x.ini:2 [client] address") !=
        std::string::npos);
}
