// Why a task does not run: the daemon's sentence, what is in the way with links, its place in line, and a countdown.
import { channels as channels_api, tasks as api } from '../core/api.js';
import { act } from '../core/actions.js';
import { count, duration } from '../core/format.js';
import { html } from '../core/html.js';
import { useEvents } from '../core/live.js';
import { usePaced } from '../core/pace.js';
import { useResource } from '../core/resource.js';
import { At, Failure, Panel, State, TaskLink } from './basics.js';

/** It is asked again at most this often while its channel is busy. Milliseconds. */
const refresh_ms = 2_000;

const limit_names = { worker: 'workers of the channel', 'running-max': 'commands that the daemon runs at once', concurrency_max: 'tasks with its concurrency key at once' };
const used_of = ({ name, value, used }) => `${limit_names[name] ?? name}: ${used === undefined ? `${count(value)} at most` : `${count(used)} of ${count(value)} in use`}`;

function Blocker({ blocker, now, resume }) {
  switch (blocker.kind) {
    case 'task': return html`<${State} state=${blocker.state} /> <${TaskLink} id=${blocker.id} />`;
    case 'limit': return used_of(blocker);
    case 'time': return html`until <${At} at=${blocker.until} now=${now} />`;
    case 'store': return html`the store failed${blocker.until && html`; it is tried again at <${At} at=${blocker.until} now=${now} />`}`;
    case 'channel': return html`channel ${blocker.name} ${blocker.paused ? 'is paused' : blocker.closing ? 'is being removed' : blocker.starting ? 'is starting' : 'is down'}
      ${blocker.paused && html` <button type="button" class="button" onClick=${() => resume(blocker.name)}>Resume ${blocker.name}</button>`}`;
    default: return `the daemon ${blocker.draining ? 'drains' : 'runs no tasks: its task-mode is off'}`;
  }
}

export function TaskWhy({ task, now }) {
  const { data: why, error, reload } = useResource((signal) => api.why(task.id, signal), [task.id, task.state]);
  const ask = usePaced(reload, refresh_ms);
  useEvents((batch) => {
    if (batch.some(({ kind, data }) => kind === 'reset' || data.channel === task.channel))
      ask();
  });
  const resume = (name) => act(() => channels_api.resume(name), `${name} goes on.`).then(ask);
  if (!why)
    return error && error.status !== 404 ? html`<${Failure} error=${error} again=${reload} />` : null;
  const until_s = why.may_start_at ? (Date.parse(why.may_start_at) - now) / 1000 : null;
  const place = why.position ? `number ${count(why.position)} in line` : why.position_at_least ? `number ${count(why.position_at_least)} or later in line` : null;
  return html`<${Panel} title="Why it is not running" kind="why-panel" extra=${html`<span class="why-figures">
      ${place && html`<span>${place}</span>`}
      ${until_s !== null && html`<span>${until_s > 0 ? html`may start in <strong>${duration(until_s < 10 ? until_s : Math.ceil(until_s))}</strong>` : 'may start now'}</span>`}</span>`}>
    <div class="panel-body"><p>${why.message[0].toUpperCase()}${why.message.slice(1)}.</p>
      ${why.blocked_by.length > 0 && html`<ul class="blockers" aria-label="In the way">${why.blocked_by.map((blocker, index) =>
        html`<li key=${blocker.id ?? index}><${Blocker} blocker=${blocker} now=${now} resume=${resume} /></li>`)}</ul>`}
    </div><//>`;
}
