// What can be done to all tasks that are chosen, or to all that match the filters: counted first, then asked, then done.
import { request, tasks as api } from '../core/api.js';
import { carry_out, matches_max, matching, portions } from '../core/bulk.js';
import { count } from '../core/format.js';
import { html, useEffect, useRef, useState } from '../core/html.js';
import { format_query } from '../core/task_query.js';
import { ask, notify } from './notices.js';

const verbs = {
  cancel: { title: 'Cancel', done: 'cancelled', text: 'Those that run get TERM, and after their grace KILL.', fits: (task) => ['pending', 'delayed', 'running'].includes(task.state) },
  retry: { title: 'Retry', done: 'in line again', text: 'They run again; their earlier attempts do not count.', fits: (task) => ['dead', 'cancelled'].includes(task.state) },
  delete: { title: 'Delete', done: 'deleted', text: 'They and their output are gone for good.', fits: (task) => ['finished', 'dead', 'cancelled'].includes(task.state) },
};

const tasks_of = (number) => (number === 1 ? '1 task' : `${count(number)} tasks`);

function tell(verb, { done, left, example, stopped }) {
  if (done > 0 || left === 0)
    notify(`${tasks_of(done)} ${done === 1 ? 'is' : 'are'} ${verbs[verb].done}.${stopped ? ' The rest is as it was, as the list was left.' : ''}`);
  if (left > 0 && !stopped)
    notify(`Not done for ${left === 1 && example ? example.id : `${tasks_of(left)}${example ? `, for example ${example.id}` : ''}`}: ${example?.reason ?? 'there was no time for it; try again'}`, { kind: 'failure' });
}

/** The daemon's time, milliseconds: it is what decides on what was there before a moment. */
const daemon_now_ms = async () => Date.parse((await request('GET', 'api/v1/daemon')).now);

/**
 * `chosen` is a Map of the chosen tasks by id, `all` whether all that match are meant, `choose_all(yes)` changes that,
 * `clear` chooses none, `after` is called when something was done.
 */
export function BulkBar({ chosen, filters, all, choose_all, clear, after, can_choose_all }) {
  const [busy, set_busy] = useState(null);
  const is_left = useRef(false);
  useEffect(() => () => { is_left.current = true; }, []);

  const run = async (verb) => {
    const { title, text, fits } = verbs[verb];
    set_busy({ verb, done: 0 });
    try {
      const ids = [...chosen.values()].filter(fits).map(({ id }) => id);
      const which = all ? matching(verb, filters, await daemon_now_ms()) : null;
      const counted = all ? await api.bulk(verb, { ...which, dry_run: true, limit: matches_max }) : { matched: ids.length, more: false };
      if (counted.matched === 0) {
        notify(`None of them can be ${verb === 'retry' ? 'retried' : `${verb}${verb === 'delete' ? 'd' : 'led'}`}.`, { kind: 'failure' });
        return;
      }
      const many = `${counted.more ? 'more than ' : ''}${tasks_of(counted.matched)}`;
      const left = all ? 0 : chosen.size - ids.length;
      const yes = await ask({ title: `${title} ${many}?`, verb: `${title} ${many}`,
        text: `${all ? `All that match${format_query(filters) ? ` ${format_query(filters)}` : ' no filter, in every channel'}. ` : ''}${text}${left > 0 ? ` ${tasks_of(left)} of those chosen cannot be, and ${left === 1 ? 'is' : 'are'} left out.` : ''}` });
      if (!yes)
        return;
      tell(verb, await carry_out((body) => api.bulk(verb, body), all ? [{ ...which, limit: matches_max }] : portions(ids),
        { progress: (done) => set_busy({ verb, done }), is_over: () => is_left.current }));
      if (!is_left.current)
        clear();
    } catch (error) {
      notify(error.message, { kind: 'failure' });
    } finally {
      set_busy(null);
      after();
    }
  };

  return html`<div class="bulk-bar" role="region" aria-label="Chosen tasks">
    <strong role="status">${all ? 'All that match are chosen' : `${tasks_of(chosen.size)} chosen`}</strong>
    ${can_choose_all && html`<button type="button" class="link-button" onClick=${() => choose_all(!all)}>${all ? 'Only those of this page' : 'Choose all that match'}</button>`}
    <div class="bulk-actions">
      ${Object.entries(verbs).map(([verb, { title, fits }]) => html`<button key=${verb} type="button" class="button ${verb === 'delete' ? 'danger' : ''}"
        disabled=${busy !== null || (!all && ![...chosen.values()].some(fits))} onClick=${() => run(verb)}>${busy?.verb === verb ? `${title} … ${busy.done > 0 ? count(busy.done) : ''}` : `${title} tasks`}</button>`)}
      <button type="button" class="button" onClick=${clear}>Choose none</button>
    </div>
  </div>`;
}
