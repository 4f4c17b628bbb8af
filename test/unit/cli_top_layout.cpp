// The full-screen view as rows of text: what stands where, on wide and narrow screens, in ASCII and not.
#include "services/cli/top_layout.hpp"
#include "test/unit/cli_top_support.hpp"

#include <catch2/catch.hpp>

using namespace task_runner::cli;
using namespace task_runner::test;

TEST_CASE("top: cells take characters by their width, and cut at the edge") {
  cell_grid grid(2, 6, true);
  CHECK(grid.put(0, 0, "a中b") == 4);
  CHECK(grid.row_text(0) == "a中b");
  CHECK(grid.at(0, 2).text.empty());
  CHECK(grid.put(1, 0, "12345中") == 5); // there is one column left
  CHECK(grid.row_text(1) == "12345");
  CHECK(grid.put(0, 5, "e\xcc\x81x") == 6);
  CHECK(grid.at(0, 5).text == "e\xcc\x81");
  CHECK(grid.put(7, 0, "outside") == 0);
  grid.put_right(1, 0, "ab", bold_look(), 6);
  CHECK(grid.row_text(1) == "1234ab");
  CHECK(grid.at(1, 5).style == bold_look());
  grid.blank({0, 0, 2, 6});
  CHECK(grid.text() == "\n\n");
  // Marks without end do not pile up.
  std::string marks = "a";
  for (int i = 0; i < 100; ++i)
    marks += "\xcc\x81";
  grid.put(0, 0, marks);
  CHECK(grid.at(0, 0).text.size() < 32);
}

TEST_CASE("top: where only ASCII can be shown nothing else is drawn") {
  cell_grid grid(1, 10, false);
  grid.put(0, 0,
           "a中é\xcc\x81"
           "b");
  CHECK(grid.row_text(0) == "a??b");
  auto state = shown_state(80, 24, false);
  state.take(channels_news({channel("mail", 1, 2, 3)}), at(1));
  state.take(tasks_news(state, {task("t1", "running", "中文")}), at(1));
  for (const char one : draw_top(state, at(1)).text())
    CHECK(static_cast<unsigned char>(one) < 0x80);
}

TEST_CASE("top: head, panes and the line at the bottom") {
  auto state = shown_state(80, 24);
  auto mail = channel("mail", 2, 1'234, 4);
  mail.dead = 9; // since the start, some of which are gone
  mail.dead_letters = 7;
  auto news = channels_news({channel("biz", 0, 0, 5), mail});
  news.daemon.emplace();
  news.daemon->version = "1.2.3";
  news.daemon->state = "running";
  news.daemon->uptime_s = 250;
  news.fares.push_back({"mail", 65.0, 7'500.0});
  state.take(std::move(news), at(1));
  state.take(tasks_news(state, {task("job-1", "running", "sleep 9", "mail"),
                                task("job-2", "pending", "date", "mail")}),
             at(1));
  const auto screen = draw_top(state, at(1));
  CHECK(screen.rows() == 24);
  CHECK(screen.row_text(0) == " task-runner 1.2.3 at host:1  up 4m10s");
  CHECK(screen.row_text(1).find("running 2/9  waiting 1,234  delayed 0") == 1);
  CHECK(screen.row_text(1).find("dead 7") != std::string::npos);
  CHECK(screen.row_text(2).empty());
  CHECK(screen.row_text(3).find("─ Channels: 2, by name ──") == 0);
  CHECK(row_with(screen, "CHANNEL ").find("STATE") != std::string::npos);
  const auto row = row_with(screen, "mail  ");
  for (const auto* part : {"open", "2/4", "1,234", "7", "1m05s", "2h05m"})
    CHECK(row.find(part) != std::string::npos);
  CHECK(row_with(screen, "─ Tasks of all channels, unfinished: 1-2 of 2, by turn").size() > 1);
  CHECK(row_with(screen, "job-1 ").find("running") != std::string::npos);
  CHECK(row_with(screen, "job-1 ").find("mail") != std::string::npos);
  CHECK(row_with(screen, "job-2 ").find("pending") != std::string::npos);
  CHECK(row_with(screen, "─ Output of job-1, running  sleep 9").size() > 1);
  CHECK(row_with(screen, "(nothing printed yet)").size() > 1);
  CHECK(screen.row_text(23).find("? help  q quit") == 0);
  // Every row is as wide as the screen at most.
  for (size_t i = 0; i < screen.rows(); ++i)
    CHECK(width_of(screen.row_text(i)) <= 80);
}

TEST_CASE("top: any size can be drawn, and small ones say what it takes") {
  auto state = shown_state(80, 24);
  std::vector<top_channel> many;
  for (int i = 0; i < 300; ++i)
    many.push_back(channel("c" + std::to_string(i), 1, 99'999'999, 1'024));
  state.take(channels_news(std::move(many)), at(1));
  state.take(tasks_news(state, {task(std::string(128, 'i'), "pending", std::string(500, 'n'))}), at(1));
  state.press(typed("?"), at(1));
  for (size_t rows = 1; rows < 60; rows += 3)
    for (size_t columns = 1; columns < 220; columns += 7) {
      state.resize(rows, columns);
      const auto screen = draw_top(state, at(1));
      CHECK(screen.rows() == rows);
      const bool fits = rows >= top_rows_min && columns >= top_columns_min;
      CHECK((screen.row_text(0).find("task-runner") == 1) == fits);
    }
  state.resize(10, 40);
  CHECK(draw_top(state, at(1)).text().find("too small\nit has 40x10, it takes 61x16\nq quits\n") == 0);
}

TEST_CASE("top: narrow screens leave out what matters least") {
  auto state = shown_state(200, 24);
  state.take(channels_news({channel("mail", 1, 2, 3)}), at(1));
  const auto heads = [&](size_t columns) {
    state.resize(24, columns);
    return row_with(draw_top(state, at(1)), "CHANNEL ");
  };
  for (const auto* part : {"STATE", "RUN", "WAIT", "DELAYED", "DEAD", "END/S", "OLDEST", "ETA"})
    CHECK(heads(120).find(part) != std::string::npos);
  CHECK(heads(80).find("DELAYED") == std::string::npos);
  CHECK(heads(80).find("ETA") != std::string::npos);
  CHECK(heads(61).find("ETA") == std::string::npos);
  for (const auto* part : {"STATE", "RUN", "WAIT", "DEAD"})
    CHECK(heads(61).find(part) != std::string::npos);
}

TEST_CASE("top: a task that has not started is told from one that prints nothing") {
  auto state = shown_state(80, 24);
  state.take(channels_news({channel("mail", 1, 1, 3)}), at(1));
  auto waiting = task("t1", "pending", "x");
  state.take(tasks_news(state, {waiting}), at(1));
  CHECK(row_with(draw_top(state, at(1)), "(it has not started)").size() > 1);
  waiting.attempt = 1; // it is to be tried again
  state.take(tasks_news(state, {waiting}), at(1));
  CHECK(row_with(draw_top(state, at(1)), "(nothing printed yet)").size() > 1);
}

TEST_CASE("top: generated ids are shortened where there is little room") {
  const std::string id = "01a20a17-9b2f-74ff-8ebd-52de42ad33c6";
  auto state = shown_state(119, 24);
  state.take(channels_news({channel("mail", 1, 0, 3)}), at(1));
  state.take(tasks_news(state, {task(id, "running", "x")}), at(1));
  CHECK(draw_top(state, at(1)).text().find("\n42ad33c6 ") != std::string::npos);
  CHECK(draw_top(state, at(1)).text().find(id) == std::string::npos);
  state.resize(24, 120);
  CHECK(draw_top(state, at(1)).text().find("\n" + id + " running") != std::string::npos);
}
