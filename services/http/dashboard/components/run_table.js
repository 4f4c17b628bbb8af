// The runs of the workers' page as a table, the newest start first: for those who read rather than look.
import { count, duration } from '../core/format.js';
import { html, useState } from '../core/html.js';
import { useRows } from '../core/rows.js';
import { ChannelLink, Empty, At } from './basics.js';
import { run_end, run_length_s, run_name } from './run_field.js';
import { link } from '../core/router.js';

/** Rows that are drawn at once. */
const rows_step = 100;

const Row = ({ run, now_ms, is_current }) => html`<tr class=${is_current ? 'current' : ''}>
  <td><a class="run-task" data-row-link href=${link(['tasks', run.id])} title=${run.id}>${run_name(run)}</a></td>
  <td><${ChannelLink} name=${run.channel} /></td>
  <td class="number">${run.attempt}</td>
  <td><span class="run-state"><i class="run-swatch ${run.kind}" aria-hidden="true"></i>${run_end(run)}</span></td>
  <td><${At} at=${new Date(run.started_ms).toISOString()} /></td>
  <td class="number">${duration(run_length_s(run, now_ms()))}</td>
</tr>`;

export function RunTable({ runs, now_ms }) {
  const [rows, set_rows] = useState(rows_step);
  const sorted = [...runs].sort((one, other) => other.started_ms - one.started_ms);
  const shown = sorted.slice(0, rows);
  const { current, table } = useRows(shown, ({ key }) => key);
  if (runs.length === 0)
    return html`<${Empty} title="Nothing ran in this time." />`;
  return html`<div class="table-scroll" tabindex="0" role="region" aria-label="Table of runs"><table ref=${table}>
      <thead><tr><th scope="col">Task</th><th scope="col">Channel</th><th scope="col" class="number">Attempt</th>
        <th scope="col">Outcome</th><th scope="col">Started</th><th scope="col" class="number">Run time</th></tr></thead>
      <tbody>${shown.map((run) => html`<${Row} key=${run.key} run=${run} now_ms=${now_ms} is_current=${run.key === current} />`)}</tbody>
    </table></div>
    ${sorted.length > shown.length && html`<p class="panel-body run-note">
      <button class="button" onClick=${() => set_rows(rows + rows_step)}>Show ${count(Math.min(rows_step, sorted.length - shown.length))} more of ${count(sorted.length)}</button></p>`}`;
}
