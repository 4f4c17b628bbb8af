// Events and the rows that they change; which tasks are new; ranges of rows.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { between, changed_by, comes_in, EventsSince, is_newer_than } from '../../../services/http/dashboard/core/task_changes.js';

const task = { id: 'a', state: 'pending', attempt: 0, outcome: null, started_at: null, ended_at: null, duration_s: null, channel: 'mail' };

test('a task starts, and ends', () => {
  const running = changed_by(task, { state: 'running', attempt: 1, outcome: null, at: '2026-01-31T12:00:00.000Z' });
  assert.equal(running.started_at, '2026-01-31T12:00:00.000Z');
  assert.equal(running.channel, 'mail');
  const ended = changed_by(running, { state: 'dead', attempt: 1, outcome: { kind: 'exited', code: 3 }, at: '2026-01-31T12:00:02.500Z' });
  assert.deepEqual([ended.state, ended.duration_s, ended.ended_at, ended.outcome.code], ['dead', 2.5, '2026-01-31T12:00:02.500Z', 3]);
});

test('an attempt whose start was not told has no run time yet', () => {
  const ended = changed_by(task, { state: 'finished', attempt: 1, outcome: { kind: 'exited', code: 0 }, at: '2026-01-31T12:00:02.500Z' });
  assert.deepEqual([ended.started_at, ended.duration_s], [null, null]);
});

test('a failed attempt that is tried again keeps its times', () => {
  const running = changed_by(task, { state: 'running', attempt: 1, outcome: null, at: '2026-01-31T12:00:00.000Z' });
  const delayed = changed_by(running, { state: 'delayed', attempt: 1, outcome: { kind: 'exited', code: 1 }, at: '2026-01-31T12:00:01.000Z' });
  assert.deepEqual([delayed.state, delayed.outcome.code, delayed.started_at], ['delayed', 1, '2026-01-31T12:00:00.000Z']);
});

test('a deleted task stays as it was last seen, and none comes in', () => {
  const event = { id: 'b', channel: 'mail', deleted: true, at: '2026-01-31T12:00:01.000Z' };
  assert.equal(changed_by(task, event), task);
  for (const sort of ['-created', 'created', '-ended', 'ended'])
    assert.ok(!comes_in(event, { items: [], next: null, sort, by_state: false }), sort);
});

test('new is what was pushed after the newest that is shown', () => {
  const older = '01a20a14-b28b-73ab-b928-c62888345cea';
  const newer = '01a20a14-b39e-76c3-b2e8-13d85b564522';
  assert.ok(is_newer_than({ id: newer, state: 'finished', attempt: 1 }, older));
  assert.ok(!is_newer_than({ id: older, state: 'running', attempt: 1 }, newer));
  assert.ok(is_newer_than({ id: 'mine', state: 'pending', attempt: 0 }, older));
  assert.ok(is_newer_than({ id: 'mine', state: 'finished', attempt: 1 }, older));
  assert.ok(!is_newer_than({ id: 'mine', state: 'running', attempt: 2 }, older));
  assert.ok(is_newer_than({ id: older, state: 'running', attempt: 1 }, null));
});

test('what comes in depends on the order of the list', () => {
  const ids = [3, 5, 7].map((number) => `01a20a14-b28b-73ab-b928-c6288834500${number}`);
  const event = (number, state = 'pending') => ({ id: `01a20a14-b28b-73ab-b928-c6288834500${number}`, state, attempt: 0 });
  const list = (more) => ({ items: ids.map((id) => ({ id })), next: null, sort: '', by_state: false, ...more });
  const newest_first = { items: [...ids].reverse().map((id) => ({ id })) };
  assert.ok(comes_in(event(8), list(newest_first)));
  assert.ok(!comes_in(event(6), list(newest_first)));
  assert.ok(comes_in(event(6), list({ ...newest_first, by_state: true })));
  assert.ok(comes_in(event(8), list({ items: [] })));
  // The oldest stand first: new ones come last, and only where there is room.
  assert.ok(comes_in(event(8), list({ sort: 'created' })));
  assert.ok(!comes_in(event(6), list({ sort: 'created' })));
  assert.ok(!comes_in(event(8), list({ sort: 'created', next: 'cursor' })));
  // By their end, only what has ended.
  assert.ok(comes_in(event(1, 'finished'), list({ sort: '-ended', next: 'cursor' })));
  assert.ok(!comes_in(event(8), list({ sort: '-ended' })));
  assert.ok(comes_in(event(1, 'dead'), list({ sort: 'ended' })));
  assert.ok(!comes_in(event(1, 'dead'), list({ sort: 'ended', next: 'cursor' })));
});

test('of what happened meanwhile the last of each task is kept, and no more than can be', () => {
  const since = new EventsSince(3);
  since.take([{ id: 'a', state: 'running' }, { id: 'b', state: 'running' }, { id: 'c', state: 'running' }]);
  since.take([{ id: 'a', state: 'finished' }, { id: 'd', state: 'pending' }]);
  const { shown, others } = since.apart(new Set(['a', 'b']));
  assert.deepEqual([...shown], [['a', { id: 'a', state: 'finished' }]]);
  assert.deepEqual(others.map(({ id }) => id), ['c', 'd']);
  since.clear();
  assert.deepEqual(since.apart(new Set(['a'])), { shown: new Map(), others: [] });
});

test('ranges go both ways', () => {
  const ids = ['a', 'b', 'c', 'd'];
  assert.deepEqual(between(ids, 'b', 'd'), ['b', 'c', 'd']);
  assert.deepEqual(between(ids, 'd', 'b'), ['b', 'c', 'd']);
  assert.deepEqual(between(ids, 'gone', 'b'), ['b']);
});
