// Renders events and hands the finished lines to spdlog's sinks.
#include "services/observability/log.hpp"

#include "services/domain/code_points.hpp"
#include "services/domain/names.hpp"
#include "services/domain/time_text.hpp"

#include <spdlog/logger.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <memory>
#include <mutex>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>

namespace task_runner {

namespace {

/// spdlog 1.10 cannot re-open a file in place; this sink swaps its descriptor under spdlog's own lock.
class reopenable_file_sink final : public spdlog::sinks::base_sink<std::mutex> {
public:
  explicit reopenable_file_sink(std::string path)
      : path_(std::move(path)) {
    create();
    helper_.open(path_);
  }

  void reopen() {
    std::lock_guard<std::mutex> guard(mutex_);
    create();
    helper_.reopen(false);
  }

protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    helper_.write(line);
    helper_.flush();
  }
  void flush_() override { helper_.flush(); }

private:
  /// spdlog would make missing directories, and a file that everybody can read.
  void create() const {
    const int file =
        ::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0600);
    if (file < 0)
      throw std::system_error(errno, std::generic_category());
    ::close(file);
  }

  std::string path_;
  spdlog::details::file_helper helper_;
};

struct log_state {
  std::shared_ptr<spdlog::logger> logger;
  std::shared_ptr<reopenable_file_sink> file;
  log_format format = log_format::text;
  bool colour = false;
  /// Lines go to systemd's journal, which has the time of each and asks for its priority in front.
  bool journal = false;
};

/// Whether stderr is the stream that systemd has connected to its journal: JOURNAL_STREAM names its device
/// and inode (systemd.exec(5)), so that a variable that was inherited past a redirection means nothing.
bool is_journal_stream() {
  const char* given = std::getenv("JOURNAL_STREAM");
  struct stat there {};
  return given != nullptr && ::fstat(STDERR_FILENO, &there) == 0 &&
         std::to_string(there.st_dev) + ":" + std::to_string(there.st_ino) == given;
}

std::shared_ptr<spdlog::logger> make_logger(spdlog::sink_ptr sink) {
  auto logger = std::make_shared<spdlog::logger>("task-runner", std::move(sink));
  logger->set_pattern("%v");
  logger->set_level(spdlog::level::trace);
  return logger;
}

std::atomic<uint8_t> threshold{static_cast<uint8_t>(log_level::info)};
std::mutex state_mutex;

log_state& state() {
  static log_state instance{make_logger(std::make_shared<spdlog::sinks::stderr_sink_mt>()), nullptr,
                            log_format::text, false, false};
  return instance;
}

constexpr std::string_view names[] = {"debug", "info", "warning", "error", "off"};
/// By sd-daemon(3): debug, informational, warning, error.
constexpr std::string_view journal_priorities[] = {"<7>", "<6>", "<4>", "<3>", ""};
constexpr std::string_view colours[] = {"\x1b[2m", "\x1b[32m", "\x1b[33m", "\x1b[31m", ""};

/// Appends `text` as the inside of a JSON string; bytes that are not UTF-8 become U+FFFD, so that a line is
/// always one valid JSON document.
void append_json(std::string& out, std::string_view text) {
  const bool valid = is_valid_utf8(text);
  while (!text.empty()) {
    const auto c = static_cast<unsigned char>(text.front());
    const auto one = valid ? next_point(text) : text_point{c, 1};
    if (c == '"' || c == '\\') {
      out += '\\';
      out += static_cast<char>(c);
    } else if (c >= 0x80 && !valid) {
      out += "\\ufffd";
    } else if (is_control(one.point)) {
      char escaped[12];
      std::snprintf(escaped, sizeof escaped, "\\u%04x", static_cast<unsigned>(one.point));
      out += escaped;
    } else {
      out += text.substr(0, one.length);
    }
    text.remove_prefix(one.length);
  }
}

/// Appends a value for people: quoted when it has anything but printable words, control bytes escaped, so
/// that nobody's output can forge a log line or drive a terminal.
void append_text(std::string& out, std::string_view text) {
  bool quote = text.empty();
  for (unsigned char c : text)
    quote = quote || c <= 0x20 || c == '"' || c == '=' || c == '\\' || c == 0x7f;
  if (!quote && is_valid_utf8(text) && !has_control(text)) {
    out += text;
    return;
  }
  out += '"';
  append_json(out, text);
  out += '"';
}

std::string render(const log_state& current, log_level level, std::string_view what,
                   std::initializer_list<log_field> fields) {
  const auto now = format_time(system_now_ms());
  const auto index = static_cast<size_t>(level);
  std::string line;
  if (current.journal)
    line = journal_priorities[index];
  if (current.format == log_format::json) {
    line += "{\"time\":\"" + now + "\",\"level\":\"" + std::string(names[index]) + "\",\"message\":\"";
    append_json(line, what);
    line += '"';
    for (const auto& field : fields) {
      line += ",\"";
      append_json(line, field.name);
      line += "\":";
      if (field.plain) {
        line += field.value;
      } else {
        line += '"';
        append_json(line, field.value);
        line += '"';
      }
    }
    line += '}';
    return line;
  }
  if (!current.journal) {
    line = now;
    line += ' ';
    if (current.colour)
      line += colours[index];
    line += names[index];
    if (current.colour)
      line += "\x1b[0m";
    line += ' ';
  }
  line += what;
  for (const auto& field : fields) {
    line += ' ';
    line += field.name;
    line += '=';
    append_text(line, field.value);
  }
  return line;
}

} // namespace

result<void> configure_log(const log_options& options) {
  log_state next;
  next.format = options.format;
  try {
    if (options.file.empty()) {
      next.logger = make_logger(std::make_shared<spdlog::sinks::stderr_sink_mt>());
      next.colour = options.colour && options.format == log_format::text && isatty(STDERR_FILENO) == 1 &&
                    std::getenv("NO_COLOR") == nullptr;
      next.journal = is_journal_stream();
    } else {
      next.file = std::make_shared<reopenable_file_sink>(options.file);
      next.logger = make_logger(next.file);
    }
  } catch (const std::exception& failure) {
    return error{error_code::invalid_argument, "cannot open the log file " + options.file + ": " +
                                                   failure.what() + "; give a path that can be written"};
  }
  // A log that cannot be written must never take the daemon down with it.
  next.logger->set_error_handler([](const std::string&) {});
  std::lock_guard<std::mutex> guard(state_mutex);
  state() = std::move(next);
  threshold = static_cast<uint8_t>(options.level);
  return {};
}

result<void> reopen_log() {
  std::shared_ptr<reopenable_file_sink> file;
  {
    std::lock_guard<std::mutex> guard(state_mutex);
    file = state().file;
  }
  if (!file)
    return {};
  try {
    file->reopen();
  } catch (const std::exception& failure) {
    return error{error_code::unavailable, std::string("cannot re-open the log file: ") + failure.what()};
  }
  return {};
}

bool log_enabled(log_level level) noexcept {
  return static_cast<uint8_t>(level) >= threshold.load(std::memory_order_relaxed);
}

void log_event(log_level level, std::string_view what, std::initializer_list<log_field> fields) {
  if (!log_enabled(level) || level == log_level::off)
    return;
  try {
    std::string line;
    std::shared_ptr<spdlog::logger> logger;
    {
      std::lock_guard<std::mutex> guard(state_mutex);
      logger = state().logger;
      line = render(state(), level, what, fields);
    }
    logger->log(spdlog::level::info, spdlog::string_view_t(line.data(), line.size()));
  } catch (...) { // out of memory: losing a line is better than losing the daemon
  }
}

void flush_log() {
  std::shared_ptr<spdlog::logger> logger;
  {
    std::lock_guard<std::mutex> guard(state_mutex);
    logger = state().logger;
  }
  logger->flush();
}

} // namespace task_runner
