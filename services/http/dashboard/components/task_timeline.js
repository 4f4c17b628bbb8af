// The time of a task as a bar: what it waited for, and every attempt, in the colours of the states.
import { duration, moment, outcome } from '../core/format.js';
import { html } from '../core/html.js';
import { shares_of, timeline_of } from '../core/timeline.js';
import { Panel } from './basics.js';

const said = ({ kind, attempt, outcome: how, from, to }, more) => {
  const length = duration((to - from) / 1000);
  switch (kind) {
    case 'delayed': return `${length} until it was due`;
    case 'pause': return `${length} between attempts`;
    case 'pending': return `${length} in line`;
    case 'ahead': return `${length} until it is due`;
    case 'more': return `${length} with ${more} earlier attempts`;
    case 'running': return `attempt ${attempt} has been running for ${length}`;
    default: return `attempt ${attempt} ran for ${length}, ${outcome(how)}`;
  }
};

const kind_names = { pending: 'in line', delayed: 'not due yet', pause: 'between attempts', ahead: 'still to come', running: 'running', finished: 'succeeded', dead: 'failed', cancelled: 'cancelled', more: 'earlier attempts' };

export function TaskTimeline({ task, now }) {
  const { from, to, stretches, more } = timeline_of(task, now);
  if (stretches.length === 0)
    return null;
  const shares = shares_of(stretches);
  const kinds = [...new Set(stretches.map(({ kind }) => kind))];
  const sentences = stretches.map((one) => said(one, more));
  const end_name = stretches[stretches.length - 1].kind === 'ahead' ? 'due' : ['finished', 'dead', 'cancelled'].includes(task.state) ? 'ended' : 'now';
  return html`<${Panel} title="Timeline" kind="timeline-panel" extra=${html`<span class="soft">${duration((to - from) / 1000)} in all</span>`}>
    <div class="panel-body">
      <div class="timeline" role="img" aria-label=${`Pushed ${moment(task.created_at, now)}; ${sentences.join('; ')}`}>
        ${stretches.map((one, index) => html`<span key=${index} class="stretch ${one.kind}" style=${{ width: `${shares[index] * 100}%` }} title=${sentences[index]}>
          ${one.attempt && shares[index] > 0.035 ? one.attempt : ''}</span>`)}
      </div>
      <div class="timeline-ends soft"><span>pushed ${moment(task.created_at, now)}</span>
      <ul class="timeline-words">${kinds.map((kind) => {
        const of_kind = stretches.filter((one) => one.kind === kind);
        const sum = of_kind.reduce((total, one) => total + one.to - one.from, 0) / 1000;
        return html`<li key=${kind}><i class="stretch ${kind}" aria-hidden="true"></i>${kind_names[kind]} <strong>${duration(sum)}</strong></li>`;
      })}</ul><span>${end_name} ${moment(new Date(to).toISOString(), now)}</span></div>
    </div><//>`;
}
