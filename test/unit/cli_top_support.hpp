// What the tests of the full-screen view give it: channels, tasks, keys and moments.
#pragma once

#include "services/cli/console.hpp"
#include "services/cli/top_state.hpp"

#include <catch2/catch.hpp>

#include <clocale>
#include <string>
#include <utility>
#include <vector>

namespace task_runner::test {

/// Widths of characters are those of the locale.
inline const bool locale_is_set = std::setlocale(LC_CTYPE, "C.UTF-8") != nullptr;

/// So many seconds after the beginning; the wall clock goes along.
inline cli::top_moment at(double seconds) {
  return {seconds, 1'700'000'000'000 + static_cast<int64_t>(seconds * 1'000)};
}

inline cli::top_state shown_state(size_t columns, size_t rows, bool unicode = true) {
  cli::top_state state("host:1", 1, unicode);
  state.resize(rows, columns);
  return state;
}

inline cli::top_channel channel(const std::string& name, int64_t running, int64_t pending, int64_t workers) {
  cli::top_channel made;
  made.name = name;
  made.state = "open";
  made.running = running;
  made.pending = pending;
  made.workers = workers;
  return made;
}

inline cli::top_task task(const std::string& id, const std::string& state, const std::string& name,
                          const std::string& channel = "mail") {
  cli::top_task made;
  made.id = id;
  made.state = state;
  made.name = name;
  made.channel = channel;
  return made;
}

inline cli::top_news channels_news(std::vector<cli::top_channel> channels, double asked_at_s = 1) {
  cli::top_news news;
  news.asked_at_s = asked_at_s;
  news.channels = std::move(channels);
  return news;
}

/// The list that the view wants at present.
inline cli::top_news tasks_news(const cli::top_state& state, std::vector<cli::top_task> tasks) {
  cli::top_news news;
  news.tasks.emplace();
  news.tasks->wish = state.wish();
  news.tasks->items = std::move(tasks);
  return news;
}

inline cli::top_news output_news(const cli::top_state& state, const std::string& task,
                                 const std::string& bytes) {
  cli::top_news news;
  cli::top_output_news one;
  one.task = task;
  one.turn = state.wish().output_turn;
  one.what = cli::feed_news::kind::output;
  one.bytes = bytes;
  one.attempt = 1;
  news.output.push_back(std::move(one));
  return news;
}

inline cli::top_news answer_news(const cli::top_order& order, bool is_ok, const std::string& text) {
  cli::top_news news;
  news.answer = cli::top_answer{order, is_ok, text, {}};
  return news;
}

inline cli::top_key typed(const std::string& text) {
  return {cli::top_key::kind::character, text};
}

inline cli::top_key key(cli::top_key::kind what) {
  return {what, {}};
}

/// Types each byte; gives the last order.
inline cli::top_order type(cli::top_state& state, const std::string& keys, double seconds = 1) {
  cli::top_order last;
  for (const char one : keys)
    last = state.press(typed(std::string(1, one)), at(seconds));
  return last;
}

/// The first row that begins with this; fails the test where there is none.
inline std::string row_with(const cli::cell_grid& screen, const std::string& begin) {
  for (size_t i = 0; i < screen.rows(); ++i)
    if (screen.row_text(i).compare(0, begin.size(), begin) == 0)
      return screen.row_text(i);
  FAIL_CHECK("no row begins with '" << begin << "':\n" << screen.text());
  return {};
}

} // namespace task_runner::test
