// What can be done to all tasks that are chosen, or to all that match the filters: counted first, then asked, then done.
import { tasks as api } from '../core/api.js';
import { count } from '../core/format.js';
import { html, useState } from '../core/html.js';
import { format_query, request_of } from '../core/task_query.js';
import { ask, notify } from './notices.js';

/** Tasks of one request, as the API bounds it. */
const ids_max = 1_000;
const matches_max = 10_000;

const verbs = {
  cancel: { title: 'Cancel', done: 'cancelled', text: 'Those that run get TERM, and after their grace KILL.', fits: (task) => ['pending', 'delayed', 'running'].includes(task.state) },
  retry: { title: 'Retry', done: 'in line again', text: 'They run again; their earlier attempts do not count.', fits: (task) => ['dead', 'cancelled'].includes(task.state) },
  delete: { title: 'Delete', done: 'deleted', text: 'They and their output are gone for good.', fits: (task) => ['finished', 'dead', 'cancelled'].includes(task.state) },
};

const tasks_of = (number) => (number === 1 ? '1 task' : `${count(number)} tasks`);

/** Carries a verb out for as long as there is more to do: {done, refused}. `progress` hears how many are done so far. */
async function carry_out(verb, requests, progress) {
  let done = 0;
  const refused = [];
  for (const body of requests)
    for (let more = true; more;) {
      const result = await api.bulk(verb, body);
      done += result.done;
      refused.push(...result.refused);
      progress(done);
      // What is refused matches the next time as well.
      more = result.more && result.done > 0;
    }
  return { done, refused };
}

function tell(verb, { done, refused }) {
  if (done > 0 || refused.length === 0)
    notify(`${tasks_of(done)} ${done === 1 ? 'is' : 'are'} ${verbs[verb].done}.`);
  if (refused.length > 0)
    notify(`Not done for ${refused.length === 1 ? refused[0].id : `${tasks_of(refused.length)}, first ${refused[0].id}`}: ${refused[0].reason}`, { kind: 'failure' });
}

/** Filters as a bulk request takes them: none at all must be said. */
const matching = (filters) => {
  const given = request_of(filters, Date.now());
  return { ...given, ...(Object.keys(given).length === 0 ? { all: true } : {}), ...(given.exit_code ? { exit_code: Number(given.exit_code) } : {}) };
};

const portions = (ids) => Array.from({ length: Math.ceil(ids.length / ids_max) }, (_one, index) => ({ ids: ids.slice(index * ids_max, (index + 1) * ids_max) }));

/**
 * `chosen` is a Map of the chosen tasks by id, `all` whether all that match are meant, `choose_all(yes)` changes that,
 * `clear` chooses none, `after` is called when something was done.
 */
export function BulkBar({ chosen, filters, all, choose_all, clear, after, can_choose_all }) {
  const [busy, set_busy] = useState(null);

  const run = async (verb) => {
    const { title, text, fits } = verbs[verb];
    set_busy({ verb, done: 0 });
    try {
      const ids = [...chosen.values()].filter(fits).map(({ id }) => id);
      const which = matching(filters);
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
      tell(verb, await carry_out(verb, all ? [{ ...which, limit: matches_max }] : portions(ids), (done) => set_busy({ verb, done })));
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
        disabled=${busy !== null || (!all && ![...chosen.values()].some(fits))} onClick=${() => run(verb)}>${busy?.verb === verb ? `${title} … ${busy.done > 0 ? count(busy.done) : ''}` : title}</button>`)}
      <button type="button" class="button" onClick=${clear}>Choose none</button>
    </div>
  </div>`;
}
