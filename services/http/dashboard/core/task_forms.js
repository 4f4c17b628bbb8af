// A task as what pushes the same again: the body of a push, and that as curl, as PHP and as a command line. Pure.
import { quote } from './format.js';

/** The distinct key that somebody gave the task; null where the daemon made it of the command, or where there is none. */
export function own_distinct_key({ command, distinct_key }) {
  const is_made = typeof command === 'string' ? distinct_key === `line:${command}` : distinct_key?.startsWith('argv:');
  return is_made ? null : distinct_key;
}

/** What POST /api/v1/tasks takes to push the same: another id, and at once. */
export function push_of(task) {
  const body = {};
  if (typeof task.command === 'string') {
    body.task = task.task_name;
    if (task.task_name !== task.command)
      body.command = task.command;
  } else {
    if (task.task_name !== words_line(task.command) && task.task_name !== task.command.name)
      body.task = task.task_name;
    body.command = { name: task.command.name, args: task.command.args ?? [] };
  }
  body.channel = task.channel;
  const key = own_distinct_key(task);
  if (key)
    body.distinct_key = key;
  return { ...body, ...task.options };
}

/** The words of a command as the daemon names it where nothing else is said. */
const words_line = ({ name, args = [] }) => [name, ...args].join(' ');

/** A body of a push as a command for curl. */
export const as_curl = (body, address) => `curl ${quote(address)} -H 'Content-Type: application/json' -d ${quote(JSON.stringify(body))}`;

const php_text = (text) => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;

/** A value of JSON as PHP writes it; what is not flat goes over several lines. */
export function as_php_value(value, indent = '') {
  if (value === null)
    return 'null';
  if (typeof value === 'string')
    return php_text(value);
  if (typeof value !== 'object')
    return String(value);
  const deeper = `${indent}    `;
  const entries = Array.isArray(value) ? value.map((one) => as_php_value(one, deeper))
    : Object.entries(value).map(([name, one]) => `${php_text(name)} => ${as_php_value(one, deeper)}`);
  // An empty object would become a list in JSON.
  if (entries.length === 0)
    return Array.isArray(value) ? '[]' : 'new stdClass()';
  const line = `[${entries.join(', ')}]`;
  return line.length + indent.length <= 90 && !line.includes('\n') ? line
    : `[\n${entries.map((entry) => `${deeper}${entry},\n`).join('')}${indent}]`;
}

/** Redis messages call the channel "chan", as the predecessor's did. */
const message_of = ({ channel, ...body }) => (channel ? { ...body, chan: channel } : body);

export const as_php_redis = (body) => `$redis = new Redis();
$redis->connect('127.0.0.1', 6379);
$redis->lpush('task:prepare:queue', json_encode(${as_php_value(message_of(body))}));`;

export const as_php_http = (body, address) => `$answer = file_get_contents(${php_text(address)}, false, stream_context_create(['http' => [
    'method' => 'POST',
    'header' => 'Content-Type: application/json',
    'content' => json_encode(${as_php_value(body, '    ')}),
]]));`;

const flags = { id: '--id', delay: '--delay', execute_at: '--at', priority: '--priority', timeout_s: '--timeout', grace_s: '--grace',
  expires_s: '--expires', max_attempts: '--max-attempts', backoff: '--backoff', backoff_s: '--backoff-s', delivery: '--delivery',
  distinct_key: '--distinct-key', concurrency_key: '--concurrency-key', concurrency_max: '--concurrency-max', cwd: '--cwd', user: '--user',
  nice: '--nice', umask: '--umask' };

/**
 * A body of a push as a command line of task-runner: {line, left_out}, the members that the command line has no flag for.
 */
export function as_command_line(body) {
  const words = ['task-runner', 'push'];
  const left_out = [];
  const { task, command, args, channel, ...rest } = body;
  // A value that begins with - would be read as a flag.
  const flag = (given, text) => words.push(String(text).startsWith('-') ? `${given}=${quote(String(text))}` : `${given} ${quote(String(text))}`);
  if (channel)
    flag('-c', channel);
  if (command !== undefined && task !== undefined)
    flag('--name', task);
  for (const [name, value] of Object.entries(rest)) {
    if (flags[name])
      flag(flags[name], value);
    else if (name === 'retry_on')
      flag('--retry-on', value.join(','));
    else if (name === 'env')
      Object.entries(value).forEach(([variable, text]) => flag('--env', `${variable}=${text}`));
    else if (name === 'limits')
      Object.entries(value).forEach(([limit, number]) => flag('--limit', `${limit}=${number}`));
    else
      left_out.push(name);
  }
  const run = command ?? task ?? '';
  if (typeof run === 'string' && args === undefined)
    flag('--shell', run);
  else
    words.push('--', ...(typeof run === 'string' ? [run, ...args] : [run.name, ...(run.args ?? [])]).map(quote));
  return { line: words.join(' '), left_out };
}
