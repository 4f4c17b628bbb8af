// Tasks as what pushes them again: the members that are kept, and that shells and PHP read back what was meant.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import {
  as_command_line, as_curl, as_php_http, as_php_redis, as_php_value, push_of,
} from '../../../services/http/dashboard/core/task_forms.js';

const words_of_shell = (line) => execFileSync('/bin/sh', ['-c', `printf '%s\\0' ${line}`]).toString().split('\0').slice(0, -1);

const task = { id: 'a', channel: 'mail', task_name: 'date', command: 'date', distinct_key: null, options: {}, state: 'finished', attempts: [] };

test('a plain command needs no more than itself', () => {
  assert.deepEqual(push_of(task), { task: 'date', channel: 'mail' });
});

test('names, words and what a task says of itself are kept', () => {
  assert.deepEqual(push_of({ ...task, task_name: 'what day', options: { timeout_s: 5, env: { A: 'b' } } }),
    { task: 'what day', command: 'date', channel: 'mail', timeout_s: 5, env: { A: 'b' } });
  const words = { name: 'printf', args: ['%s\n', '$HOME'] };
  assert.deepEqual(push_of({ ...task, task_name: 'printf %s\n $HOME', command: words }), { command: words, channel: 'mail' });
  assert.deepEqual(push_of({ ...task, task_name: 'home', command: words }), { task: 'home', command: words, channel: 'mail' });
});

test('a distinct key of its own is kept, one made of the command is not said again', () => {
  assert.equal(push_of({ ...task, distinct_key: 'invoice-1' }).distinct_key, 'invoice-1');
  assert.equal(push_of({ ...task, distinct_key: 'line:date' }).distinct_key, undefined);
  assert.equal(push_of({ ...task, command: { name: 'ls' }, distinct_key: 'argv:2:ls' }).distinct_key, undefined);
  assert.equal(push_of({ ...task, command: { name: 'ls' }, distinct_key: 'mine' }).distinct_key, 'mine');
});

test('a shell reads curl\'s line back', () => {
  const body = { task: 'echo "it\'s $HOME" \\ | cat', channel: 'mail' };
  const words = words_of_shell(as_curl(body, 'http://127.0.0.1:60001/api/v1/tasks'));
  assert.deepEqual(words.slice(0, 5), ['curl', 'http://127.0.0.1:60001/api/v1/tasks', '-H', 'Content-Type: application/json', '-d']);
  assert.deepEqual(JSON.parse(words[5]), body);
});

test('PHP has its own quotes and lists', () => {
  assert.equal(as_php_value("it's a \\ $x"), "'it\\'s a \\\\ $x'");
  assert.equal(as_php_value({ a: [1, true, null], b: {} }), "['a' => [1, true, null], 'b' => new stdClass()]");
  const long = as_php_value({ task: 'x'.repeat(100), chan: 'mail' });
  assert.equal(long, `[\n    'task' => '${'x'.repeat(100)}',\n    'chan' => 'mail',\n]`);
  assert.match(as_php_redis({ task: 'date', channel: 'mail' }), /lpush\('task:prepare:queue', json_encode\(\['task' => 'date', 'chan' => 'mail'\]\)\);$/);
  assert.match(as_php_http({ task: 'date' }, 'http://x/api'), /file_get_contents\('http:\/\/x\/api'.*json_encode\(\['task' => 'date'\]\)/s);
});

test('the command line says what it can, and what it cannot', () => {
  const { line, left_out } = as_command_line({ task: 'n a', command: 'echo "a b"', channel: 'mail', priority: -5, max_attempts: 3, timeout_s: 2.5,
    env: { A: 'x y' }, retry_on: [75, 111], limits: { memory: 1024 }, stdin: 'abc', jitter: 0.5 });
  assert.deepEqual(left_out, ['stdin', 'jitter']);
  assert.deepEqual(words_of_shell(line), ['task-runner', 'push', '-c', 'mail', '--name', 'n a', '--priority=-5', '--max-attempts', '3', '--timeout', '2.5',
    '--env', 'A=x y', '--retry-on', '75,111', '--limit', 'memory=1024', '--shell', 'echo "a b"']);
  assert.deepEqual(words_of_shell(as_command_line({ command: { name: 'printf', args: ['%s\n', "it's"] } }).line),
    ['task-runner', 'push', '--', 'printf', '%s\n', "it's"]);
  assert.deepEqual(words_of_shell(as_command_line({ task: '-n', command: '-x "y"', channel: '-mail' }).line),
    ['task-runner', 'push', '-c=-mail', '--name=-n', '--shell=-x "y"']);
});
