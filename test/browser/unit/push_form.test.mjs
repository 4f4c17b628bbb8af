// The form that pushes: bodies survive it, what is missing is said at its field, and refusals find theirs.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { body_of, field_of_error, form_of } from '../../../services/http/dashboard/core/push_form.js';

test('bodies go through the form unchanged', () => {
  const bodies = [
    { task: 'date', channel: 'mail' },
    { task: 'what day', command: 'date | cat', channel: 'mail', priority: -5, delay: 2.5, max_attempts: 3 },
    { command: { name: 'printf', args: ['%s\\n', '', '$HOME; as it is'] }, channel: 'mail' },
    { command: { name: 'sh', args: ['-c', 'cd /srv\nmake', 'two\r\nlines'] } },
    { command: { name: 'printf', args: ['%s', ''] } },
    { command: { name: 'echo', args: ['"quoted"', '"', '\\n', '{"a": 1}'] } },
    { task: 'n', command: { name: 'true', args: [] }, timeout_s: '5m', env: { A: 'b' }, cwd: '/srv' },
  ];
  for (const body of bodies) {
    const { body: again, problems } = body_of(form_of(body));
    assert.deepEqual(problems, {});
    assert.deepEqual(again, body);
  }
});

test('what is empty is not sent', () => {
  assert.deepEqual(body_of({ ...form_of({}), command: 'date' }).body, { task: 'date' });
});

test('what is missing or wrong is said at its field', () => {
  assert.deepEqual(Object.keys(body_of(form_of({})).problems), ['command']);
  assert.deepEqual(Object.keys(body_of({ ...form_of({}), mode: 'words', command: '\nb' }).problems), ['command']);
  assert.match(body_of({ ...form_of({ task: 'date' }), rest: '{' }).problems.rest, /no JSON/);
  assert.match(body_of({ ...form_of({ task: 'date' }), rest: '[]' }).problems.rest, /an object/);
});

test('an Enter at the end of the words adds no word', () => {
  assert.deepEqual(body_of({ ...form_of({}), mode: 'words', command: 'ls\n-l\n' }).body.command, { name: 'ls', args: ['-l'] });
});

test('a line in quotes is the word that it is as JSON, where it is one', () => {
  const { command } = body_of({ ...form_of({}), mode: 'words', command: 'echo\n"a\\nb"\n"no end\n"a" b\n' }).body;
  assert.deepEqual(command, { name: 'echo', args: ['a\nb', '"no end', '"a" b'] });
});

test('refusals find their field', () => {
  const form = form_of({ task: 'x', umask: '999' });
  assert.equal(field_of_error('the member "delay" is text that cannot be read as such; expected a number of seconds', form), 'delay');
  assert.equal(field_of_error('there is no channel nope; create it with POST /queue', form), 'channel');
  assert.equal(field_of_error('the id is not valid; use 1 to 128 of A-Z a-z 0-9', form), 'id');
  assert.equal(field_of_error('timeout_s is out of range; give more than 0', form), 'timeout_s');
  assert.equal(field_of_error('"umask" is none', form), 'rest');
  assert.equal(field_of_error('the daemon cannot be reached; is it running?', form), null);
});
