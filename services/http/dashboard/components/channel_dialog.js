// The dialog with a channel's settings: makes a new channel, or changes one that is there.
import { channels as api } from '../core/api.js';
import { reload_channels } from '../core/channels.js';
import { html, useState } from '../core/html.js';
import { Dialog } from './basics.js';
import { notify } from './notices.js';

/** The settings that are asked for here; the API knows more, and leaves those as they are. */
const numbers = [
  { name: 'worker', label: 'Workers', hint: 'Commands that run at once; empty: the daemon\'s default', min: 0, max: 1024 },
  { name: 'weight', label: 'Weight', hint: 'Its share when all channels want more than may run', min: 1, max: 1000 },
  { name: 'tasks_max', label: 'Most waiting tasks', hint: 'More are refused; empty: the daemon\'s default', min: 1, max: 1_000_000_000 },
  { name: 'max_attempts', label: 'Attempts', hint: 'How often a task may be tried', min: 1, max: 1000 },
  { name: 'backoff_s', label: 'First pause, seconds', hint: 'Between two attempts', min: 0, max: 31_622_400, step: 'any' },
  { name: 'timeout_s', label: 'Timeout, seconds', hint: 'The longest run of an attempt; empty: none', min: 0, max: 315_619_200, step: 'any' },
];

const distinct_modes = [
  ['off', 'off (false): the same task may be pushed again at any time'],
  ['until-finished', 'until-finished (true): not while the same one waits or runs'],
  ['while-pending', 'while-pending: not while the same one waits'],
];

/** Only what differs from what was there: {} means that nothing was changed. */
function changes_of(form, before) {
  const changes = {};
  for (const { name } of numbers) {
    const text = form[name].trim();
    const value = text === '' ? null : Number(text);
    if (value !== (before[name] ?? null))
      changes[name] = value;
  }
  if (form.distinct !== (before.distinct ?? 'off'))
    changes.distinct = form.distinct;
  return changes;
}

export function ChannelDialog({ channel, close }) {
  const before = channel?.settings ?? {};
  const [name, set_name] = useState('');
  const [problem, set_problem] = useState(null);
  const [form, set_form] = useState(() => ({ distinct: before.distinct ?? 'off', ...Object.fromEntries(numbers.map((one) => [one.name, String(before[one.name] ?? '')])) }));
  const set = (member) => (event) => set_form({ ...form, [member]: event.target.value });
  const save = async (event) => {
    event.preventDefault();
    const changes = changes_of(form, before);
    try {
      await (channel ? api.change(channel.name, changes) : api.make({ name: name.trim(), ...without_nulls(changes) }));
    } catch (error) {
      set_problem(error.message);
      return;
    }
    notify(channel ? `The settings of ${channel.name} hold from now on.` : `${name.trim()} is there.`);
    reload_channels();
    close();
  };
  return html`<${Dialog} title=${channel ? `Settings of ${channel.name}` : 'Make a channel'} close=${close}>
    <form onSubmit=${save}><div class="dialog-body">
      ${!channel && html`<div class="field"><label for="channel-name">Name</label>
        <input id="channel-name" required maxlength="255" autofocus value=${name} onInput=${(event) => set_name(event.target.value)} /></div>`}
      <div class="field"><label for="channel-distinct">Distinct</label>
        <select id="channel-distinct" value=${form.distinct} onChange=${set('distinct')}>
          ${distinct_modes.map(([mode, text]) => html`<option value=${mode} selected=${mode === form.distinct}>${text}</option>`)}</select></div>
      <div class="fields">${numbers.map(({ name: member, label, hint, min, max, step }) => html`<div class="field" key=${member}>
        <label for=${`channel-${member}`}>${label}</label>
        <input id=${`channel-${member}`} type="number" min=${min} max=${max} step=${step ?? 1} aria-describedby=${`channel-${member}-hint`} value=${form[member]} onInput=${set(member)} />
        <span class="hint" id=${`channel-${member}-hint`}>${hint}</span></div>`)}</div>
      <div role="alert">${problem && html`<p class="field-problem">${problem}</p>`}</div>
    </div>
    <div class="dialog-actions"><button type="button" class="button" onClick=${close}>${channel ? 'Keep it as it is' : 'Cancel'}</button>
      <button class="button primary">${channel ? 'Save the settings' : 'Make the channel'}</button></div></form>
  <//>`;
}

const without_nulls = (members) => Object.fromEntries(Object.entries(members).filter(([, value]) => value !== null));
