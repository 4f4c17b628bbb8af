// A task's time: which stretches it is made of in every state, and how they share the bar.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { attempts_max, shares_of, timeline_of } from '../../../services/http/dashboard/core/timeline.js';

const base_ms = Date.parse('2026-01-31T12:00:00Z');
const iso = (seconds) => new Date(base_ms + seconds * 1000).toISOString();
const made = (members) => ({ state: 'pending', created_at: iso(0), execute_at: null, ended_at: null, attempts: [], ...members });
const told = (task, now_s) => timeline_of(task, base_ms + now_s * 1000).stretches
  .map(({ kind, from, to }) => `${kind} ${(from - base_ms) / 1000}-${(to - base_ms) / 1000}`);
const attempt = (number, from, to, outcome = { kind: 'exited', code: 1 }) =>
  ({ attempt: number, started_at: iso(from), ended_at: to === null ? null : iso(to), outcome: to === null ? null : outcome });
const good = { kind: 'exited', code: 0 };

test('a task in line waits, one with a delay waits for itself first', () => {
  assert.deepEqual(told(made({}), 5), ['pending 0-5']);
  assert.deepEqual(told(made({ state: 'delayed', execute_at: iso(10) }), 4), ['delayed 0-4', 'ahead 4-10']);
  assert.deepEqual(told(made({ execute_at: iso(10) }), 14), ['delayed 0-10', 'pending 10-14']);
});

test('attempts run between waits, the last wait tells its delay from the line', () => {
  assert.deepEqual(told(made({ state: 'running', attempts: [attempt(1, 1, null)] }), 9), ['pending 0-1', 'running 1-9']);
  assert.deepEqual(told(made({ state: 'finished', ended_at: iso(3), attempts: [attempt(1, 1, 3, good)] }), 99), ['pending 0-1', 'finished 1-3']);
  const retried = made({ state: 'finished', execute_at: iso(5), attempts: [attempt(1, 1, 3), attempt(2, 6, 7, good)] });
  assert.deepEqual(told(retried, 99), ['pending 0-1', 'dead 1-3', 'pause 3-5', 'pending 5-6', 'finished 6-7']);
  const waiting = made({ state: 'delayed', execute_at: iso(8), attempts: [attempt(1, 1, 3)] });
  assert.deepEqual(told(waiting, 5), ['pending 0-1', 'dead 1-3', 'pause 3-5', 'ahead 5-8']);
});

test('between attempts whose pause is not known any more, all of it is the pause', () => {
  const task = made({ state: 'dead', ended_at: iso(9), execute_at: iso(7), attempts: [attempt(1, 1, 2), attempt(2, 4, 5), attempt(3, 8, 9)] });
  assert.deepEqual(told(task, 99), ['pending 0-1', 'dead 1-2', 'pause 2-4', 'dead 4-5', 'pause 5-7', 'pending 7-8', 'dead 8-9']);
});

test('one that was cancelled in line ends there', () => {
  assert.deepEqual(told(made({ state: 'cancelled', ended_at: iso(4) }), 99), ['pending 0-4']);
});

test('clocks that disagree make nothing negative', () => {
  for (const { from, to } of timeline_of(made({ state: 'running', attempts: [attempt(1, -2, null)] }), base_ms - 5000).stretches)
    assert.ok(to >= from);
});

test('many attempts are drawn up to a bound', () => {
  const attempts = Array.from({ length: 100 }, (_one, index) => attempt(index + 1, index * 10 + 1, index * 10 + 2));
  const { stretches, more } = timeline_of(made({ state: 'dead', attempts }), base_ms + 5_000_000);
  assert.equal(more, 100 - attempts_max);
  assert.equal(stretches[0].kind, 'more');
  assert.equal(stretches.filter((one) => one.attempt).length, attempts_max);
});

test('shares sum up to the whole bar, and nothing is too small to see', () => {
  const shares = shares_of([{ from: 0, to: 1_000_000 }, { from: 1_000_000, to: 1_000_001 }, { from: 1_000_001, to: 2_000_000 }]);
  assert.ok(Math.abs(shares.reduce((sum, one) => sum + one, 0) - 1) < 1e-9);
  assert.ok(shares[1] > 0.01);
  assert.deepEqual(shares_of([{ from: 5, to: 5 }]), [1]);
  assert.deepEqual(shares_of([]), []);
});
