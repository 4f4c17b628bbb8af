// One verb for many tasks: which are meant does not change while it is carried out, and what was not done is counted.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { carry_out, matching, portions } from '../../../services/http/dashboard/core/bulk.js';

const now_ms = Date.parse('2026-01-31T12:00:00.000Z');
const now = '2026-01-31T12:00:00.000Z';

/** A daemon that gives these answers, one after the other. */
function daemon_with(answers) {
  const sent = [];
  return { sent, send: async (body) => { sent.push(body); return answers.shift() ?? assert.fail('one request too many'); } };
}
const told = { progress: () => {}, is_over: () => false };
const refusal = (id) => ({ id, status_code: 409, reason: 'it has ended' });

test('only what is there now is meant', () => {
  assert.deepEqual(matching('cancel', {}, now_ms), { created_until: now });
  assert.deepEqual(matching('delete', { state: 'dead', exit_code: '3' }, now_ms), { state: 'dead', exit_code: 3, ended_until: now });
  assert.deepEqual(matching('retry', { ended_until: '1h' }, now_ms), { ended_until: '2026-01-31T11:00:00.000Z' });
  assert.deepEqual(matching('retry', { ended_until: '1700000000' }, now_ms), { ended_until: '1700000000' });
  // What somebody wrote for later has no end either.
  assert.deepEqual(matching('cancel', { created_until: '2027-01-31T12:00:00Z' }, now_ms), { created_until: now });
});

test('it goes on as long as there is more, and says how far it is', async () => {
  const { sent, send } = daemon_with([{ matched: 10_000, done: 10_000, refused: [], more: true }, { matched: 5, done: 5, refused: [], more: false }]);
  const heard = [];
  const sum = await carry_out(send, [{ state: 'dead' }], { ...told, progress: (done) => heard.push(done) });
  assert.deepEqual(sum, { done: 10_005, left: 0, example: null, stopped: false });
  assert.deepEqual(heard, [10_000, 10_005]);
  assert.equal(sent.length, 2);
});

test('all refusals count, though few are named', async () => {
  const refused = Array.from({ length: 20 }, (_, index) => refusal(`t${index}`));
  const { send } = daemon_with([{ matched: 3_000, done: 500, refused, more: false }]);
  assert.deepEqual(await carry_out(send, [{ state: 'dead' }], told), { done: 500, left: 2_500, example: refused[0], stopped: false });
});

test('what was refused and matches again counts once', async () => {
  const { send } = daemon_with([{ matched: 10_000, done: 9_998, refused: [refusal('a'), refusal('b')], more: true },
    { matched: 7, done: 5, refused: [refusal('a'), refusal('b')], more: false }]);
  assert.deepEqual(await carry_out(send, [{ state: 'dead' }], told), { done: 10_003, left: 2, example: refusal('a'), stopped: false });
});

test('it ends when nothing more can be done', async () => {
  const { send } = daemon_with([{ matched: 10_000, done: 0, refused: [refusal('a')], more: true }]);
  assert.equal((await carry_out(send, [{ state: 'dead' }], told)).left, 10_000);
});

test('named tasks go in portions, and each of their refusals counts', async () => {
  const ids = Array.from({ length: 1_500 }, (_, index) => `t${index}`);
  assert.deepEqual(portions(ids).map(({ ids: some }) => some.length), [1_000, 500]);
  // One of them is not there any more: it is refused without having matched.
  const { send } = daemon_with([{ matched: 1_000, done: 999, refused: [refusal('t1')], more: false }, { matched: 499, done: 499, refused: [refusal('t1400')], more: false }]);
  assert.deepEqual(await carry_out(send, portions(ids), told), { done: 1_498, left: 2, example: refusal('t1'), stopped: false });
});

test('nothing more is sent when the list is left', async () => {
  const { sent, send } = daemon_with([{ matched: 10, done: 10, refused: [], more: true }]);
  const sum = await carry_out(send, [{ state: 'dead' }], { ...told, is_over: () => sent.length > 0 });
  assert.deepEqual([sum.done, sum.stopped, sent.length], [10, true, 1]);
});
