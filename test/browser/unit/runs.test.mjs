// Tests of the book of runs: what lists and events tell becomes runs of a window of time, bounded.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RunBook, busy_share, parse_span } from '../../../services/http/dashboard/core/runs.js';

const at = (ms) => new Date(1_000_000 + ms).toISOString();
const task = (more) => ({ id: 'a', channel: 'mail', task_name: 'send', state: 'finished', attempt: 1, outcome: { kind: 'exited', code: 0 },
  started_at: at(0), ended_at: at(500), ...more });
const event = (more) => ({ id: 'a', channel: 'mail', state: 'running', attempt: 1, outcome: null, at: at(0), ...more });
const only = (book) => { assert.equal(book.size, 1); return [...book.by_key.values()][0]; };

test('spans are read within bounds', () => {
  assert.equal(parse_span('10m'), 600_000);
  assert.equal(parse_span('90s'), 90_000);
  assert.equal(parse_span('1h'), 3_600_000);
  for (const wrong of ['', undefined, '5', 'm', '1s', '25h', '-5m', '1e9m', '5m '])
    assert.equal(parse_span(wrong), null);
});

test('a task of a list becomes the run of its last attempt', () => {
  const book = new RunBook();
  book.take_task(task({ attempt: 2, state: 'dead' }));
  const { attempt, kind, name, started_ms, ended_ms } = only(book);
  assert.deepEqual({ attempt, kind, name, started_ms, ended_ms }, { attempt: 2, kind: 'dead', name: 'send', started_ms: 1_000_000, ended_ms: 1_000_500 });
});

test('a task that never started is no run', () => {
  const book = new RunBook();
  book.take_task(task({ attempt: 0, started_at: null, state: 'cancelled' }));
  assert.equal(book.take_event(event({ attempt: 0, state: 'cancelled' })), null);
  assert.equal(book.take_event({ id: 'a', channel: 'mail', deleted: true, at: at(0) }), null);
  assert.equal(book.size, 0);
});

test('events begin and end a run, and say what must be asked', () => {
  const book = new RunBook();
  assert.equal(book.take_event(event()), 'running');
  assert.equal(only(book).ended_ms, null);
  book.take_task(task({ state: 'running', ended_at: null, outcome: null }));
  assert.equal(only(book).name, 'send');
  assert.equal(book.take_event(event({ state: 'dead', outcome: { kind: 'exited', code: 3 }, at: at(700) })), null);
  const { kind, ended_ms, outcome } = only(book);
  assert.deepEqual({ kind, ended_ms, outcome }, { kind: 'dead', ended_ms: 1_000_700, outcome: { kind: 'exited', code: 3 } });
});

test('an end without a start is asked for', () => {
  const book = new RunBook();
  assert.equal(book.take_event(event({ state: 'finished', at: at(5) })), 'ended');
  assert.equal(book.size, 0);
  assert.equal(book.take_event(event({ state: 'delayed', outcome: { kind: 'exited', code: 1 } })), 'attempts');
});

test('a failed attempt that another follows is retried, and the next has its name', () => {
  const book = new RunBook();
  book.take_task(task({ state: 'running', ended_at: null }));
  book.take_event(event({ state: 'delayed', outcome: { kind: 'exited', code: 1 }, at: at(300) }));
  assert.equal(only(book).kind, 'retried');
  assert.equal(book.take_event(event({ attempt: 2, at: at(900) })), null);
  assert.deepEqual([...book.by_key.values()].map(({ kind, name }) => [kind, name]), [['retried', 'send'], ['running', 'send']]);
});

test('an attempt whose end nobody told ends with the next at the latest', () => {
  const book = new RunBook();
  book.take_event(event());
  book.take_event(event({ attempt: 2, at: at(400) }));
  assert.equal(book.by_key.get('a/1').ended_ms, 1_000_400);
  book.take_attempts({ ...task({ attempt: 2, state: 'running', started_at: at(400), ended_at: null }),
    attempts: [{ attempt: 1, started_at: at(0), ended_at: at(100), outcome: { kind: 'exited', code: 1 } }, { attempt: 2 }] });
  assert.equal(book.by_key.get('a/1').ended_ms, 1_000_100);
});

test('what was tried again by hand ended as it did', () => {
  const book = new RunBook();
  book.take_task(task({ state: 'dead', outcome: { kind: 'signalled', signal: 9 } }));
  book.take_attempts({ ...task({ attempt: 3, state: 'running', started_at: at(900), ended_at: null }), attempts: [
    { attempt: 1, started_at: at(0), ended_at: at(500), outcome: { kind: 'signalled', signal: 9 } },
    { attempt: 2, started_at: at(600), ended_at: at(800), outcome: { kind: 'cancelled' } }, { attempt: 3 }] });
  assert.deepEqual([1, 2, 3].map((attempt) => book.by_key.get(`a/${attempt}`).kind), ['dead', 'cancelled', 'running']);
});

test('a list that is older than an event brings nothing back to life', () => {
  const book = new RunBook();
  book.take_event(event());
  book.take_event(event({ state: 'finished', at: at(50) }));
  book.take_task(task({ state: 'running', ended_at: null }));
  assert.equal(only(book).kind, 'finished');
  assert.equal(only(book).name, 'send');
});

test('runs that are not among those that run are forgotten, new ones are not', () => {
  const book = new RunBook();
  book.take_event(event());
  book.take_event(event({ id: 'b', at: at(5_000) }));
  book.keep_running(new Set(), 1_003_000);
  assert.equal(only(book).id, 'b');
});

test('what ended before the window goes', () => {
  const book = new RunBook();
  book.take_task(task({}));
  book.take_task(task({ id: 'b', state: 'running', ended_at: null }));
  book.prune(2_000_000);
  assert.equal(only(book).id, 'b');
});

test('the book is bounded, loses the oldest, and says so until that is out of the window', () => {
  const book = new RunBook(10);
  for (let index = 0; index < 15; ++index)
    book.take_task(task({ id: `t${index}`, ended_at: at(500 + index) }));
  book.prune(0);
  assert.equal(book.size, 10);
  assert.ok(!book.by_key.has('t4/1') && book.by_key.has('t5/1'));
  assert.equal(book.cut_ms, 1_000_504);
  book.prune(1_000_505);
  assert.equal(book.cut_ms, null);
});

test('runs come by channel in the order of their starts', () => {
  const book = new RunBook();
  book.take_task(task({ id: 'late', started_at: at(200) }));
  book.take_task(task({ id: 'early' }));
  book.take_task(task({ id: 'other', channel: 'video' }));
  assert.deepEqual([...book.by_channel()].map(([name, runs]) => [name, runs.map(({ id }) => id)]), [['mail', ['early', 'late']], ['video', ['other']]]);
});

test('the share of the time that was filled', () => {
  const runs = [{ started_ms: -100, ended_ms: 50 }, { started_ms: 50, ended_ms: null }];
  assert.equal(busy_share(runs, 2, 0, 100), 0.5);
  assert.equal(busy_share([], 0, 0, 100), null);
});
