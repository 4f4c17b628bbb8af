// Tests of the map of the actors: where they stand, which lines are drawn, where keys lead, and what flows per second.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fill_of, line_width, make_map, next_node, pair_edges } from '../../../services/http/dashboard/core/actor_map.js';
import { busy_s, look_of, looks_max, rates_of, warning_of, with_look } from '../../../services/http/dashboard/core/actor_rates.js';

const shared = (name, kind = name) => ({ name, kind, channel: null });
const of_channel = (kind, channel) => ({ name: `${kind}:${channel}`, kind, channel });
const actors = [shared('http', 'service'), shared('store', 'service'), shared('launcher', 'service'), shared('gateway'), shared('intake'), shared('router'),
  ...['mail', 'video', 'hidden'].flatMap((channel) => [of_channel('executor', channel), of_channel('queue', channel)])];
const edges = [{ from: 'http', to: 'gateway', messages: 9 }, { from: 'gateway', to: 'intake', messages: 5 }, { from: 'router', to: 'queue:mail', messages: 4 },
  { from: 'queue:mail', to: 'store', messages: 3 }, { from: 'store', to: 'queue:mail', messages: 2 }, { from: 'queue:hidden', to: 'store', messages: 1 }];
const map = make_map({ actors, edges, channels: ['mail', 'video'], width_px: 1_000 });
const node = (name) => map.nodes.find((one) => one.name === name);

test('tasks go from left to right, a row for each channel that is shown', () => {
  const way = ['http', 'gateway', 'router', 'queue:mail', 'executor:mail', 'store'].map((name) => node(name).x);
  assert.deepEqual(way, [...way].sort((one, other) => one - other));
  assert.equal(node('queue:mail').y, node('executor:mail').y);
  assert.ok(node('queue:video').y > node('queue:mail').y);
  assert.equal(node('queue:hidden'), undefined);
});

test('no two nodes lie over each other, and all lie within the map', () => {
  for (const one of map.nodes) {
    assert.ok(one.x >= 0 && one.x + one.width <= map.width && one.y + one.height <= map.height);
    for (const other of map.nodes)
      assert.ok(one === other || one.x + one.width <= other.x || other.x + other.width <= one.x || one.y + one.height <= other.y || other.y + other.height <= one.y);
  }
});

test('both directions are one line, and lines to what is not shown are left out', () => {
  assert.deepEqual(map.edges.map(({ key }) => key).sort(), ['gateway intake', 'http gateway', 'queue:mail store', 'router queue:mail']);
  const { messages, back } = map.edges.find(({ key }) => key === 'queue:mail store');
  assert.deepEqual([messages, back], [3, 2]);
  assert.ok(map.edges.every(({ path }) => /^M[-\d.]+,[-\d.]+ C/.test(path) && !path.includes('NaN')));
});

test('a line to itself is none', () => {
  assert.deepEqual(pair_edges([{ from: 'a', to: 'a', messages: 1 }], new Map([['a', 0]])), []);
});

test('with many channels what is shared stands near the top', () => {
  const channels = Array.from({ length: 40 }, (_, index) => `c${index}`);
  const many = make_map({ actors: [...actors, ...channels.map((name) => of_channel('queue', name))], edges: [], channels, width_px: 1_000 });
  assert.ok(many.nodes.find(({ name }) => name === 'router').y < 400);
  assert.ok(many.height > 2_000);
});

test('a map without channels is no fault', () => {
  assert.ok(make_map({ actors: [], edges: [], channels: [], width_px: 800 }).height > 0);
});

test('arrow keys lead to the nearest in their direction', () => {
  assert.equal(next_node(map.nodes, node('router'), 'ArrowRight').column, node('queue:mail').column);
  assert.equal(next_node(map.nodes, node('queue:mail'), 'ArrowDown'), node('queue:video'));
  assert.equal(next_node(map.nodes, node('queue:video'), 'ArrowRight'), node('executor:video'));
  assert.equal(next_node(map.nodes, node('http'), 'ArrowLeft'), undefined);
  assert.equal(next_node(map.nodes, node('router'), 'Home'), map.nodes[0]);
  assert.equal(next_node(map.nodes, node('router'), 'q'), undefined);
});

test('more messages are a wider line, within bounds', () => {
  assert.ok(line_width(0) < line_width(1) && line_width(1) < line_width(1_000));
  assert.ok(line_width(1e9) <= 7);
  assert.equal(fill_of(0), 0);
  assert.equal(fill_of(1e6), 1);
});

const answer = (total, sent, started_at = 'then') => ({ items: [{ name: 'router', messages: { total }, started_at }, { name: 'http', messages: null }], edges: sent === null ? [] : [{ from: 'http', to: 'router', messages: sent }] });

test('rates are differences per second over the last looks', () => {
  let looks = [];
  for (let second = 0; second < 10; ++second)
    looks = with_look(looks, look_of(answer(second * 30, second * 20), second * 1_000));
  assert.equal(looks.length, looks_max);
  assert.equal(rates_of(looks).handled.get('router'), 30);
  assert.equal(rates_of(looks).sent.get('http router'), 20);
  assert.equal(rates_of(looks).handled.has('http'), false);
});

test('one look tells no rate, and counters that begin anew none below zero', () => {
  assert.equal(rates_of([look_of(answer(5, 5), 0)]).handled.size, 0);
  assert.equal(rates_of([]).sent.size, 0);
  const anew = rates_of([look_of(answer(500, 500), 0), look_of(answer(3, 3, 'later'), 1_000)]);
  assert.equal(anew.handled.has('router'), false);
  assert.equal(anew.sent.has('http router'), false);
  assert.equal(rates_of([look_of(answer(1, null), 0), look_of(answer(2, 4), 2_000)]).sent.get('http router'), 2);
});

test('what deserves a look is said', () => {
  const quiet = { alive: true, restarts: 0, busy_since: null };
  const now = Date.parse('2026-01-31T12:00:05Z');
  assert.equal(warning_of(quiet, now), '');
  assert.equal(busy_s(quiet, now), null);
  assert.equal(warning_of({ ...quiet, busy_since: '2026-01-31T12:00:04.900Z' }, now), '');
  assert.equal(warning_of({ ...quiet, busy_since: '2026-01-31T12:00:02Z' }, now), 'busy for 3 s');
  assert.equal(warning_of({ ...quiet, restarts: 1 }, now), 'restarted 1 time');
  assert.equal(warning_of({ ...quiet, alive: false }, now), 'has ended');
});
