// The form that pushes a task: its fields from a body of POST /api/v1/tasks and back, and which field an error is about.
// Pure.

/** The fields with a place of their own. `number`: what is typed is sent as one where it is one. */
export const form_fields = [
  { name: 'id', label: 'Id', hint: 'good for one task for ever; empty: the daemon makes one' },
  { name: 'delay', label: 'Delay, seconds', hint: 'it does not start before', number: true },
  { name: 'priority', label: 'Priority', hint: 'higher runs first, -1000 to 1000', number: true },
  { name: 'max_attempts', label: 'Attempts', hint: 'how often it may be tried', number: true },
  { name: 'timeout_s', label: 'Timeout', hint: 'seconds, or 500ms, 5m, 2h', number: true },
];

const own = new Set(['task', 'command', 'args', 'channel', 'chan', ...form_fields.map(({ name }) => name)]);

/** A word as its line: as JSON where the plain word would be read as another one, or as two. */
const line_of_word = (word, index, words) => (/[\r\n]/.test(word) || word.startsWith('"') || (word === '' && index === words.length - 1) ? JSON.stringify(word) : word);

function word_of_line(line) {
  if (!line.startsWith('"'))
    return line;
  try {
    const word = JSON.parse(line);
    return typeof word === 'string' ? word : line;
  } catch {
    return line;
  }
}

/** A body as the form shows it. */
export function form_of(body) {
  const { task, command, args } = body;
  const words = typeof command === 'object' && command !== null ? [command.name, ...(command.args ?? [])]
    : args !== undefined ? [command ?? task, ...args] : null;
  const rest = Object.fromEntries(Object.entries(body).filter(([name]) => !own.has(name)));
  return {
    mode: words ? 'words' : 'line',
    command: words ? words.map(line_of_word).join('\n') : command ?? task ?? '',
    name: command !== undefined ? task ?? '' : '',
    channel: body.channel ?? body.chan ?? '',
    ...Object.fromEntries(form_fields.map(({ name }) => [name, body[name] === undefined || body[name] === null ? '' : String(body[name])])),
    rest: Object.keys(rest).length > 0 ? JSON.stringify(rest, null, 2) : '',
  };
}

const value_of = (text, number) => (number && Number.isFinite(Number(text)) ? Number(text) : text);

function read_rest(text) {
  if (text.trim() === '')
    return {};
  let rest = null;
  try {
    rest = JSON.parse(text);
  } catch (error) {
    return { problem: `This is no JSON: ${error.message}` };
  }
  return typeof rest === 'object' && rest !== null && !Array.isArray(rest) ? { rest } : { problem: 'This must be an object: {"cwd": "/srv"}' };
}

/** {body, problems}: problems by the field's name, in sentences. */
export function body_of(form) {
  const problems = {};
  const body = {};
  const name = form.name.trim();
  if (form.command.trim() === '')
    problems.command = form.mode === 'line' ? 'A command is needed.' : 'A program is needed, in the first line.';
  if (form.mode === 'line') {
    body.task = name || form.command;
    if (name)
      body.command = form.command;
  } else {
    // A last line that was only begun by Enter is no word.
    const [program, ...args] = form.command.replace(/\n$/, '').split('\n').map(word_of_line);
    if (program.trim() === '')
      problems.command = 'A program is needed, in the first line.';
    if (name)
      body.task = name;
    body.command = { name: program, args };
  }
  if (form.channel.trim())
    body.channel = form.channel.trim();
  for (const { name: member, number } of form_fields)
    if (form[member].trim())
      body[member] = value_of(form[member].trim(), number);
  const { rest, problem } = read_rest(form.rest);
  if (problem)
    problems.rest = problem;
  return { body: { ...rest, ...body }, problems };
}

/** The field that a refusal of the daemon speaks of; null: it is about the whole. */
export function field_of_error(text, form) {
  const names = ['command', 'channel', ...form_fields.map(({ name }) => name)];
  const quoted = [...text.matchAll(/"([a-z_]+)"/g)].map((match) => match[1]);
  const named = names.find((name) => quoted.includes(name)) ?? names.find((name) => new RegExp(`^${name}\\b`).test(text));
  if (named)
    return named;
  if (/\bchannel\b/.test(text))
    return 'channel';
  if (/^the id\b|\bid is\b/.test(text))
    return 'id';
  if (quoted.includes('task') || quoted.includes('args'))
    return 'command';
  return form.rest && [...quoted, text.split(' ')[0]].some((name) => form.rest.includes(`"${name}"`)) ? 'rest' : null;
}
