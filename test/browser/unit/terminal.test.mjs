// The terminal's lines: what overwrites what, where lines begin, what is dropped at the bounds, and what search finds.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { find_all, line_chars_max, Screen, text_of, utf8_length } from '../../../services/http/dashboard/core/terminal.js';

const make = (given = {}) => new Screen({ lines_max: 100, chars_max: 100_000, ...given });
const texts = (screen) => screen.lines.map(text_of);

function written(...pieces) {
  const screen = make();
  let offset = 0;
  for (const piece of pieces) {
    screen.write(piece, offset);
    offset += utf8_length(piece);
  }
  return screen;
}

test('lines begin where their bytes do', () => {
  const screen = written('one\nzwö', 'lf\n🚀\n', 'end');
  assert.deepEqual(texts(screen), ['one', 'zwölf', '🚀', 'end']);
  assert.deepEqual(screen.lines.map(({ offset }) => offset), [0, 4, 11, 16]);
  assert.deepEqual(screen.lines.map(({ number }) => number), [0, 1, 2, 3]);
});

test('bytes are counted as UTF-8 has them', () => {
  for (const text of ['', 'abc', 'zwölf', '€', '🚀 ü €'])
    assert.equal(utf8_length(text), Buffer.byteLength(text), text);
});

test('a carriage return writes over the line, and what is not written over stays', () => {
  assert.deepEqual(texts(written('copying 10%\rcopying 20%\r', 'copying 100%\ndone\r\n')), ['copying 100%', 'done', '']);
  assert.deepEqual(texts(written('abcdef\rXY')), ['XYcdef']);
  assert.deepEqual(texts(written('abcdef\rXY\x1b[K')), ['XY']);
  assert.deepEqual(texts(written('long line\x1b[2K\rshort')), ['short']);
  assert.deepEqual(texts(written('🚀🚀🚀\rü')), ['ü🚀🚀']);
});

test('backspaces, tabs and moves of the cursor', () => {
  assert.deepEqual(texts(written('50%\b\b\b60%')), ['60%']);
  assert.deepEqual(texts(written('\b\ba')), ['a']);
  assert.deepEqual(texts(written('a\tb\t\tc')), ['a       b               c']);
  assert.deepEqual(texts(written('abc\x1b[2DX')), ['aXc']);
  assert.deepEqual(texts(written('a\x1b[5Gb')), ['a   b']);
  assert.deepEqual(texts(written('first\nsecond\n\x1b[2Achanged\n\nthird')), ['changed', 'second', 'third']);
});

test('what a terminal does not show is not shown', () => {
  assert.deepEqual(texts(written('\x1b]0;title\x07a\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\\x1b(B\x1b[?25l\x07b\x00')), ['alinkb']);
});

test('sequences may be cut anywhere between two pieces', () => {
  const whole = 'a\x1b[31mred\x1b[0m \x1b]0;title\x07 \x1b(Bz\nb';
  const read_style = (sequence) => sequence;
  for (let at = 0; at <= whole.length; ++at) {
    const screen = make({ read_style });
    screen.write(whole.slice(0, at), 0);
    screen.write(whole.slice(at), at);
    assert.deepEqual(texts(screen), ['ared  z', 'b'], `cut at ${at}`);
    assert.equal(screen.lines[0].spans[1].style, '\x1b[31m');
    assert.equal(screen.lines[1].offset, whole.indexOf('\n') + 1, `cut at ${at}`);
  }
});

test('a style holds over lines, and pieces of one style are one span', () => {
  const styles = { '\x1b[31m': { name: 'red' }, '\x1b[0m': null };
  const screen = make({ read_style: (sequence) => styles[sequence] });
  screen.write('a\x1b[31mb', 0);
  screen.write('c\nd\x1b[0me', 8);
  assert.deepEqual(screen.lines[0].spans, [{ text: 'a', style: null }, { text: 'bc', style: { name: 'red' } }]);
  assert.deepEqual(screen.lines[1].spans.map(({ text, style }) => [text, style?.name]), [['d', 'red'], ['e', undefined]]);
});

test('no more than the bounds is kept, the last of it', () => {
  const by_lines = make({ lines_max: 10 });
  let offset = 0;
  for (let number = 1; number <= 1000; ++number) {
    by_lines.write(`${number}\n`, offset);
    offset += `${number}\n`.length;
  }
  assert.deepEqual(texts(by_lines), [...[992, 993, 994, 995, 996, 997, 998, 999, 1000].map(String), '']);
  assert.equal(by_lines.lines[0].number, 991);
  assert.equal(by_lines.begin, Array.from({ length: 991 }, (_one, index) => `${index + 1}\n`).join('').length);
  assert.ok(by_lines.trimmed);

  const at_once = make({ lines_max: 10 });
  at_once.write(Array.from({ length: 1000 }, (_one, index) => `${index + 1}\n`).join(''), 0);
  assert.deepEqual(texts(at_once), texts(by_lines));
  assert.equal(at_once.begin, by_lines.begin);

  const by_chars = make({ chars_max: 30 });
  by_chars.write(`${'x'.repeat(20)}\n${'y'.repeat(20)}\nz`, 0);
  assert.deepEqual(texts(by_chars), ['y'.repeat(20), 'z']);
});

test('a line without an end is cut into several', () => {
  const screen = written('x'.repeat(line_chars_max * 2 + 5));
  assert.deepEqual(screen.lines.map(({ length }) => length), [line_chars_max, line_chars_max, 5]);
});

test('it says from which line on something has changed', () => {
  const screen = written('a\nb\nc');
  assert.equal(screen.take_changed(), 0);
  assert.equal(screen.take_changed(), Infinity);
  screen.write('d', 5);
  assert.equal(screen.take_changed(), 2);
  screen.write('\ne\n', 6);
  assert.equal(screen.take_changed(), 3);
});

test('what is not kept stands between the lines', () => {
  const screen = written('head');
  screen.gap(4, 1000);
  screen.write('tail', 1000);
  assert.deepEqual(texts(screen), ['head', '', 'tail']);
  assert.deepEqual(screen.lines[1].gap, { from: 4, to: 1000 });
  assert.equal(screen.lines[2].offset, 1000);
});

test('bytes that are no UTF-8 keep their lines where they were', () => {
  const screen = make();
  const bytes = Buffer.from([0x61, 0xff, 0xfe, 0x0a, 0x62]);
  screen.write(new TextDecoder().decode(bytes), 10, [3]);
  assert.deepEqual(texts(screen), ['a\ufffd\ufffd', 'b']);
  assert.equal(screen.lines[1].offset, 14);
});

test('earlier output goes in front, joined where a line was cut', () => {
  const screen = make({ lines_max: 3 });
  screen.clear(6);
  screen.write('c\nd\ne', 6);
  const earlier = make();
  earlier.write('a\nb\nbc', 0);
  screen.prepend(earlier);
  assert.deepEqual(texts(screen), ['a', 'b', 'bcc', 'd', 'e']);
  assert.deepEqual(screen.lines.map(({ number }) => number), [-2, -1, 0, 1, 2]);
  assert.equal(screen.begin, 0);
  screen.write('!\nf', 11);
  assert.deepEqual(texts(screen), ['b', 'bcc', 'd', 'e!', 'f']);
});

test('what is not kept stays one stretch when earlier output ends in its midst', () => {
  const screen = make();
  screen.clear(50);
  screen.gap(50, 90);
  screen.write('tail', 90);
  const earlier = make();
  earlier.write('head\n', 0);
  earlier.gap(5, 50);
  screen.prepend(earlier);
  assert.deepEqual(texts(screen), ['head', '', 'tail']);
  assert.deepEqual(screen.lines[1].gap, { from: 5, to: 90 });
  assert.deepEqual(screen.lines.map(({ number }) => number), [-1, 0, 1]);
});

test('search finds all places, upper and lower case alike, up to its bound', () => {
  const { lines } = written('Error: x\nno\nan error and an ERROR.\n');
  assert.deepEqual(find_all(lines, 'error', 100), [{ number: 0, at: 0, length: 5 }, { number: 2, at: 3, length: 5 }, { number: 2, at: 16, length: 5 }]);
  assert.equal(find_all(lines, 'error', 2).length, 2);
  assert.equal(find_all(lines, '.', 100).length, 1);
  assert.deepEqual(find_all(lines, '', 100), []);
});

test('much output is taken fast enough', () => {
  const screen = make({ lines_max: 5000, chars_max: 2 ** 21 });
  const piece = Array.from({ length: 1000 }, (_one, index) => `\x1b[32mline\x1b[0m ${index} of what a busy command prints\n`).join('');
  const begun = performance.now();
  for (let index = 0; index < 100; ++index)
    screen.write(piece, index * piece.length);
  assert.ok(performance.now() - begun < 5_000);
  assert.equal(screen.lines.length, 5000);
});
