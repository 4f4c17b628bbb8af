// The query bar's language: what is read, what is refused with which words, and that filters survive being written.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  filters_of, format_query, may_match, moment_of, parse_query, request_of, toggle_state,
} from '../../../services/http/dashboard/core/task_query.js';

const now_ms = Date.parse('2026-01-31T12:00:00Z');

test('every word of the language sets its filter', () => {
  const { filters, problems } = parse_query('state:dead,cancelled channel:mail exit:3 outcome:exited key:a:b since:1h until:5m ended:2d ended-until:1d');
  assert.deepEqual(problems, []);
  assert.deepEqual(filters, { state: 'dead,cancelled', channel: 'mail', exit_code: '3', outcome: 'exited', distinct_key: 'a:b',
    created_from: '1h', created_until: '5m', ended_from: '2d', ended_until: '1d' });
});

test('what stands alone is the name, and so is what no word is', () => {
  assert.deepEqual(parse_query('  mail send ').filters, { name: 'mail send' });
  assert.deepEqual(parse_query('curl http://a/b state:dead').filters, { name: 'curl http://a/b', state: 'dead' });
  assert.deepEqual(parse_query('name:"say \\"hi\\"" again').filters, { name: 'say "hi" again' });
  assert.deepEqual(parse_query('std::sort 12:30').filters, { name: 'std::sort 12:30' });
  assert.deepEqual(parse_query('"state:dead"').filters, { name: 'state:dead' });
  assert.deepEqual(parse_query('name:"never closed').filters, { name: 'never closed' });
});

test('what cannot be is refused in words, and the rest holds', () => {
  const { filters, problems } = parse_query('state:lazy channel: exit:300 outcome:maybe since:soon channel:mail');
  assert.deepEqual(filters, { channel: 'mail' });
  assert.equal(problems.length, 5);
  assert.match(problems[0], /"lazy" is no state; there are pending, .* or cancelled/);
  assert.match(problems[1], /Behind channel: something/);
  assert.match(problems[2], /0 to 255/);
  assert.match(problems[4], /15m, 1h, 7d/);
});

test('a word with a colon that is none of the language is no name unasked', () => {
  const { filters, problems } = parse_query('sate:dead channel:mail');
  assert.deepEqual(filters, { channel: 'mail' });
  assert.match(problems[0], /^"sate:" is no word to filter by; there are state, channel, .* and ended-until\. Quotes make it a part of the name: "sate:dead"\.$/);
  assert.deepEqual(parse_query('"sate:dead"'), { filters: { name: 'sate:dead' }, problems: [] });
});

test('filters that are written read back the same', () => {
  const all = [
    { state: 'dead', name: 'mail send', created_from: '1h' },
    { name: 'state:dead' }, { name: 'sate:dead' }, { name: 'two  spaces' }, { name: 'a "quoted" \\ word' }, { name: ' edge ' },
    { channel: 'mail', distinct_key: 'with space' }, {},
  ];
  for (const filters of all)
    assert.deepEqual(parse_query(format_query(filters)).filters, filters, format_query(filters));
  assert.equal(format_query({ name: 'mail send', state: 'dead' }), 'state:dead mail send');
});

test('ages become moments when they are asked for', () => {
  assert.equal(moment_of('1h', now_ms), '2026-01-31T11:00:00.000Z');
  assert.equal(moment_of('1769860800', now_ms), '1769860800');
  assert.equal(moment_of('12', now_ms), null);
  assert.equal(moment_of('2026-01-31T11:30:00Z', now_ms), '2026-01-31T11:30:00.000Z');
  assert.equal(moment_of('2026-01-31', now_ms), new Date(2026, 0, 31).toISOString());
  assert.equal(moment_of('yesterday', now_ms), null);
  assert.deepEqual(request_of({ state: 'dead', created_from: '1d', cursor: 'x', sort: 'created' }, now_ms),
    { state: 'dead', created_from: '2026-01-30T12:00:00.000Z' });
});

test('an address gives its filters alone, and states go in and out', () => {
  assert.deepEqual(filters_of({ state: 'dead', cursor: 'abc', page: '2', name: '' }), { state: 'dead' });
  assert.equal(toggle_state({}, 'dead').state, 'dead');
  assert.equal(toggle_state({ state: 'dead' }, 'pending').state, 'pending,dead');
  assert.equal(toggle_state({ state: 'pending,dead' }, 'dead').state, 'pending');
});

test('events are held against the filters as far as they tell', () => {
  const event = { channel: 'mail', state: 'dead', outcome: { kind: 'exited', code: 3 } };
  assert.ok(may_match({}, event));
  assert.ok(may_match({ channel: 'mail', state: 'dead,pending', exit_code: '3', name: 'x' }, event));
  assert.ok(!may_match({ channel: 'other' }, event));
  assert.ok(!may_match({ state: 'running' }, event));
  assert.ok(!may_match({ exit_code: '0' }, event));
});
