// The full-screen view without a terminal: news, keys, and the orders and wishes that come of them.
#include "services/cli/top_layout.hpp"
#include "test/unit/cli_top_support.hpp"

#include <catch2/catch.hpp>

using namespace task_runner;
using namespace task_runner::cli;
using namespace task_runner::test;

namespace {

/// With three channels and the second one, mail, selected.
top_state with_mail(size_t columns = 100) {
  auto state = shown_state(columns, 30);
  state.take(channels_news({channel("biz", 0, 0, 5), channel("mail", 2, 10, 4), channel("news", 0, 0, 5)}),
             at(1));
  type(state, "jj");
  REQUIRE(state.channel() == "mail");
  state.take(tasks_news(state, {task("t1", "running", "one"), task("t2", "pending", "two"),
                                task("t3", "dead", "three")}),
             at(1));
  return state;
}

} // namespace

TEST_CASE("top: answers of the daemon become plain values") {
  const auto read = [](const std::string& text) {
    auto value = parse_json(text);
    REQUIRE(value);
    return *value;
  };
  const auto mail = read_top_channel(read(
      R"({"name":"mail","state":"paused","worker":4,"counts":{"pending":3,"running":1,"delayed":2,"finished":9,
               "dead":1,"cancelled":5,"dead_letters":8},"error":null})"));
  CHECK(mail.name == "mail");
  CHECK(mail.state == "paused");
  CHECK(mail.workers == 4);
  CHECK(mail.pending == 3);
  CHECK(mail.running == 1);
  CHECK(mail.delayed == 2);
  CHECK(mail.finished + mail.dead + mail.cancelled == 15);
  CHECK(mail.dead_letters == 8);
  // An older daemon knows only those since its start.
  CHECK(read_top_channel(*parse_json(R"({"name":"mail","counts":{"dead":3}})")).dead_letters == 3);
  CHECK(mail.failure.empty());
  const auto listed = read_top_task(read(
      R"({"id":"t","channel":"mail","task_name":"n\u001b[31m","command":{"name":"sleep","args":["1"]},"state":"dead",
               "attempt":2,"outcome":{"kind":"exited","code":3},"created_at":"2026-01-31T12:00:00.000Z","duration_s":1.5})"));
  CHECK(listed.name == "n?[31m: sleep 1");
  CHECK(listed.outcome == "exit code 3");
  CHECK(listed.created_ms == 1'769'860'800'000);
  CHECK(listed.duration_s == 1.5);
  // /status names the id differently, and says the time of a push by no member; a generated id holds it.
  const auto brief = read_top_task(read(
      R"({"task_id":"019c1466-7c00-7000-8000-000000000000","task_name":"date","state":"pending","channel":"mail"})"));
  CHECK(brief.id == "019c1466-7c00-7000-8000-000000000000");
  CHECK(brief.created_ms == 0x019c14667c00);
  CHECK_FALSE(read_top_task(read(R"({"id":"my own","state":"pending"})")).created_ms);
  const auto daemon = read_top_daemon(read(
      R"({"version":"1","state":"draining","uptime_s":2.5,"started_at":"2026-01-31T12:00:00.000Z","now":"2026-01-31T13:00:02.500Z","not_ready":["store"]})"));
  CHECK(daemon.state == "draining");
  CHECK(daemon.clock_ms == 1'769'864'402'500);
  CHECK(daemon.not_ready == std::vector<std::string>{"store"});
  CHECK(daemon.runs_tasks);
  CHECK(read_top_channel(read("{}")).name.empty());
  CHECK(read_top_daemon(read("null")).version.empty());
  CHECK_FALSE(read_top_daemon(read(R"({"started_at":"2026-01-31T12:00:00.000Z","uptime_s":2.5})")).clock_ms);
}

TEST_CASE("top: rates come of differences, and of nothing else") {
  auto state = shown_state(100, 30);
  auto mail = channel("mail", 1, 100, 4);
  state.take(channels_news({mail}, 10), at(10));
  CHECK_FALSE(state.channel_row(1).ended_rate);
  mail.pending = 90;
  mail.finished = 15;
  mail.dead = 5;
  state.take(channels_news({mail}, 12), at(12));
  CHECK(*state.channel_row(1).ended_rate == Approx(10));
  CHECK(*state.channel_row(1).dead_rate == Approx(2.5));
  CHECK(*state.channel_row(1).pushed_rate == Approx(5));
  CHECK(*state.channel_row(1).eta_s == Approx(9));
  CHECK(*state.totals().ended_rate == Approx(10));
  // Nothing happens: it goes down, not at once.
  state.take(channels_news({mail}, 13), at(13));
  CHECK(*state.channel_row(1).ended_rate < 9);
  CHECK(*state.channel_row(1).ended_rate > 7);
  // Counts that begin anew, as after a restart, are no rate.
  const auto before = *state.channel_row(1).ended_rate;
  mail.finished = mail.dead = 0;
  state.take(channels_news({mail}, 14), at(14));
  CHECK(*state.channel_row(1).ended_rate == before);
  // What the daemon itself says of waits and ends comes first.
  auto news = channels_news({mail}, 15);
  news.fares.push_back({"mail", 42.0, 77.0});
  state.take(std::move(news), at(15));
  CHECK(*state.channel_row(1).oldest_wait_s == 42);
  CHECK(*state.channel_row(1).eta_s == 77);
  CHECK(*state.totals().oldest_wait_s == 42);
  CHECK(*state.totals().eta_s == 77);
}

TEST_CASE("top: while a channel gets nowhere nobody knows when all is done") {
  auto state = shown_state(100, 30);
  auto news = channels_news({channel("a", 1, 5, 1), channel("b", 1, 5, 1)}, 1);
  news.fares = {{"a", 1.0, 10.0}, {"b", 1.0, std::nullopt}};
  state.take(std::move(news), at(1));
  CHECK_FALSE(state.totals().eta_s);
}

TEST_CASE("top: keys move, and the selected channel decides which tasks are listed") {
  auto state = shown_state(100, 30);
  state.take(channels_news({channel("biz", 0, 0, 5), channel("mail", 2, 10, 4)}), at(1));
  CHECK(state.channel().empty());
  state.press(key(top_key::kind::down), at(1));
  CHECK(state.wish().channel == "biz");
  state.press(key(top_key::kind::end), at(1));
  CHECK(state.wish().channel == "mail");
  CHECK_FALSE(state.tasks_are_there());
  state.take(tasks_news(state, {task("t1", "running", "one"), task("t2", "pending", "two")}), at(1));
  CHECK(state.wish().task == "t1");
  state.press(key(top_key::kind::enter), at(1));
  CHECK(state.focus() == top_pane::tasks);
  type(state, "j");
  CHECK(state.wish().task == "t2");
  state.press(key(top_key::kind::tab), at(1));
  CHECK(state.focus() == top_pane::output);
  state.press(key(top_key::kind::back_tab), at(1));
  CHECK(state.focus() == top_pane::tasks);
  // A list that was asked for before the selection changed is dropped.
  auto old = tasks_news(state, {task("x", "running", "old")});
  old.tasks->wish.channel = "biz";
  state.take(std::move(old), at(1));
  CHECK(state.task_rows() == 2);
  // The selection stays with the channel, wherever it is listed.
  state.press(key(top_key::kind::escape), at(1));
  state.take(channels_news({channel("aaa", 0, 0, 1), channel("biz", 0, 0, 5), channel("mail", 2, 10, 4)}),
             at(2));
  CHECK(state.channel() == "mail");
  CHECK(state.channel_place().selected == 3);
  state.take(channels_news({channel("aaa", 0, 0, 1)}), at(3));
  CHECK(state.channel().empty());
}

TEST_CASE("top: a task that was chosen stays selected, its end too") {
  auto state = with_mail();
  state.press(key(top_key::kind::enter), at(1));
  type(state, "jk");
  REQUIRE(state.wish().task == "t1");
  state.take(output_news(state, "t1", "hello\n"), at(1));
  state.take(tasks_news(state, {task("t0", "running", "zero"), task("t2", "pending", "two")}), at(2));
  CHECK(state.task()->id == "t1");
  top_news news;
  news.output.emplace_back();
  news.output[0].task = "t1";
  news.output[0].turn = state.wish().output_turn;
  news.output[0].what = feed_news::kind::ended;
  news.output[0].state = "dead";
  news.output[0].outcome = "exit code 3";
  state.take(std::move(news), at(2));
  CHECK(state.task()->state == "dead");
  const auto screen = draw_top(state, at(2));
  CHECK(row_with(screen, "─ Output of t1, dead (exit code 3)").size() > 1);
  CHECK(row_with(screen, "hello") == "hello");
  // Moved off, it is gone with the next list.
  type(state, "j");
  state.take(tasks_news(state, {task("t0", "running", "zero"), task("t2", "pending", "two")}), at(3));
  CHECK(state.task_rows() == 2);
}

TEST_CASE("top: output is followed until somebody scrolls, and again at its end") {
  auto state = with_mail();
  std::string lines;
  for (int i = 0; i < 100; ++i)
    lines += "line " + std::to_string(i) + "\n";
  state.take(output_news(state, "t1", lines), at(1));
  type(state, "o");
  CHECK(state.output_is_full());
  CHECK(draw_top(state, at(1)).text().find("line 99\n") != std::string::npos);
  state.press(key(top_key::kind::page_up), at(1));
  CHECK_FALSE(state.output_follows());
  const auto first = state.output_first();
  state.take(output_news(state, "t1", "more\n"), at(1));
  CHECK(state.output_first() == first);
  type(state, "G");
  CHECK(state.output_follows());
  state.take(output_news(state, "t1", "last\n"), at(1));
  CHECK(draw_top(state, at(1)).text().find("last\n") != std::string::npos);
  type(state, "f");
  CHECK_FALSE(state.output_follows());
  // Output of another task is none of this one, and neither is what was told before the selection came back.
  auto old = output_news(state, "t1", "old\n");
  old.output[0].turn -= 1;
  state.take(std::move(old), at(1));
  CHECK(draw_top(state, at(1)).text().find("old") == std::string::npos);
  state.take(output_news(state, "t2", "other\n"), at(1));
  CHECK(draw_top(state, at(1)).text().find("other") == std::string::npos);
  state.press(key(top_key::kind::escape), at(1));
  CHECK_FALSE(state.output_is_full());
}

TEST_CASE("top: output that cannot be gone on with is shown anew, and gaps are marked") {
  auto state = with_mail();
  const auto shown = [&] { return draw_top(state, at(1)).text(); };
  const auto tell = [&](feed_news::kind what, const std::string& bytes, uint64_t skipped) {
    auto news = output_news(state, "t1", bytes);
    news.output[0].what = what;
    news.output[0].skipped = skipped;
    state.take(std::move(news), at(1));
  };
  // A beginning that is left out, and a gap right behind it, are one thing.
  tell(feed_news::kind::nothing, "", 10);
  tell(feed_news::kind::output_after_gap, "", 10);
  tell(feed_news::kind::output, "old words\n", 10);
  CHECK(shown().find("[earlier output is left out here]\nold words\n") != std::string::npos);
  CHECK(shown().find("too fast") == std::string::npos);
  tell(feed_news::kind::output_after_gap, "", 10);
  tell(feed_news::kind::output, "more\n", 10);
  CHECK(shown().find("[some output came too fast to be kept, and is left out here]\nmore\n") !=
        std::string::npos);
  tell(feed_news::kind::from_beginning, "", 0);
  tell(feed_news::kind::output, "new words\n", 0);
  CHECK(shown().find("new words\n") != std::string::npos);
  CHECK(shown().find("old words") == std::string::npos);
  CHECK(shown().find("earlier") == std::string::npos);
}

TEST_CASE("top: what ends or starts commands asks first") {
  auto state = with_mail();
  CHECK(type(state, "c").verb == top_verb::none);
  REQUIRE(state.prompt());
  CHECK(draw_top(state, at(1)).row_text(29).find("Cancel t1 (one)? y/n") == 0);
  CHECK(type(state, "n").verb == top_verb::none);
  CHECK_FALSE(state.prompt());
  CHECK(type(state, "c\x1b").verb == top_verb::none);
  CHECK_FALSE(state.prompt());
  auto order = type(state, "cy");
  CHECK(order.verb == top_verb::cancel);
  CHECK(order.about == "t1");
  type(state, "K");
  order = state.press(key(top_key::kind::enter), at(1));
  CHECK(order.verb == top_verb::kill);
  CHECK(order.value == "TERM");
  type(state, "Khux");
  state.press(key(top_key::kind::erase), at(1));
  type(state, "p");
  order = state.press(key(top_key::kind::enter), at(1));
  CHECK(order.value == "HUP");
  type(state, "K");
  CHECK(state.press(key(top_key::kind::escape), at(1)).verb == top_verb::none);
  // What makes no sense is said, not sent.
  CHECK(type(state, "r").verb == top_verb::none);
  CHECK_FALSE(state.prompt());
  CHECK(state.message(at(1))->text.find("only dead and cancelled") == 0);
  state.press(key(top_key::kind::enter), at(1));
  type(state, "jj");
  CHECK(type(state, "c").verb == top_verb::none);
  CHECK(state.message(at(1))->text == "t3 has ended");
  CHECK(type(state, "K").verb == top_verb::none);
  order = type(state, "ry");
  CHECK(order.verb == top_verb::retry);
  CHECK(order.about == "t3");
  CHECK(type(state, "w").verb == top_verb::why);
  CHECK(state.press(key(top_key::kind::enter), at(1)).verb == top_verb::details);
  CHECK(type(state, "q").verb == top_verb::quit);
}

TEST_CASE("top: channels are paused, resumed, and given workers") {
  auto state = with_mail();
  auto order = type(state, "p");
  CHECK(order.verb == top_verb::pause);
  CHECK(order.about == "mail");
  auto mail = channel("mail", 2, 10, 4);
  mail.state = "draining";
  state.take(channels_news({mail}), at(2));
  CHECK(type(state, "p").verb == top_verb::resume);
  // Each press counts from the last one, whatever an older look says.
  CHECK(type(state, "+", 2).value == "5");
  order = type(state, "+", 2);
  CHECK(order.verb == top_verb::set_workers);
  CHECK(order.value == "6");
  state.take(channels_news({mail}, 2), at(3));
  CHECK(state.channel_row(1).workers == 6);
  state.take(answer_news({top_verb::set_workers, "mail", "5"}, true, ""), at(4));
  state.take(channels_news({mail}, 4.5), at(5));
  CHECK(state.channel_row(1).workers == 6); // one order is on its way yet
  state.take(answer_news({top_verb::set_workers, "mail", "6"}, false, "refused"), at(5));
  CHECK(state.message(at(5))->is_bad);
  state.take(channels_news({mail}, 6), at(6));
  CHECK(state.channel_row(1).workers == 4);
  mail.workers = 0;
  state.take(channels_news({mail}, 7), at(7));
  CHECK(type(state, "-").verb == top_verb::none);
  state.press(key(top_key::kind::home), at(7));
  CHECK(type(state, "p", 7).verb == top_verb::none);
  CHECK(state.message(at(7))->text.find("choose a channel") == 0);
  CHECK(state.message(at(12)) == nullptr);
  // What it asks for is done.
  type(state, "p", 20);
  REQUIRE(state.message(at(20)));
  state.press(key(top_key::kind::down), at(20));
  CHECK(state.message(at(20)) == nullptr);
}

TEST_CASE("top: lists are filtered and sorted") {
  auto state = with_mail();
  type(state, "/AI");
  CHECK(draw_top(state, at(1)).row_text(29).find("Channels with: AI") == 0);
  state.press(key(top_key::kind::enter), at(1));
  CHECK(state.channels_shown() == 1);
  CHECK(state.channel() == "mail");
  CHECK(row_with(draw_top(state, at(1)), "─ Channels: 1 of 3, by name, /AI").size() > 1);
  state.press(key(top_key::kind::escape), at(1));
  CHECK(state.channels_shown() == 3);
  type(state, "s");
  CHECK(state.channels_by() == channel_order::pending);
  CHECK(state.channel_row(1).name == "mail");
  type(state, "sssss");
  CHECK(state.channels_by() == channel_order::name);
  state.press(key(top_key::kind::enter), at(1));
  type(state, "ss");
  CHECK(state.tasks_by() == task_order::name);
  CHECK(state.task_row(1).name == "three");
  // Tasks are filtered by the daemon, as not all of them are here.
  type(state, "/tw\xc3\xb6");
  state.press(key(top_key::kind::erase), at(1));
  state.press(key(top_key::kind::enter), at(1));
  CHECK(state.wish().name == "tw");
  CHECK(state.task_rows() == 0);
  type(state, "v");
  CHECK(state.wish().view == top_view::dead);
  type(state, "vv");
  CHECK(state.wish().view == top_view::unfinished);
}

TEST_CASE("top: more of a long list is asked for near its end") {
  auto state = with_mail();
  std::vector<top_task> many;
  for (size_t i = 0; i < top_tasks_first; ++i)
    many.push_back(task("t" + std::to_string(i), "pending", "x"));
  auto news = tasks_news(state, many);
  news.tasks->is_cut = true;
  state.take(std::move(news), at(1));
  CHECK(state.wish().limit == top_tasks_first);
  state.press(key(top_key::kind::enter), at(1));
  type(state, "G");
  CHECK(state.wish().limit == top_tasks_max);
  CHECK(state.task()->id == "t199");
  CHECK(draw_top(state, at(1)).text().find("of 200 and more") != std::string::npos);
}

TEST_CASE("top: popups lie over the panes, and go away") {
  auto state = with_mail();
  CHECK(type(state, "?").verb == top_verb::none);
  REQUIRE(state.popup());
  CHECK(draw_top(state, at(1)).text().find("pause or resume the channel") != std::string::npos);
  CHECK(type(state, "q").verb == top_verb::none);
  CHECK_FALSE(state.popup());
  std::string text;
  for (int i = 0; i < 80; ++i)
    text += "\033[31mreason " + std::to_string(i) + "\033[0m\n";
  state.take(answer_news({top_verb::why, "t1", {}}, true, text), at(1));
  REQUIRE(state.popup());
  const auto shown = draw_top(state, at(1)).text();
  CHECK(shown.find("Why t1") != std::string::npos);
  CHECK(shown.find("reason 0") != std::string::npos);
  for (int i = 0; i < 10; ++i)
    state.press(key(top_key::kind::page_down), at(1));
  CHECK(draw_top(state, at(1)).text().find("reason 79") != std::string::npos);
  type(state, "k");
  CHECK(draw_top(state, at(1)).text().find("reason 79") == std::string::npos);
  state.press(key(top_key::kind::escape), at(1));
  CHECK_FALSE(state.popup());
  // What is wider than the popup goes on below, also when the popup becomes narrower.
  state.take(answer_news({top_verb::why, "t1", {}}, true,
                         "  blocked by    " + std::string(60, 'a') + " " + std::string(60, 'b') + " end\n"),
             at(1));
  for (const size_t columns : {100U, 70U}) {
    state.resize(30, columns);
    const auto broken = draw_top(state, at(1)).text();
    CAPTURE(columns, broken);
    CHECK(broken.find("  blocked by    aaaa") != std::string::npos);
    CHECK(broken.find("                bbbb") != std::string::npos);
    CHECK(broken.find("b end") != std::string::npos);
  }
  state.press(key(top_key::kind::escape), at(1));
  // A refusal is no popup.
  state.take(answer_news({top_verb::why, "t1", {}}, false, "no such task"), at(1));
  CHECK_FALSE(state.popup());
  CHECK(state.message(at(1))->is_bad);
}

TEST_CASE("top: the worst that is in the way is told") {
  auto state = shown_state(100, 30);
  const auto told = [&](double seconds) {
    const auto trouble = state.trouble(at(seconds));
    return trouble ? trouble->text : std::string();
  };
  auto mail = channel("mail", 0, 10, 4);
  auto biz = channel("biz", 1, 0, 4);
  state.take(channels_news({biz, mail}, 1), at(1));
  CHECK(told(1).empty());
  // Tasks wait, none runs and none ends.
  state.take(channels_news({biz, mail}, 40), at(40));
  CHECK(told(40).find("channel mail is stalled for 39s, 10 tasks wait") == 0);
  mail.finished = 1;
  state.take(channels_news({biz, mail}, 41), at(41));
  CHECK(told(41).empty());
  mail.state = "paused";
  mail.pending = 1;
  state.take(channels_news({biz, mail}, 42), at(42));
  CHECK(told(42) == "channel mail is paused, 1 task waits");
  biz.state = "failed";
  biz.failure = "why";
  state.take(channels_news({biz, mail}, 43), at(43));
  CHECK(told(43) == "channel biz has failed: why (and 1 more)");
  CHECK(state.trouble(at(43))->is_grave);
  top_news news;
  news.daemon.emplace();
  news.daemon->state = "draining";
  state.take(std::move(news), at(44));
  CHECK(told(44) == "the daemon is draining");
  state.wait_for_answer(4);
  CHECK(told(44).find("no answer from the daemon for 4.0s") == 0);
  top_news away;
  away.failure = "nobody answers";
  away.is_unreached = true;
  state.take(std::move(away), at(45));
  CHECK(told(75) == "DISCONNECTED for 30s, trying again: nobody answers");
  // Any answer ends that: channels are asked for less often than tasks.
  auto answered = state;
  answered.take(tasks_news(answered, {}), at(75));
  CHECK(answered.trouble(at(75))->text.find("DISCONNECTED") == std::string::npos);
  CHECK(row_with(draw_top(state, at(75)), " DISCONNECTED").size() > 1);
  state.wait_for_answer(0);
  state.take(channels_news({biz, mail}, 76), at(76));
  CHECK(told(76) == "the daemon is draining");
}
