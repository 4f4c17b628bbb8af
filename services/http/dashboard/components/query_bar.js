// The bar above the tasks: one field in which the filters stand as text, and chips and selections that write into it.
import { html, useEffect, useRef, useState } from '../core/html.js';
import { format_query, outcome_kind_names, outcome_kinds, parse_query, query_words, task_states, toggle_state } from '../core/task_query.js';
import { Icon } from './icons.js';

/** What is typed counts when nothing was typed for so long. Milliseconds. */
const rest_ms = 400;

const ages = [['', 'pushed at any time'], ['15m', 'in the last 15 minutes'], ['1h', 'in the last hour'], ['24h', 'in the last 24 hours'], ['7d', 'in the last 7 days']];

const same = (one, other) => format_query(one) === format_query(other);

function Words() {
  return html`<details class="query-words"><summary>Words to filter by</summary>
    <dl class="key-list">${query_words.map(({ word, example, means }) => html`<dt key=${word}><code>${example}</code></dt><dd>${means}</dd>`)}</dl></details>`;
}

function Choice({ label, value, options, choose }) {
  const is_known = options.some(([one]) => one === value);
  // What is chosen says by itself what it is about.
  return html`<select class="choice-of" aria-label=${label} title=${label} value=${value} onChange=${(event) => choose(event.target.value)}>
    ${!is_known && html`<option value=${value} selected>${value}</option>`}
    ${options.map(([one, text]) => html`<option key=${one} value=${one} selected=${one === value}>${text}</option>`)}</select>`;
}

/** `apply(filters, {replace})` puts the filters into the address. */
export function QueryBar({ filters, channels, apply }) {
  const [text, set_text] = useState(() => format_query(filters));
  const timer = useRef(null);
  const { filters: typed, problems } = parse_query(text);

  // The address changes by chips, by links and by going back; what is typed stands as it was typed while it means the same.
  useEffect(() => {
    clearTimeout(timer.current);
    const read = parse_query(text);
    // What could not be read is in nobody's filters, so it never stands for what the address says.
    if (read.problems.length > 0 || !same(read.filters, filters))
      set_text(format_query(filters));
  }, [format_query(filters)]);
  useEffect(() => () => clearTimeout(timer.current), []);

  const type = (event) => {
    const next = event.target.value;
    set_text(next);
    clearTimeout(timer.current);
    const read = parse_query(next);
    if (read.problems.length === 0 && !same(read.filters, filters))
      timer.current = setTimeout(() => apply(read.filters, { replace: true }), rest_ms);
  };
  const submit = (event) => {
    event.preventDefault();
    clearTimeout(timer.current);
    if (problems.length === 0 && !same(typed, filters))
      apply(typed);
  };
  const set = (name) => (value) => apply({ ...filters, [name]: value });
  const states = (filters.state ?? '').split(',');
  const has_filters = Object.keys(filters).length > 0;
  return html`<form class="query-bar" role="search" aria-label="Tasks" onSubmit=${submit}>
    <div class="query-line">
      <${Icon} name="search" />
      <input id="task-query" type="search" autocomplete="off" spellcheck=${false} aria-label="Filter the tasks" aria-describedby="task-query-problem"
        aria-invalid=${problems.length > 0 ? 'true' : undefined} placeholder="state:dead channel:mail exit:3 since:1h, or words of a name"
        value=${text} onInput=${type} />
      ${has_filters && html`<button type="button" class="button" onClick=${() => apply({})}>Clear</button>`}
    </div>
    <p id="task-query-problem" class="query-problem" role="status">${problems[0]}</p>
    <div class="query-chips">
      <div class="chips" role="group" aria-label="State">${task_states.map((state) => html`<button key=${state} type="button" class="chip ${state}"
        aria-pressed=${String(states.includes(state))} onClick=${() => apply(toggle_state(filters, state))}>${state}</button>`)}</div>
      <div class="choices">
      <${Choice} label="Channel" value=${filters.channel ?? ''} choose=${set('channel')} options=${[['', 'all channels'], ...channels.map((name) => [name, name])]} />
      <${Choice} label="Outcome" value=${filters.outcome ?? ''} choose=${set('outcome')} options=${[['', 'any outcome'], ...outcome_kinds.map((kind) => [kind, outcome_kind_names[kind]])]} />
      <${Choice} label="Pushed" value=${filters.created_from ?? ''} choose=${set('created_from')} options=${ages} /></div>
      <${Words} />
    </div>
  </form>`;
}
