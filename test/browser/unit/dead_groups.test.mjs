// Tests of what the dead letters' page says about a group and asks the daemon for.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ids_of_groups, in_known_order, key_of_group, line_of_group, name_of_group, period_of, query_of_group, question_about, result_of }
  from '../../../services/http/dashboard/core/dead_groups.js';

const group = (more) => ({ outcome: { kind: 'exited', code: 3 }, fingerprint: '00ff', line: 'no such order', count: 2, channels: ['mail'], ids: ['a', 'b'], ...more });

test('a group is told apart by how it ended and by its error', () => {
  assert.notEqual(key_of_group(group()), key_of_group(group({ fingerprint: null })));
  assert.notEqual(key_of_group(group()), key_of_group(group({ outcome: { kind: 'exited', code: 4 } })));
  assert.notEqual(key_of_group(group()), key_of_group(group({ outcome: { kind: 'signalled', signal: 3 } })));
  assert.equal(key_of_group(group()), key_of_group(group({ count: 9, ids: ['z'] })));
});

test('a group has a name and a line, also where nothing was written', () => {
  assert.equal(name_of_group(group()), 'exit 3');
  assert.equal(line_of_group(group()), 'no such order');
  assert.equal(line_of_group(group({ line: null })), 'It wrote nothing.');
  assert.equal(line_of_group(group({ line: null, outcome: { kind: 'spawn_failed', error: 'no such file' } })), 'no such file');
});

test('the list of tasks is asked for those that ended alike', () => {
  assert.deepEqual(query_of_group(group()), { state: 'dead', outcome: 'exited', exit_code: 3, channel: 'mail' });
  assert.deepEqual(query_of_group(group({ outcome: { kind: 'timed_out' }, channels: ['a', 'b'] })), { state: 'dead', outcome: 'timed_out' });
});

test('one request names a bounded number of tasks, each once', () => {
  const many = group({ count: 2_500, ids: Array.from({ length: 1_000 }, (_, index) => `t${index}`) });
  assert.equal(ids_of_groups([many, group()]).ids.length, 1_000);
  assert.equal(ids_of_groups([many, group()]).all, 2_502);
  assert.deepEqual(ids_of_groups([group(), group()]).ids, ['a', 'b']);
});

test('the question says how many, and what is left', () => {
  assert.equal(question_about('retry', [group()]).title, 'Retry 2 tasks?');
  assert.equal(question_about('delete', [group({ count: 1, ids: ['a'] })]).verb, 'Delete 1 task');
  assert.match(question_about('retry', [group({ count: 5_000 })]).text, /the newest of 5,000/);
});

test('groups keep their places, and new ones come by size', () => {
  const [one, two, three] = [group({ fingerprint: '1', count: 5 }), group({ fingerprint: '2', count: 9 }), group({ fingerprint: '3', count: 7 })];
  assert.deepEqual(in_known_order([two, three, one], []), [two, three, one]);
  assert.deepEqual(in_known_order([two, three, one], [key_of_group(one), key_of_group(two)]), [three, one, two]);
  assert.deepEqual(in_known_order([two], [key_of_group(one), key_of_group(two)]), [two]);
});

test('the question about one group names it', () => {
  assert.match(question_about('delete', [group()]).text, /^exit 3: no such order – They and their output/);
  assert.match(question_about('delete', [group(), group({ fingerprint: null })]).text, /^They and their output/);
});

test('the result says what was done and why the rest was not', () => {
  assert.equal(result_of('retry', { done: 2, refused: [] }), '2 tasks are in line again.');
  assert.equal(result_of('delete', { done: 1, refused: [{ reason: 'it runs' }] }), '1 task is deleted. 1 refused: it runs');
});

test('a period that nobody knows is all of it', () => {
  assert.equal(period_of('24h').length_ms, 86_400_000);
  assert.equal(period_of('9y').length_ms, null);
  assert.equal(period_of(undefined).length_ms, null);
});
