// Quick steps of a value: the last one is sent, nothing overtakes, and nothing is lost.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LateChange } from '../../../services/http/dashboard/core/late_change.js';

/** Changes whose answers come when the test says so. */
function changes(rest_ms) {
  const sent = [];
  const settled = [];
  const answers = [];
  const late = new LateChange(rest_ms, (value) => { sent.push(value); return new Promise((resolve) => { answers.push(resolve); }); }, (value) => settled.push(value));
  // What follows from an answer has happened after a turn of the loop.
  const answer = async () => { answers.shift()(); await new Promise(setImmediate); };
  return { late, sent, settled, answer };
}
const long_ms = 3_600_000;

test('quick steps are one change, after a rest', async () => {
  const sent = await new Promise((resolve) => {
    const all = [];
    const late = new LateChange(20, (value) => { all.push(value); resolve(all); }, () => {});
    late.want(5);
    late.want(6);
    late.want(7);
    assert.deepEqual(all, []);
  });
  assert.deepEqual(sent, [7]);
});

test('whoever leaves within the rest loses nothing', async () => {
  const { late, sent, settled, answer } = changes(long_ms);
  late.want(5);
  late.flush();
  assert.deepEqual(sent, [5]);
  await answer();
  assert.deepEqual(settled, [5]);
  late.flush();
  assert.deepEqual(sent, [5]);
});

test('a step during a slow change follows it, and does not overtake', async () => {
  const { late, sent, settled, answer } = changes(long_ms);
  late.want(5);
  late.flush();
  late.want(6);
  late.flush();
  assert.deepEqual(sent, [5]);
  await answer();
  assert.deepEqual([sent, settled], [[5, 6], [5]]);
  await answer();
  assert.deepEqual(settled, [5, 6]);
});

test('a step after a change that is under way has its own rest', async () => {
  const { late, sent, answer } = changes(long_ms);
  late.want(5);
  late.flush();
  late.want(6);
  await answer();
  assert.deepEqual(sent, [5]);
  late.flush();
  assert.deepEqual(sent, [5, 6]);
  await answer();
});
