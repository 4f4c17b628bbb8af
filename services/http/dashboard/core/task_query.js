// The language of the tasks' query bar, "state:dead channel:mail exit:3 since:1h words of the name", and the filters of
// the address that mean the same. Pure: the filters are named as the API names them, moments may be ages such as "1h".

/** What the language knows: a word, the filter that it sets, and what it is for. */
export const query_words = [
  { word: 'state', filter: 'state', example: 'state:dead,cancelled', means: 'its state; several by commas' },
  { word: 'channel', filter: 'channel', example: 'channel:mail', means: 'its channel' },
  { word: 'name', filter: 'name', example: 'name:"nightly backup"', means: 'a part of its name; words without a colon mean this, too' },
  { word: 'outcome', filter: 'outcome', example: 'outcome:timed_out', means: 'how its last attempt ended' },
  { word: 'exit', filter: 'exit_code', example: 'exit:3', means: 'the exit code of its last attempt' },
  { word: 'key', filter: 'distinct_key', example: 'key:invoice-4711', means: 'its distinct key' },
  { word: 'since', filter: 'created_from', example: 'since:1h', means: 'pushed since then: an age, or 2026-01-31T12:00' },
  { word: 'until', filter: 'created_until', example: 'until:2026-01-31', means: 'pushed before then' },
  { word: 'ended', filter: 'ended_from', example: 'ended:15m', means: 'ended since then' },
  { word: 'ended-until', filter: 'ended_until', example: 'ended-until:1h', means: 'ended before then' },
];

export const task_states = ['pending', 'delayed', 'running', 'finished', 'dead', 'cancelled'];

/** How attempts end, by the API's names, in words. */
export const outcome_kind_names = { exited: 'exited', signalled: 'ended by a signal', timed_out: 'timed out', spawn_failed: 'could not start',
  cancelled: 'cancelled', expired: 'expired', lost: 'lost' };
export const outcome_kinds = Object.keys(outcome_kind_names);

const words = new Map(query_words.map((one) => [one.word, one.filter]));
const filter_names = query_words.map(({ filter }) => filter);
const moments = new Set(['created_from', 'created_until', 'ended_from', 'ended_until']);
const unit_s = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 };

/** Unix seconds from here on are a moment, and no age: 2001. */
const unix_seconds_min = 1e9;

/** A moment as the API takes it, from an age ("1h"), a day, a time of here, or what the API takes; null: it is none. */
export function moment_of(text, now_ms) {
  const age = /^(\d+(?:\.\d+)?)([smhdw])$/.exec(text);
  if (age)
    return new Date(now_ms - Number(age[1]) * unit_s[age[2]] * 1000).toISOString();
  if (/^\d+(\.\d+)?$/.test(text))
    return Number(text) >= unix_seconds_min ? text : null;
  // A day alone would be read as one of UTC, a day with a time as one of here.
  const at_ms = Date.parse(/^\d{4}-\d{2}-\d{2}$/.test(text) ? `${text}T00:00` : text);
  return /^\d{4}-/.test(text) && !Number.isNaN(at_ms) ? new Date(at_ms).toISOString() : null;
}

/** "a b:\"c d\" e" -> [{word: null, value: 'a'}, {word: 'b', value: 'c d'}, {word: null, value: 'e'}] */
function tokens_of(text) {
  const tokens = [];
  const pattern = /([a-z-]+):(?=\s|$)|(?:([a-z-]+):)?(?:"((?:[^"\\]|\\.)*)"?|(\S+))/gy;
  for (let at = 0; at < text.length;) {
    if (/\s/.test(text[at])) {
      ++at;
      continue;
    }
    pattern.lastIndex = at;
    const found = pattern.exec(text);
    const [all, empty, word, in_quotes, plain] = found;
    tokens.push(empty !== undefined ? { word: empty, value: '' }
      : { word: word ?? null, value: in_quotes !== undefined ? in_quotes.replace(/\\(.)/g, '$1') : plain });
    at += all.length;
  }
  return tokens;
}

const one_of = (list) => list.join(', ').replace(/, ([^,]*)$/, ' or $1');

function problem_with(filter, word, value) {
  if (value === '')
    return `Behind ${word}: something must stand.`;
  const unknown_state = filter === 'state' && value.split(',').find((state) => !task_states.includes(state));
  if (unknown_state !== false && unknown_state !== undefined)
    return `"${unknown_state}" is no state; there are ${one_of(task_states)}.`;
  if (filter === 'outcome' && !outcome_kinds.includes(value))
    return `"${value}" is no outcome; there are ${one_of(outcome_kinds)}.`;
  if (filter === 'exit_code' && !(/^\d{1,3}$/.test(value) && Number(value) <= 255))
    return `"${value}" is no exit code; they go from 0 to 255.`;
  if (moments.has(filter) && moment_of(value, 0) === null)
    return `"${value}" is no moment; give an age (15m, 1h, 7d) or a time (2026-01-31T12:00).`;
  return null;
}

/** Reads the text: {filters, problems}. What has a problem is left out of the filters. */
export function parse_query(text) {
  const filters = {};
  const problems = [];
  const name = [];
  for (const { word, value } of tokens_of(text)) {
    const filter = words.get(word);
    if (word === null || filter === undefined) {
      // "std::sort" and "http://…" are words of a name as well; what is meant for a filter and is none is no name unasked.
      if (word !== null && !/^(:|\/\/)/.test(value)) {
        problems.push(`"${word}:" is no word to filter by; there are ${one_of(query_words.map((one) => one.word)).replace(/ or ([^ ]*)$/, ' and $1')}. Quotes make it a part of the name: "${word}:${value}".`);
        continue;
      }
      name.push(word === null ? value : `${word}:${value}`);
      continue;
    }
    const problem = problem_with(filter, word, value);
    if (problem)
      problems.push(problem);
    else if (filter === 'name')
      name.push(value);
    else
      filters[filter] = value;
  }
  if (name.length > 0)
    filters.name = name.join(' ');
  return { filters, problems };
}

const needs_quotes = (text) => /[\s"\\]/.test(text);
const quoted = (text) => (needs_quotes(text) ? `"${text.replace(/["\\]/g, '\\$&')}"` : text);

/** The text that means these filters. A name stands last, as it is where that reads back the same. */
export function format_query(filters) {
  const parts = query_words.filter(({ filter }) => filter !== 'name' && filters[filter])
    .map(({ word, filter }) => `${word}:${quoted(filters[filter])}`);
  if (filters.name) {
    const plain = parse_query(filters.name);
    const reads_back = plain.problems.length === 0 && Object.keys(plain.filters).length === 1 && plain.filters.name === filters.name;
    parts.push(reads_back ? filters.name : `name:"${filters.name.replace(/["\\]/g, '\\$&')}"`);
  }
  return parts.join(' ');
}

/** The filters among what an address holds. */
export const filters_of = (query) => Object.fromEntries(filter_names.filter((name) => query[name]).map((name) => [name, query[name]]));

/** The filters as the API takes them at this moment. */
export function request_of(filters, now_ms) {
  return Object.fromEntries(Object.entries(filters_of(filters))
    .map(([name, value]) => [name, moments.has(name) ? moment_of(value, now_ms) ?? value : value]));
}

/** The filters with a state put in, or taken out where it was. */
export function toggle_state(filters, state) {
  const states = (filters.state ?? '').split(',').filter(Boolean);
  const next = states.includes(state) ? states.filter((one) => one !== state) : task_states.filter((one) => one === state || states.includes(one));
  return { ...filters, state: next.join(',') };
}

/** Whether an event tells of a task that the filters may let through; the name and the times it does not tell. */
export function may_match(filters, event) {
  return (!filters.channel || filters.channel === event.channel)
    && (!filters.state || filters.state.split(',').includes(event.state))
    && (!filters.outcome || filters.outcome === event.outcome?.kind)
    && (!filters.exit_code || Number(filters.exit_code) === event.outcome?.code);
}
