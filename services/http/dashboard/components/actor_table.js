// The actors as a table: the same figures as on the map, in an order of one's choice.
import { warning_of } from '../core/actor_rates.js';
import { count, rate } from '../core/format.js';
import { html, useState } from '../core/html.js';
import { useRows } from '../core/rows.js';
import { handling_time } from './actor_panel.js';

/** Rows that are drawn at once. */
const rows_step = 100;

const mean_s = ({ messages }) => (messages?.total ? messages.total_s / messages.total : null);

const orders = {
  name: (one, other) => one.name.localeCompare(other.name),
  rate: (one, other, rates) => (rates.handled.get(other.name) ?? -1) - (rates.handled.get(one.name) ?? -1),
  mailbox: (one, other) => (other.mailbox?.depth ?? -1) - (one.mailbox?.depth ?? -1),
  peak: (one, other) => (other.mailbox?.peak ?? -1) - (one.mailbox?.peak ?? -1),
  handled: (one, other) => (other.messages?.total ?? -1) - (one.messages?.total ?? -1),
  mean: (one, other) => (mean_s(other) ?? -1) - (mean_s(one) ?? -1),
  restarts: (one, other) => (other.restarts ?? -1) - (one.restarts ?? -1),
};

const heads = [['name', 'Actor'], ['rate', 'Rate'], ['mailbox', 'Waiting'], ['peak', 'Most waiting'], ['handled', 'Handled'], ['mean', 'Mean time'], ['restarts', 'Restarts']];

export function ActorTable({ actors, rates, now_ms, sort, set_sort, chosen, address_of }) {
  const [rows, set_rows] = useState(rows_step);
  const order = Object.hasOwn(orders, sort ?? '') ? sort : 'name';
  const sorted = [...actors].sort((one, other) => orders[order](one, other, rates) || orders.name(one, other));
  const shown = sorted.slice(0, rows);
  const { current, table } = useRows(shown, ({ name }) => name);
  const number = (value) => html`<td class="number">${value === null || value === undefined ? '–' : count(value)}</td>`;
  return html`<div class="table-scroll" tabindex="0" role="region" aria-label="Table of actors"><table ref=${table}>
      <thead><tr>${heads.map(([name, text]) => html`<th key=${name} scope="col" class=${name === 'name' ? '' : 'number'} aria-sort=${order === name ? (name === 'name' ? 'ascending' : 'descending') : undefined}>
        <button class="sorter" onClick=${() => set_sort(name)}>${text}${order === name ? ' ↓' : ''}</button></th>`)}<th scope="col">State</th></tr></thead>
      <tbody>${shown.map((actor) => { const warning = warning_of(actor, now_ms); return html`<tr key=${actor.name} class=${`${actor.name === current ? 'current' : ''} ${actor.name === chosen ? 'chosen' : ''}`}>
        <td><a data-row-link href=${address_of(actor.name)}>${actor.name}</a></td><td class="number">${rate(rates.handled.get(actor.name))}</td>
        ${number(actor.mailbox?.depth)}${number(actor.mailbox?.peak)}${number(actor.messages?.total)}
        <td class="number">${handling_time(mean_s(actor))}</td>${number(actor.restarts)}
        <td>${warning ? html`<span class="actor-warning"><span aria-hidden="true">⚠ </span>${warning}</span>` : html`<span class="soft">${actor.kind === 'service' ? 'service' : 'well'}</span>`}</td></tr>`; })}</tbody>
    </table></div>
    ${sorted.length > shown.length && html`<p class="panel-body">
      <button class="button" onClick=${() => set_rows(rows + rows_step)}>Show ${count(Math.min(rows_step, sorted.length - shown.length))} more of ${count(sorted.length)}</button></p>`}`;
}
