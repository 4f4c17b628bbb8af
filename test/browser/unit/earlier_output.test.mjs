// What was printed before what is shown: it joins it, and what went missing meanwhile is said.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { make_earlier } from '../../../services/http/dashboard/core/earlier_output.js';
import { Screen, text_of } from '../../../services/http/dashboard/core/terminal.js';

const bounds = { lines_max: 100, chars_max: 10_000 };
const lines = (from, to) => Array.from({ length: to - from }, (_, index) => `line ${String(from + index).padStart(3, '0')}\n`).join('');
const line_bytes = 9;
const shown_of = (screen) => screen.lines.map((line) => (line.gap ? `[${line.gap.from}, ${line.gap.to}]` : text_of(line))).filter(Boolean);

function screen_from(first, last) {
  const screen = new Screen({ lines_max: 5, chars_max: 10_000 });
  screen.clear(first * line_bytes);
  screen.write(lines(first, last), first * line_bytes);
  return screen;
}

test('what was before joins what is shown', () => {
  const screen = screen_from(10, 13);
  const to = screen.begin;
  screen.prepend(make_earlier([{ output: { offset: 8 * line_bytes, text: lines(8, 11) } }], { from: 8 * line_bytes, to, begin: screen.begin }, bounds));
  assert.deepEqual(shown_of(screen), ['line 008', 'line 009', 'line 010', 'line 011', 'line 012']);
});

test('what was dropped while it was read is said to be missing', () => {
  const screen = screen_from(10, 13);
  const to = screen.begin;
  screen.write(lines(13, 20), 13 * line_bytes);
  assert.ok(screen.begin > to);
  screen.prepend(make_earlier([{ output: { offset: 8 * line_bytes, text: lines(8, 10) } }], { from: 8 * line_bytes, to, begin: screen.begin }, bounds));
  assert.deepEqual(shown_of(screen), ['line 008', 'line 009', `[${to}, ${16 * line_bytes}]`, 'line 016', 'line 017', 'line 018', 'line 019']);
});

test('where the output began anew meanwhile there is no place for it', () => {
  const screen = screen_from(10, 13);
  const to = screen.begin;
  screen.clear(0);
  assert.equal(make_earlier([{ output: { offset: 8 * line_bytes, text: lines(8, 10) } }], { from: 8 * line_bytes, to, begin: screen.begin }, bounds), null);
});

test('pieces that end too early leave a gap', () => {
  const earlier = make_earlier([{ output: { offset: 0, text: lines(0, 2) } }, { gap: { from: 18, to: 36 } }, { output: { offset: 36, text: lines(4, 5) } }],
    { from: 0, to: 90, begin: 90 }, bounds);
  assert.deepEqual(shown_of(earlier), ['line 000', 'line 001', '[18, 36]', 'line 004', '[45, 90]']);
});
