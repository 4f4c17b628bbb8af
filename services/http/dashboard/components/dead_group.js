// One group of dead letters: how many, how they ended and what they said last, what can be done with all of them, and
// the newest of its tasks when it is open.
import { tasks as api } from '../core/api.js';
import { line_of_group, name_of_group, query_of_group } from '../core/dead_groups.js';
import { count, duration } from '../core/format.js';
import { html, useId } from '../core/html.js';
import { useResource } from '../core/resource.js';
import { link } from '../core/router.js';
import { Ago, ChannelLink, Failure, Loading, short_id } from './basics.js';

/** Tasks that an open group shows, out of a list with this many that ended alike. */
const tasks_shown = 10;
const tasks_asked = 500;
const channels_shown = 4;

function NewestTasks({ group, now }) {
  const { data, error, reload } = useResource((signal) => api.list({ ...query_of_group(group), sort: '-ended', limit: tasks_asked }, signal), [group.sample_id, group.count]);
  if (error)
    return html`<${Failure} error=${error} again=${reload} />`;
  if (!data)
    return html`<${Loading} what="its tasks" />`;
  const ids = new Set(group.ids);
  const shown = data.items.filter(({ id }) => ids.has(id)).slice(0, tasks_shown);
  return html`<div class="table-scroll" tabindex="0" role="region" aria-label=${`Newest tasks of ${name_of_group(group)}: ${line_of_group(group)}`}><table>
      <thead><tr><th scope="col">Task</th><th scope="col">Channel</th><th scope="col" class="number">Attempts</th><th scope="col" class="number">Run time</th><th scope="col">Ended</th></tr></thead>
      <tbody>${shown.map((task) => html`<tr key=${task.id}>
        <td><a href=${link(['tasks', task.id])} title=${task.id}>${task.task_name}</a> <span class="soft mono">${short_id(task.id)}</span></td>
        <td><${ChannelLink} name=${task.channel} /></td><td class="number">${count(task.attempt)}</td>
        <td class="number">${duration(task.duration_s)}</td><td><${Ago} at=${task.ended_at} now=${now} /></td></tr>`)}</tbody>
    </table></div>
    <p class="soft dead-more">${group.count > shown.length && `The newest ${count(shown.length)} of ${count(group.count)}. `}<a href=${link(['tasks'], query_of_group(group))}>All tasks that ended so</a></p>`;
}

function Channels({ names }) {
  return html`${names.slice(0, channels_shown).map((name, index) => html`${index > 0 && ', '}<${ChannelLink} key=${name} name=${name} />`)}
    ${names.length > channels_shown && html` and ${count(names.length - channels_shown)} more`}`;
}

/** `share` is the part of all dead letters shown, 0 to 1; `act_on(verb)` does it to the whole group. */
export function DeadGroup({ group, share, now, is_open, is_current, is_chosen, toggle, choose, act_on }) {
  const id = useId();
  const name = name_of_group(group);
  const all = group.count === 1 ? '' : `all ${count(group.count)}`;
  return html`<li class="dead-group ${is_current ? 'current' : ''} ${is_chosen ? 'chosen' : ''}">
    <div class="dead-row">
      <input type="checkbox" class="dead-choose" aria-label=${`Choose ${name}: ${line_of_group(group)}`} checked=${is_chosen} onChange=${choose} />
      <div class="dead-count"><strong>${count(group.count)}</strong><span class="dead-share" aria-hidden="true"><i style=${{ width: `${Math.max(2, share * 100)}%` }}></i></span></div>
      <div class="dead-what">
        <h2><button class="dead-open" data-row-link aria-expanded=${is_open} aria-controls=${id} onClick=${toggle}>
          <span class="dead-mark" aria-hidden="true">${is_open ? '▾' : '▸'}</span><span class="dead-outcome">${name}</span> <code class=${group.line ? '' : 'soft'}>${line_of_group(group)}</code></button></h2>
        <p class="soft"><span>in <${Channels} names=${group.channels} /></span><span>last <${Ago} at=${group.newest_ended_at} now=${now} /></span>
          ${group.count > 1 && html`<span>first <${Ago} at=${group.oldest_ended_at} now=${now} /></span>`}
          <a href=${link(['tasks', group.sample_id])}>Open the newest</a></p>
      </div>
      <div class="dead-actions">
        <button class="button" aria-label=${`Retry ${all || 'it'}: ${name}, ${line_of_group(group)}`} onClick=${() => act_on('retry')}>Retry ${all}</button>
        <button class="button danger" aria-label=${`Delete ${all || 'it'}: ${name}, ${line_of_group(group)}`} onClick=${() => act_on('delete')}>Delete ${all}</button>
      </div>
    </div>
    <div class="dead-tasks" id=${id} hidden=${!is_open}>${is_open && html`<${NewestTasks} group=${group} now=${now} />`}</div>
  </li>`;
}
