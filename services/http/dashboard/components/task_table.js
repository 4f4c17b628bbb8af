// The table of tasks: a row each, with its actions, a box to choose it, and heads that set the order.
import { html } from '../core/html.js';
import { link } from '../core/router.js';
import { Ago, Menu, Outcome, RunTime, short_id, State } from './basics.js';
import { task_items, title_of } from './task_actions.js';

/** What a head of a column asks for, and what it asks for when it is that already. */
const orders = { pushed: ['', 'created'], ended: ['-ended', 'ended'] };

function Head({ name, sort, order_by, children }) {
  const [down, up] = orders[name];
  const is_down = sort === down;
  const is_up = sort === up;
  return html`<th scope="col" class="number" aria-sort=${is_down ? 'descending' : is_up ? 'ascending' : undefined}>
    <button type="button" class="sorter" onClick=${() => order_by(is_down ? up : down)}>${children}${is_down ? ' ↓' : is_up ? ' ↑' : ''}</button></th>`;
}

function Row({ task, now, chosen, choose, is_current, is_new, all, open, after }) {
  const classes = [chosen && 'chosen', is_current && 'current', is_new && 'arrived'].filter(Boolean).join(' ');
  return html`<tr class=${classes} data-task=${task.id}>
    <td class="column-choose"><input type="checkbox" aria-label=${`Choose ${title_of(task)}, ${short_id(task.id)}`} checked=${chosen} disabled=${all}
      onClick=${(event) => choose(task.id, event.shiftKey)} /></td>
    <td><${State} state=${task.state} />${task.held && html` <span class="soft" title="It waits for a task with the same concurrency key">held</span>`}
      ${task.cancel_requested && task.state === 'running' && html` <span class="soft">is to end</span>`}</td>
    <td class="column-task"><a class="task-link" href=${link(['tasks', task.id])} title=${task.task_name}>${task.task_name}</a>
      <span class="task-id soft" title=${task.id}>${short_id(task.id)}</span>
      <span class="task-more soft">${task.channel} · ${task.outcome ? html`<${Outcome} of=${task.outcome} /> · ` : ''}<${RunTime} task=${task} now=${now} /></span></td>
    <td class="column-channel"><a href=${link(['tasks'], { channel: task.channel })} title="Tasks of this channel">${task.channel}</a></td>
    <td class="number column-attempt">${task.attempt || '–'}</td>
    <td class="column-outcome"><${Outcome} of=${task.outcome} /></td>
    <td class="number column-run"><${RunTime} task=${task} now=${now} /></td>
    <td class="number column-pushed"><${Ago} at=${task.created_at} now=${now} /></td>
    <td class="number column-ended"><${Ago} at=${task.ended_at} now=${now} /></td>
    <td class="column-actions"><div class="cell-actions"><${Menu} label=${`Actions for ${title_of(task)}`} items=${task_items(task, { open: () => open(task.id), after })} /></div></td>
  </tr>`;
}

/**
 * `chosen`: a Map by id; `choose(id, as_range)`, `choose_page(yes)`; `order_by(sort)`; `open(id)`; `after()` when an
 * action has changed something; `all`: all that match are chosen, here or not.
 */
export function TaskTable({ items, now, arrived, current, chosen, all, choose, choose_page, sort, order_by, open, after, busy }) {
  const chosen_here = items.filter(({ id }) => chosen.has(id)).length;
  return html`<div class="table-scroll" tabindex="0" role="region" aria-label="Table of tasks" aria-busy=${String(busy)}><table class="task-table">
    <thead><tr>
      <th scope="col" class="column-choose"><input type="checkbox" aria-label="Choose all on this page" disabled=${all || items.length === 0}
        checked=${items.length > 0 && chosen_here === items.length} indeterminate=${chosen_here > 0 && chosen_here < items.length}
        onClick=${(event) => choose_page(event.target.checked)} /></th>
      <th scope="col">State</th><th scope="col">Task</th><th scope="col" class="column-channel">Channel</th><th scope="col" class="number column-attempt">Attempt</th>
      <th scope="col" class="column-outcome">Outcome</th><th scope="col" class="number column-run">Run time</th>
      <${Head} name="pushed" sort=${sort} order_by=${order_by}>Pushed<//><${Head} name="ended" sort=${sort} order_by=${order_by}>Ended<//>
      <th scope="col" class="column-actions"><span class="for-screen-readers">Actions</span></th></tr></thead>
    <tbody>${items.map((task) => html`<${Row} key=${task.id} task=${task} now=${now} chosen=${all || chosen.has(task.id)} choose=${choose} all=${all}
      is_current=${task.id === current} is_new=${arrived?.has(task.id)} open=${open} after=${after} />`)}</tbody>
  </table></div>`;
}
