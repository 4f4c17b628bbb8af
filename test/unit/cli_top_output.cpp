// What commands print as lines of a screen: colours are kept, nothing that steers a terminal gets through.
#include "services/cli/top_output.hpp"
#include "test/unit/cli_top_support.hpp"

#include <catch2/catch.hpp>

using namespace task_runner::cli;

namespace {

std::vector<std::string> texts_of(const output_text& output) {
  std::vector<std::string> texts;
  for (const auto& line : output.lines())
    texts.push_back(line.text);
  return texts;
}

using texts = std::vector<std::string>;

/// The lines of bytes, given whole and byte by byte, which must be the same.
texts lines_of(const std::string& bytes) {
  output_text whole;
  whole.append(bytes);
  output_text single;
  for (const char one : bytes)
    single.append(std::string(1, one));
  CHECK(texts_of(single) == texts_of(whole));
  return texts_of(whole);
}

/// One line drawn into a row, and the look of each of its first columns.
std::vector<look> looks_of(const std::string& bytes, size_t columns) {
  output_text output;
  output.append(bytes);
  REQUIRE(output.lines().size() == 1);
  cell_grid grid(1, columns, true);
  output.lines().front().draw(grid, 0, 0, 0, columns);
  std::vector<look> looks;
  for (size_t i = 0; i < columns; ++i)
    looks.push_back(grid.at(0, i).style);
  return looks;
}

} // namespace

TEST_CASE("top: output becomes lines, the last one while it grows") {
  CHECK(lines_of("").empty());
  CHECK(lines_of("one\ntwo") == texts{"one", "two"});
  CHECK(lines_of("one\r\n\r\ntwo\n") == texts{"one", "", "two"});
  CHECK(lines_of("a\tb") == texts{"a       b"});
  CHECK(lines_of("ä中\n") == texts{"ä中"});
  output_text output;
  output.append("par");
  CHECK(texts_of(output) == texts{"par"});
  output.append("tial\nnext");
  CHECK(texts_of(output) == texts{"partial", "next"});
  output.clear();
  CHECK(output.is_empty());
}

TEST_CASE("top: a carriage return begins the line anew, as progress bars expect") {
  CHECK(lines_of("10%\r20%\r100%\n") == texts{"100%"});
  CHECK(lines_of("long line\rab") == texts{"ab"});
  CHECK(lines_of("kept\r") == texts{"kept"});
  CHECK(lines_of("abc\r\033[Kd") == texts{"d"});
  CHECK(lines_of("abc\033[2Kd") == texts{"d"});
  CHECK(lines_of("a|\b/\b-") == texts{"a-"});
  CHECK(lines_of("中\b文") == texts{"文"});
}

TEST_CASE("top: sequences that steer a terminal are dropped whole") {
  CHECK(lines_of("a\033[2J\033[10;20Hb") == texts{"ab"});
  CHECK(lines_of("a\033]0;title\007b\033]8;;http://x\033\\c") == texts{"abc"});
  CHECK(lines_of("a\033Pq#0;data\033\\b") == texts{"ab"});
  CHECK(lines_of("a\033[?1049hb\033[?25l\033cc\033(0d") == texts{"abcd"});
  CHECK(lines_of("a\a\x01\x7f"
                 "b") == texts{"ab"});
  // C1, and marks that turn the direction around.
  CHECK(lines_of("a\xc2\x9b"
                 "31mb\xe2\x80\xae") == texts{"a?31mb?"});
  // A title that never ends does not swallow the lines that follow.
  CHECK(lines_of("\033]0;never\nnext\n") == texts{"next"});
  CHECK(lines_of("\xff\xc3(\xe4\xb8 x") == texts{"?"
                                                 "?(? x"});
}

TEST_CASE("top: colours of output are those of the screen") {
  const auto red = looks_of("\033[31mr\033[0mp", 2);
  CHECK(red[0] == ink_look(hue::red));
  CHECK(red[1] == plain_look);
  const auto bold = looks_of("\033[1;32mb\033[22mn\033[39md", 3);
  CHECK(bold[0] == bold_look(hue::green));
  CHECK(bold[1] == ink_look(hue::green));
  CHECK(bold[2] == plain_look);
  const auto ground = looks_of("\033[44;7mx", 1);
  CHECK(ground[0].ground == hue::blue);
  CHECK(ground[0].reversed);
  CHECK(looks_of("\033[91mx", 1)[0].ink == hue::red);
  CHECK(looks_of("\033[38;5;9mx", 1)[0].ink == hue::red);
  CHECK(looks_of("\033[38;5;46mx", 1)[0].ink == hue::green);
  CHECK(looks_of("\033[38;5;255mx", 1)[0].ink == hue::white);
  CHECK(looks_of("\033[38;2;250;10;250mx", 1)[0].ink == hue::magenta);
  CHECK(looks_of("\033[48;2;0;0;250;1mx", 1)[0].ground == hue::blue);
  CHECK(looks_of("\033[mx", 1)[0] == plain_look);
  // Nonsense changes nothing that is drawn.
  CHECK(looks_of("\033[38;5mx", 1)[0] == plain_look);
  CHECK(looks_of("\033[999999999999999999999mx", 1)[0] == plain_look);
  // A colour goes on over lines, until it is taken back.
  output_text output;
  output.append("\033[33mone\ntwo");
  REQUIRE(output.lines().size() == 2);
  REQUIRE(output.lines()[1].looks.size() == 1);
  CHECK(output.lines()[1].looks[0].style == ink_look(hue::yellow));
}

TEST_CASE("top: output is bounded in lines and in the length of one") {
  output_text output;
  for (size_t i = 0; i < output_lines_max + 10; ++i)
    output.append(std::to_string(i) + "\n");
  CHECK(output.lines().size() == output_lines_max);
  CHECK(output.dropped() == 10);
  CHECK(output.lines().front().text == "10");
  output.clear();
  output.append(std::string(output_line_bytes_max + 5, 'x'));
  REQUIRE(output.lines().size() == 2);
  CHECK(output.lines()[0].text.size() == output_line_bytes_max);
  CHECK(output.lines()[1].text == "xxxxx");
}

TEST_CASE("top: long lines of output are cut and shifted, characters of two columns never halved") {
  output_text output;
  output.append("ab中文cd");
  const auto shown = [&](size_t skipped, size_t room) {
    cell_grid grid(1, 12, true);
    output.lines().front().draw(grid, 0, 1, skipped, room);
    return grid.row_text(0);
  };
  CHECK(shown(0, 11) == " ab中文cd");
  CHECK(shown(0, 3) == " ab");
  CHECK(shown(0, 4) == " ab中");
  CHECK(shown(2, 11) == " 中文cd");
  CHECK(shown(6, 1) == " c");
  CHECK(shown(100, 11).empty());
}

TEST_CASE("top: lines are broken between words, and go on below what they belong to") {
  CHECK(broken_lines("", 10).empty());
  CHECK(broken_lines("0123456789\n\nab\n", 10) == "0123456789\n\nab\n");
  CHECK(broken_lines("012345678 abc de", 10) == "012345678\n  abc de");
  CHECK(broken_lines("0123456789 abc", 10) == "0123456789\n  abc");
  CHECK(broken_lines("  key  one two three", 14) == "  key  one two\n       three");
  // A word without an end is cut where the row ends.
  CHECK(broken_lines("abcdefghijklmnopqrstuv", 10) == "abcdefghij\n  klmnopqr\n  stuv");
  // Colours take no room, signs of two columns take two.
  CHECK(broken_lines("\033[31mab cd\033[0m ef", 5) == "\033[31mab cd\033[0m\n  ef");
  CHECK(broken_lines("中中 中中中", 6) == "中中\n  中中\n  中");
}
