// The head, three panes below each other, a line at the bottom; popups lie over the panes.
#include "services/cli/top_layout.hpp"

#include "services/cli/console.hpp"
#include "services/cli/task_view.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

namespace task_runner::cli {

namespace {

/// Two lines about the daemon, one for what is in the way.
constexpr size_t head_rows = 3;
constexpr size_t foot_rows = 1;
/// From this width on ids are shown whole; before, their last characters tell generated ones apart.
constexpr size_t whole_id_columns = 120;
/// A column of names is kept at least this wide, by leaving out others.
constexpr size_t name_columns_min = 14;
constexpr size_t popup_columns_max = 96;

struct column_head {
  std::string_view name;
  size_t width = 0;
  /// The higher, the later it is left out.
  int importance = 0;
};

using texts = std::vector<std::string>;

std::string count_text(int64_t count) {
  return grouped(static_cast<uint64_t>(std::max<int64_t>(count, 0)));
}

std::string rate_text(const std::optional<double>& rate) {
  if (!rate)
    return "-";
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), *rate < 100 ? "%.1f" : "%.0f", *rate);
  return text.data();
}

std::string time_text(const std::optional<double>& seconds) {
  return seconds ? short_duration(*seconds) : "-";
}

hue ink_of_state(std::string_view state) noexcept {
  if (state == "running" || state == "open")
    return hue::green;
  if (state == "dead" || state == "failed")
    return hue::red;
  if (state == "delayed" || state == "cancelled" || state == "paused" || state == "draining" ||
      state == "drained")
    return hue::yellow;
  return hue::none;
}

std::string_view mark_of(const cell_grid& grid) noexcept {
  return grid.sign("…", "~");
}

/// A line across, with a title in it.
void draw_title(cell_grid& grid, const area& where, const std::string& title, bool has_focus) {
  const auto dash = grid.sign("─", "-");
  for (size_t column = 0; column < where.columns; ++column)
    grid.put(where.row, where.column + column, dash, dim_look());
  const auto shown = clipped(title, where.columns - std::min<size_t>(where.columns, 4), mark_of(grid));
  grid.put(where.row, where.column + 1, " " + shown + " ", has_focus ? reversed_look() : bold_look(),
           where.columns - 1);
}

/// Leaves columns out until the one of names, which takes what is left, has room enough.
std::vector<size_t> columns_that_fit(const std::vector<column_head>& heads, size_t room, size_t& name_room) {
  std::vector<size_t> kept;
  for (size_t i = 0; i < heads.size(); ++i)
    kept.push_back(i);
  for (;;) {
    size_t used = 0;
    for (const auto at : kept)
      used += heads[at].width + 1;
    name_room = room - std::min(room, used);
    if (name_room >= name_columns_min || kept.empty())
      return kept;
    kept.erase(std::min_element(kept.begin(), kept.end(), [&](size_t one, size_t other) {
      return heads[one].importance < heads[other].importance;
    }));
  }
}

std::string rows_text(const list_place& place, size_t page, size_t count) {
  if (count == 0)
    return "none";
  return grouped(place.first + 1) + "-" + grouped(std::min(count, place.first + page)) + " of " +
         grouped(count);
}

void draw_head(cell_grid& grid, const top_state& state, const top_moment& now) {
  const auto& all = state.totals();
  const auto& daemon = state.daemon();
  std::string text = "task-runner " + (daemon ? daemon->version : std::string("?")) + " at " +
                     state.address() + "  up " + (daemon ? short_duration(state.uptime_s(now)) : "?");
  grid.paint_row(0, 0, grid.columns(), reversed_look());
  grid.put(0, 1, clipped(text, grid.columns() - 2, mark_of(grid)), reversed_look());
  const auto slots =
      daemon && daemon->running_max > 0 ? std::min(daemon->running_max, all.workers) : all.workers;
  size_t column = 1;
  const auto part = [&](std::string_view label, const std::string& value, const look& style) {
    const auto needed = width_of(label) + 1 + width_of(value);
    if (column + needed >= grid.columns())
      return;
    column = grid.put(1, column, std::string(label) + " ", dim_look());
    column = grid.put(1, column, value, style) + 2;
  };
  part("running", count_text(all.running) + "/" + count_text(slots),
       bold_look(all.running > 0 ? hue::green : hue::none));
  part("waiting", count_text(all.pending), bold_look());
  part("delayed", count_text(all.delayed), plain_look);
  part("pushed/s", rate_text(all.pushed_rate), plain_look);
  part("ended/s", rate_text(all.ended_rate), plain_look);
  part("dead", count_text(all.dead_letters), all.dead_letters > 0 ? bold_look(hue::red) : plain_look);
  part("dead/s", rate_text(all.dead_rate), plain_look);
  if (all.oldest_wait_s)
    part("oldest", short_duration(*all.oldest_wait_s), plain_look);
  if (const auto trouble = state.trouble(now))
    grid.put(2, 1, clipped(trouble->text, grid.columns() - 2, mark_of(grid)),
             trouble->is_grave ? bold_look(hue::red) : bold_look(hue::yellow));
}

/// One row of a table; the name comes first.
void draw_row(cell_grid& grid, size_t row, const std::vector<column_head>& heads,
              const std::vector<size_t>& kept, size_t name_room, const std::string& name, const texts& values,
              const look& style) {
  grid.put(row, 0, clipped(name, name_room, mark_of(grid)), style);
  size_t column = name_room;
  for (const auto at : kept) {
    grid.put_right(row, column + 1, clipped(values[at], heads[at].width, mark_of(grid)), style,
                   heads[at].width);
    column += heads[at].width + 1;
  }
}

look row_look(bool is_selected, bool has_focus, hue ink) {
  auto style = ink_look(ink);
  style.reversed = is_selected && has_focus;
  style.bold = is_selected;
  style.underlined = is_selected && !has_focus;
  return style;
}

void draw_channels(cell_grid& grid, const top_state& state, const area& where) {
  static const std::vector<column_head> heads{{"STATE", 8, 9},   {"RUN", 9, 10}, {"WAIT", 11, 8},
                                              {"DELAYED", 9, 2}, {"DEAD", 7, 6}, {"END/S", 7, 5},
                                              {"OLDEST", 7, 3},  {"ETA", 7, 4}};
  const bool has_focus = state.focus() == top_pane::channels;
  const auto& place = state.channel_place();
  const size_t page = where.rows - std::min(where.rows, list_head_rows);
  auto title =
      "Channels: " + grouped(state.channels_shown()) +
      (state.channels_shown() == state.channel_count() ? "" : " of " + grouped(state.channel_count())) +
      ", by " + std::string(name_of(state.channels_by()));
  if (!state.channel_filter().empty())
    title += ", /" + printable(state.channel_filter());
  draw_title(grid, where, title, has_focus);
  size_t name_room = 0;
  const auto kept = columns_that_fit(heads, where.columns, name_room);
  texts names;
  for (const auto& head : heads)
    names.emplace_back(head.name);
  draw_row(grid, where.row + 1, heads, kept, name_room, "CHANNEL", names, dim_look());
  for (size_t i = 0; i < page && place.first + i < state.channel_rows(); ++i) {
    const size_t at = place.first + i;
    const auto& one = state.channel_row(at);
    const size_t row = where.row + list_head_rows + i;
    const bool is_selected = at == place.selected;
    const auto ink = one.state == "open" ? hue::none : ink_of_state(one.state);
    const auto style = row_look(is_selected, has_focus, ink);
    if (is_selected)
      grid.blank({row, where.column, 1, where.columns}, style);
    draw_row(grid, row, heads, kept, name_room, one.name,
             {one.state, count_text(one.running) + "/" + count_text(one.workers), count_text(one.pending),
              count_text(one.delayed), count_text(one.dead_letters), rate_text(one.ended_rate),
              time_text(one.oldest_wait_s), one.pending > 0 ? time_text(one.eta_s) : "-"},
             style);
  }
}

/// How long it has waited or run, or until it may start.
std::string age_of(const top_task& task, int64_t now_ms) {
  const auto since = [now_ms](int64_t from_ms) {
    return short_duration(static_cast<double>(now_ms - from_ms) / 1'000.0);
  };
  if (task.state == "running")
    return task.started_ms ? since(*task.started_ms) : "-";
  if (task.state == "delayed" && task.due_ms)
    return "in " + short_duration(static_cast<double>(*task.due_ms - now_ms) / 1'000.0);
  if (task.state == "pending")
    return task.created_ms ? since(*task.created_ms) : "-";
  return task.duration_s ? short_duration(*task.duration_s) : "-";
}

std::string shown_id(const std::string& id, bool is_whole) {
  return is_whole ? id : std::string(short_id(id));
}

void draw_tasks(cell_grid& grid, const top_state& state, const area& where, const top_moment& now) {
  const bool has_focus = state.focus() == top_pane::tasks;
  const auto& place = state.task_place();
  const size_t page = where.rows - std::min(where.rows, list_head_rows);
  const bool is_whole = where.columns >= whole_id_columns;
  const size_t id_columns = is_whole ? generated_id_length : 12;
  const bool names_channel = state.channel().empty();
  auto title = "Tasks of " + (names_channel ? std::string("all channels") : state.channel()) + ", " +
               std::string(name_of(state.view())) + ": ";
  if (state.tasks_are_there())
    title += rows_text(place, page, state.task_rows()) + (state.tasks_are_cut() ? " and more" : "");
  else
    title += std::string(mark_of(grid));
  title += ", by " + std::string(name_of(state.tasks_by()));
  if (!state.task_filter().empty())
    title += ", /" + printable(state.task_filter());
  draw_title(grid, where, title, has_focus);
  const size_t channel_columns = names_channel ? std::min<size_t>(16, where.columns / 5) : 0;
  const size_t age_at = id_columns + 1 + 10;
  const size_t channel_at = age_at + 10;
  const size_t name_at = channel_at + (names_channel ? channel_columns + 1 : 0);
  const auto draw = [&](size_t row, const std::string& id, const std::string& state_text,
                        const look& of_state, const std::string& age, const std::string& channel,
                        const std::string& name, const look& style) {
    grid.put(row, 0, clipped(id, id_columns, mark_of(grid)), style);
    grid.put(row, id_columns + 1, clipped(state_text, 9, mark_of(grid)), of_state);
    grid.put_right(row, age_at, age, style, 9);
    if (names_channel)
      grid.put(row, channel_at, clipped(channel, channel_columns, mark_of(grid)), style);
    const size_t room = where.columns - std::min(where.columns, name_at);
    grid.put(row, name_at, clipped(name, room, mark_of(grid)), style);
  };
  draw(where.row + 1, "ID", "STATE", dim_look(), "TIME", "CHANNEL", "NAME", dim_look());
  for (size_t i = 0; i < page && place.first + i < state.task_rows(); ++i) {
    const size_t at = place.first + i;
    const auto& one = state.task_row(at);
    const size_t row = where.row + list_head_rows + i;
    const bool is_selected = at == place.selected;
    const auto style = row_look(is_selected, has_focus, hue::none);
    auto of_state = style;
    of_state.ink = ink_of_state(one.state);
    if (is_selected)
      grid.blank({row, where.column, 1, where.columns}, style);
    const bool tells_outcome = !one.outcome.empty() && one.outcome != one.state && one.state != "finished";
    draw(row, shown_id(one.id, is_whole), one.is_held ? "held" : one.state, of_state,
         age_of(one, state.daemon_ms(now)), one.channel,
         (tells_outcome ? "(" + one.outcome + ") " : std::string()) + one.name, style);
  }
}

bool has_not_started(const top_task& task) noexcept {
  return task.attempt == 0 && !task.started_ms &&
         (task.state == "pending" || task.state == "delayed" || task.state == "cancelled");
}

void draw_output(cell_grid& grid, const top_state& state, const area& where) {
  const auto* task = state.task();
  const auto& how = state.output_how();
  std::string title = "Output";
  if (task == nullptr) {
    title += ": no task";
  } else {
    title += " of " + shown_id(task->id, where.columns >= whole_id_columns);
    if (how.attempt > 1)
      title += ", attempt " + std::to_string(how.attempt);
    const auto& at_end = how.state.empty() ? task->state : how.state;
    title += ", " + at_end;
    if (!how.outcome.empty() && !how.state.empty() && how.outcome != how.state)
      title += " (" + how.outcome + ")";
    title += state.output_follows() ? "" : ", not followed";
    if (!how.failure.empty())
      title += ": " + how.failure;
    if (where.columns > title.size() + 8)
      title += "  " + clipped(task->name, where.columns - title.size() - 6, mark_of(grid));
  }
  draw_title(grid, where, title, state.focus() == top_pane::output);
  const auto& lines = state.output().lines();
  for (size_t i = 0; i + output_head_rows < where.rows && state.output_first() + i < lines.size(); ++i)
    lines[state.output_first() + i].draw(grid, where.row + output_head_rows + i, where.column,
                                         state.output_skipped(), where.columns);
  if (task != nullptr && lines.empty() && where.rows > output_head_rows)
    grid.put(where.row + output_head_rows, where.column,
             has_not_started(*task) ? "(it has not started)" : "(nothing printed yet)", dim_look());
}

void draw_popup(cell_grid& grid, const top_popup& popup, area where) {
  const auto& lines = popup.text.lines();
  where.rows = std::min(where.rows, lines.size() + popup_frame_rows);
  grid.blank(where);
  draw_title(grid, where, popup.title, true);
  const size_t page = where.rows - std::min(where.rows, popup_frame_rows);
  for (size_t i = 0; i < page && popup.first + i < lines.size(); ++i)
    lines[popup.first + i].draw(grid, where.row + 1 + i, where.column + 1, popup.skipped, where.columns - 2);
  const size_t last = where.row + where.rows - 1;
  const bool is_more = popup.first + page < lines.size();
  draw_title(grid, {last, where.column, 1, where.columns},
             is_more ? "Down for more, Esc closes" : "Esc closes", false);
}

void draw_foot(cell_grid& grid, const top_state& state, const top_moment& now) {
  const size_t row = grid.rows() - 1;
  if (state.prompt()) {
    // The end of what is typed is always in sight.
    const auto& prompt = *state.prompt();
    const size_t room = grid.columns() - 1;
    auto typed = printable(prompt.text);
    while (width_of(typed) + 1 > room / 2)
      typed.erase(0, first_character(typed).size());
    const auto question = clipped(prompt.question, room - width_of(typed) - 1, mark_of(grid));
    auto column = grid.put(row, 0, question, bold_look(hue::yellow));
    column = grid.put(row, column, typed, bold_look());
    grid.put(row, column, " ", reversed_look());
    return;
  }
  if (const auto* message = state.message(now)) {
    grid.put(row, 0, clipped(printable(message->text), grid.columns(), mark_of(grid)),
             bold_look(message->is_bad ? hue::red : hue::green));
    return;
  }
  constexpr std::string_view hints =
      "? help  q quit  Tab pane  / filter  s sort  v view  p pause  +- workers  "
      "c cancel  K kill  r retry  w why  o output  f follow";
  grid.put(row, 0, clipped(hints, grid.columns(), mark_of(grid)), dim_look());
}

} // namespace

top_layout lay_out(size_t rows, size_t columns, bool output_is_full) noexcept {
  top_layout where;
  where.fits = rows >= top_rows_min && columns >= top_columns_min;
  if (!where.fits)
    return where;
  const size_t body = rows - head_rows - foot_rows;
  const size_t popup_columns = std::min(columns - 4, popup_columns_max);
  where.popup = {head_rows, (columns - popup_columns) / 2, body, popup_columns};
  if (output_is_full) {
    where.output = {head_rows, 0, body, columns};
    return where;
  }
  const size_t of_channels = body * 3 / 10 + 1;
  const size_t of_output = body * 3 / 10;
  const size_t of_tasks = body - of_channels - of_output;
  where.channels = {head_rows, 0, of_channels, columns};
  where.tasks = {head_rows + of_channels, 0, of_tasks, columns};
  where.output = {head_rows + of_channels + of_tasks, 0, of_output, columns};
  return where;
}

cell_grid draw_top(const top_state& state, const top_moment& now) {
  cell_grid grid(state.rows(), state.columns(), state.has_unicode());
  const auto where = lay_out(state.rows(), state.columns(), state.output_is_full());
  if (!where.fits) {
    grid.put(0, 0, "too small", bold_look());
    grid.put(1, 0,
             "it has " + std::to_string(state.columns()) + "x" + std::to_string(state.rows()) +
                 ", it takes " + std::to_string(top_columns_min) + "x" + std::to_string(top_rows_min));
    grid.put(2, 0, "q quits");
    return grid;
  }
  draw_head(grid, state, now);
  if (!state.output_is_full()) {
    draw_channels(grid, state, where.channels);
    draw_tasks(grid, state, where.tasks, now);
  }
  draw_output(grid, state, where.output);
  if (state.popup())
    draw_popup(grid, *state.popup(), where.popup);
  draw_foot(grid, state, now);
  return grid;
}

} // namespace task_runner::cli
