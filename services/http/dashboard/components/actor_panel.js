// All that is known of one actor: its state and figures, its messages by kind with their times, and its lines.
import { busy_s, warning_of } from '../core/actor_rates.js';
import { count, duration, moment, rate } from '../core/format.js';
import { Fragment, html, useEffect, useRef } from '../core/html.js';
import { useKeys } from '../core/keyboard.js';
import { Ago } from './basics.js';
import { Icon } from './icons.js';

/** Times of messages are far below a second: 0.0000031 -> "3.1 µs". */
export function handling_time(seconds) {
  if (seconds === null || seconds === undefined || Number.isNaN(seconds))
    return '–';
  if (seconds >= 1)
    return duration(seconds);
  return seconds >= 0.001 ? `${(seconds * 1_000).toFixed(seconds < 0.01 ? 1 : 0)} ms` : `${(seconds * 1e6).toFixed(seconds < 1e-5 ? 1 : 0)} µs`;
}

const in_words = (name) => name.replaceAll('_', ' ');

function facts_of(actor, per_s, now) {
  const busy = busy_s(actor, now);
  const known = [
    ['Kind', actor.kind],
    actor.channel !== null && ['Channel', actor.channel],
    actor.watched_by && ['Watched by', actor.watched_by],
    actor.alive !== null && ['State', actor.alive === false ? 'ended' : busy === null ? 'waits for a message' : `busy for ${duration(busy)}`],
    actor.started_at && ['Started', html`<${Ago} at=${actor.started_at} now=${now} />`],
    actor.mailbox && ['Mailbox', `${count(actor.mailbox.depth)} wait, ${count(actor.mailbox.peak)} at most`],
    actor.messages && ['Handled', `${count(actor.messages.total)} in ${handling_time(actor.messages.total_s)}, ${rate(per_s)} now`],
    actor.last_message && ['Last message', `${in_words(actor.last_message.kind)} at ${moment(actor.last_message.at, now)}`],
    actor.restarts !== null && ['Restarts', count(actor.restarts)],
    actor.in_flight !== null && ['Open requests', count(actor.in_flight)],
  ];
  const own = { ...actor.credits, ...actor.facts };
  return [...known.filter(Boolean), ...Object.entries(own).map(([name, value]) => [in_words(name), count(value)])];
}

function Messages({ by_kind }) {
  const sorted = [...by_kind].sort((one, other) => other.count - one.count);
  return html`<h3>Messages by kind</h3>
    ${sorted.length === 0 ? html`<p class="soft">It has handled none yet.</p>` : html`<div class="table-scroll" tabindex="0" role="region" aria-label="Messages by kind"><table>
      <thead><tr><th scope="col">Kind</th><th scope="col" class="number">Count</th><th scope="col" class="number">Mean</th><th scope="col" class="number">Longest</th></tr></thead>
      <tbody>${sorted.map((one) => html`<tr key=${one.kind}><td>${in_words(one.kind)}</td><td class="number">${count(one.count)}</td><td class="number">${handling_time(one.count ? one.total_s / one.count : null)}</td>
        <td class="number">${handling_time(one.longest_s)}</td></tr>`)}</tbody></table></div>`}`;
}

function Lines({ name, edges, sent, address_of }) {
  const own = edges.filter(({ from, to }) => from === name || to === name).sort((one, other) => other.messages - one.messages).slice(0, 60);
  return html`<h3>What goes in and out</h3>
    ${own.length === 0 ? html`<p class="soft">Nothing yet.</p>` : html`<div class="table-scroll" tabindex="0" role="region" aria-label="What goes in and out"><table>
      <thead><tr><th scope="col">Way</th><th scope="col">Actor</th><th scope="col" class="number">Messages</th><th scope="col" class="number">Now</th></tr></thead>
      <tbody>${own.map(({ from, to, messages }) => { const other = from === name ? to : from; return html`<tr key=${`${from} ${to}`}><td>${from === name ? 'to' : 'from'}</td><td><a href=${address_of(other)}>${other}</a></td>
        <td class="number">${count(messages)}</td><td class="number">${rate(sent.get(`${from} ${to}`))}</td></tr>`; })}</tbody></table></div>`}`;
}

/** `actor` may be undefined: the address names one that is not there. */
export function ActorPanel({ name, actor, edges, rates, now, close, address_of }) {
  const head = useRef(null);
  useEffect(() => { head.current?.focus({ preventScroll: true }); }, [name]);
  useKeys([{ key: 'Escape', does: 'close the panel', run: close }]);
  const warning = actor && warning_of(actor, now);
  return html`<aside class="actor-panel" aria-label=${`Actor ${name}`}>
    <header><h2 tabindex="-1" ref=${head}>${name}</h2><button class="plain" aria-label="Close the panel" onClick=${close}><${Icon} name="close" /></button></header>
    ${!actor ? html`<p class="soft">There is no such actor.</p>` : html`
      ${warning && html`<p class="actor-warning"><span aria-hidden="true">⚠ </span>${name} ${actor.restarts > 0 && warning.startsWith('re') ? 'was' : actor.alive === false ? '' : 'is'} ${warning}.</p>`}
      <dl class="facts">${facts_of(actor, rates.handled.get(name), now).map(([term, value]) => html`<${Fragment} key=${term}><dt>${term}</dt><dd>${value}</dd><//>`)}</dl>
      ${actor.kind === 'service' && html`<p class="soft">A part of the daemon that is no actor: only what goes in and out is known of it.</p>`}
      ${actor.messages && html`<${Messages} by_kind=${actor.messages.by_kind} />`}
      <${Lines} name=${name} edges=${edges} sent=${rates.sent} address_of=${address_of} />`}
  </aside>`;
}
