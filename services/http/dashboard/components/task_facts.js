// What is known of a task besides its state: where it came from, what it runs and under which rules; and its attempts.
import { bytes, command, count, duration, outcome } from '../core/format.js';
import { html } from '../core/html.js';
import { link } from '../core/router.js';
import { own_distinct_key } from '../core/task_forms.js';
import { At, ChannelLink, IconButton, Outcome, Panel, RunTime } from './basics.js';
import { copy_text } from './task_actions.js';

/** Options in words; those without a row here are shown by their own names. */
const option_words = {
  timeout_s: ['Timeout', duration], grace_s: ['Grace', duration], backoff_s: ['First pause', duration], backoff_max_s: ['Longest pause', duration],
  expires_s: ['Expires after', duration], backoff: ['Pauses grow', String], jitter: ['Left to chance', String], delivery: ['Delivery', String],
  concurrency_max: ['At once with its key', count], cwd: ['Directory', String], user: ['User', String], nice: ['Nice', String], umask: ['Umask', String],
  retry_on: ['Retried on', (codes) => codes.map((code) => `exit ${code}`).join(', ')], stdin: ['Standard input', (text) => `${bytes(new TextEncoder().encode(text).length)}`],
};
/** Members of the options that have a fact of their own. */
const told_already = new Set(['max_attempts', 'priority', 'concurrency_key', 'distinct_key', 'env', 'limits']);

function options_of({ options }) {
  const rows = Object.entries(options).filter(([name]) => !told_already.has(name)).map(([name, value]) => {
    const [label, show] = option_words[name] ?? [name, JSON.stringify];
    return [label, show(value)];
  });
  for (const [name, value] of Object.entries(options.limits ?? {}))
    rows.push([`Limit ${name}`, count(value)]);
  return rows;
}

/**
 * The running or last attempt, and how many there may be. Those before a retry by hand do not count; with those that were
 * lost in crashes there may be more.
 */
function attempt_count({ attempt, attempts_before, max_attempts }) {
  const since = attempt - attempts_before;
  if (since > max_attempts)
    return count(attempt);
  const counted = `${count(since)} of ${count(max_attempts)}`;
  return attempts_before === 0 ? counted : `${count(attempt)}: ${counted} since the retry by hand`;
}

/** Text that scrolls where it is long, for keys as well. */
const long_text = (label, text) => html`<code class="fact-command" tabindex="0" role="region" aria-label=${label}>${text}</code>`;

export function TaskFacts({ task, now }) {
  const line = command(task);
  const env = Object.entries(task.options.env ?? {});
  const rows = [
    ['Id', html`<span class="fact-id"><code>${task.id}</code><${IconButton} icon="copy" label="Copy the id" onClick=${() => copy_text(task.id, 'The id')} /></span>`],
    ['Channel', html`<${ChannelLink} name=${task.channel} />`],
    task.task_name !== line && ['Command', long_text('The command', line)],
    ['Pushed', html`<${At} at=${task.created_at} now=${now} />`],
    task.execute_at && ['Due', html`<${At} at=${task.execute_at} now=${now} />`],
    task.started_at && ['Started', html`<${At} at=${task.started_at} now=${now} />`],
    task.ended_at && ['Ended', html`<${At} at=${task.ended_at} now=${now} />`],
    task.started_at && ['Run time', html`<${RunTime} task=${task} now=${now} />`],
    task.outcome && ['Outcome', html`<${Outcome} of=${task.outcome} />${task.outcome?.error && html`<span class="soft">: ${task.outcome.error}</span>`}`],
    ['Attempts', attempt_count(task)],
    task.recoveries > 0 && ['Lost to crashes', count(task.recoveries)],
    task.priority !== 0 && ['Priority', String(task.priority)],
    task.expires_at && ['Expires', html`<${At} at=${task.expires_at} now=${now} />`],
    task.distinct_key && ['Distinct by', own_distinct_key(task) ? html`<code>${task.distinct_key}</code>` : 'its command'],
    task.concurrency_key && ['Concurrency key', html`<code>${task.concurrency_key}</code>`],
    ...options_of(task),
    env.length > 0 && ['Variables', long_text('The variables', env.map(([name, value]) => `${name}=${value}`).join('\n'))],
  ].filter(Boolean);
  return html`<${Panel} title="Facts"><dl class="facts panel-body">${rows.map(([label, value]) => html`<dt key=${`${label} name`}>${label}</dt><dd key=${label}>${value}</dd>`)}</dl><//>`;
}

/** `shown`: the attempt whose output is shown; each row leads to its own. */
export function TaskAttempts({ task, shown, now }) {
  if (task.attempts.length < 2)
    return null;
  return html`<${Panel} title="Attempts" extra=${html`<span class="soft">${count(task.attempts.length)}</span>`}>
    <div class="table-scroll attempts" tabindex="0" role="region" aria-label="Table of attempts"><table>
      <thead><tr><th scope="col">Output</th><th scope="col">Started</th><th scope="col" class="number">Ran</th><th scope="col">Outcome</th></tr></thead>
      <tbody>${task.attempts.toReversed().map((attempt) => html`<tr key=${attempt.attempt} class=${attempt.attempt === shown ? 'chosen' : ''}>
        <td><a href=${link(['tasks', task.id], { attempt: attempt.attempt })} aria-current=${attempt.attempt === shown ? 'true' : undefined}
          aria-label=${`Output of attempt ${attempt.attempt}, ${outcome(attempt.outcome)}`}>Attempt ${attempt.attempt}</a></td>
        <td><${At} at=${attempt.started_at} now=${now} /></td>
        <td class="number"><${RunTime} task=${{ ...attempt, state: attempt.ended_at ? '' : 'running' }} now=${now} /></td>
        <td><${Outcome} of=${attempt.outcome} /></td></tr>`)}</tbody></table></div><//>`;
}
