// One task: what it is and can be made to do, why it waits, how its time went, and its output as it is printed.
import { count } from '../core/format.js';
import { html, useState } from '../core/html.js';
import { useKeys } from '../core/keyboard.js';
import { useNow } from '../core/resource.js';
import { go, link } from '../core/router.js';
import { useTask } from '../core/task_state.js';
import { Empty, Failure, Loading, Menu, PageHead, State, short_id } from '../components/basics.js';
import { CopyDialog, copy_ways } from '../components/copy_dialog.js';
import { OutputView } from '../components/output_view.js';
import { cancel_task, delete_task, has_ended, push_again, retry_task, signal_items } from '../components/task_actions.js';
import { TaskAttempts, TaskFacts } from '../components/task_facts.js';
import { TaskTimeline } from '../components/task_timeline.js';
import { TaskWhy } from '../components/task_why.js';

function Actions({ task, reload, copy }) {
  const [busy, set_busy] = useState(null);
  const ended = has_ended(task);
  const run = (name, work, then = reload) => async () => {
    set_busy(name);
    if (await work(task))
      then();
    set_busy(null);
    // A button that is gone with the state that it was for leaves the focus nowhere.
    setTimeout(() => { if (document.activeElement === document.body) document.getElementById('main')?.focus({ preventScroll: true }); });
  };
  const button = (name, work, kind = '') => html`<button type="button" class="button ${kind}" disabled=${busy !== null} onClick=${work}>${busy === name ? `${name} …` : name}</button>`;
  useKeys([
    { key: 'r', does: 'run it again', run: () => { push_again(task); } },
    { key: '.', does: 'the ways to copy', run: () => document.querySelector('.task-copy button')?.click() },
  ]);
  return html`
    ${!ended && button('Cancel', run('Cancel', cancel_task))}
    ${task.state === 'running' && html`<span><${Menu} label="Send a signal" words="Signal" items=${signal_items(task, reload)} /></span>`}
    ${(task.state === 'dead' || task.state === 'cancelled') && button('Retry', run('Retry', retry_task), 'primary')}
    <button type="button" class="button ${ended && task.state === 'finished' ? 'primary' : ''}" onClick=${() => push_again(task)}>Run again</button>
    <span class="task-copy"><${Menu} label="Copy as a command" words="Copy as" items=${copy_ways.map(({ name, label }) => ({ label: `${label} …`, run: () => copy(name) }))} /></span>
    ${ended && button('Delete', run('Delete', delete_task, () => go(link(['tasks']))), 'danger')}`;
}

function NoTask({ id, was_here }) {
  return html`${!was_here && html`<${PageHead} title="No such task" />`}
    <${Empty} title=${was_here ? 'This task has been deleted.' : `There is no task ${id}.`}>
      ${was_here ? 'What stands below is how it was when it was last seen. ' : 'It may have been deleted: ended tasks are kept for a time. '}
      <a href=${link(['tasks'])}>Go to the tasks</a><//>`;
}

/** The attempt whose output is shown: the one in the address if there is such a one, else the last. 0: none yet. */
const attempt_of = (task, query) => {
  const wanted = Number(query.attempt);
  return Number.isInteger(wanted) && wanted >= 1 && wanted <= task.attempt ? wanted : task.attempt;
};

export function Task({ id, query }) {
  const { task, error, is_gone, reload } = useTask(id);
  const now = useNow();
  const [copied_as, copy] = useState(null);
  if (!task)
    return is_gone ? html`<${NoTask} id=${id} />` : html`<${PageHead} title=${`Task ${short_id(id)}`} />
      ${error ? html`<${Failure} error=${error} again=${reload} />` : html`<${Loading} what="the task" />`}`;
  const shown = attempt_of(task, query);
  const runs = task.state === 'running' && shown === task.attempt;
  return html`<div class="task-page">
    <nav class="trail" aria-label="Where this is"><a href=${link(['tasks'])}>Tasks</a> <span aria-hidden="true">›</span>
      <a href=${link(['tasks'], { channel: task.channel })}>${task.channel}</a> <span aria-hidden="true">›</span> <span class="mono">${short_id(task.id)}</span></nav>
    <${PageHead} title=${task.task_name} note=${html`<span class="task-state" role="status"><${State} state=${task.state} />${task.held && html`<span class="soft">held</span>`}
      ${task.cancel_requested && task.state === 'running' && html`<span class="soft">is to end</span>`}</span>`}>
      ${!is_gone && html`<${Actions} task=${task} reload=${reload} copy=${copy} />`}
    <//>
    ${is_gone && html`<${NoTask} id=${id} was_here />`}
    ${error && html`<${Failure} error=${error} again=${reload} />`}
    ${!is_gone && !has_ended(task) && task.state !== 'running' && html`<${TaskWhy} task=${task} now=${now} />`}
    <${TaskTimeline} task=${task} now=${now} />
    <div class="task-columns">
      <div class="task-main">
        ${shown > 0 ? html`${task.attempts.length > 1 && html`<p class="shown-attempt soft">Attempt ${count(shown)} of ${count(task.attempts.length)}
            ${shown !== task.attempt && html` · <a href=${link(['tasks', id])}>Go to the last one</a>`}</p>`}
          <${OutputView} key=${`${id} ${shown}`} id=${id} attempt=${shown} running=${runs} />`
          : html`<section class="panel"><${Empty} title=${has_ended(task) ? 'It never started, so there is no output.' : 'No output yet.'}>${has_ended(task) ? '' : 'It is shown here, as it is printed, once the task has started.'}<//></section>`}
      </div>
      <div class="task-side">
        <${TaskAttempts} task=${task} shown=${shown} now=${now} />
        <${TaskFacts} task=${task} now=${now} />
      </div>
    </div>
    ${copied_as && html`<${CopyDialog} task=${task} way=${copied_as} close=${() => copy(null)} />`}
  </div>`;
}
