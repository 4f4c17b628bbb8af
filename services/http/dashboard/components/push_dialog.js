// The dialog that pushes a task: what to run and where, more of it when wanted, and the same as a line for curl.
import { ApiError, address, channels as channels_api, tasks as api } from '../core/api.js';
import { reload_channels, useChannels } from '../core/channels.js';
import { html, useId, useRef, useState } from '../core/html.js';
import { body_of, field_of_error, form_fields, form_of } from '../core/push_form.js';
import { go, link } from '../core/router.js';
import { as_curl } from '../core/task_forms.js';
import { Dialog, short_id } from './basics.js';
import { notify } from './notices.js';
import { title_of } from './task_actions.js';

/** Opens the dialog with a task to begin with, as POST /api/v1/tasks takes it. */
export const open_push = (task = {}) => dispatchEvent(new CustomEvent('push-task', { detail: task }));

const open_key = 'task-runner.push-opens';
const remembers_to_open = () => {
  try {
    return localStorage.getItem(open_key) !== 'no';
  } catch {
    return true;
  }
};
const remember_to_open = (yes) => {
  try {
    localStorage.setItem(open_key, yes ? 'yes' : 'no');
  } catch {
    // Without a memory the next dialog begins as the first one did: there is nobody to tell.
  }
};

/** A key that no other request has; randomUUID is missing where a page came over plain HTTP. */
const make_key = () => [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, '0')).join('');

/** Whether the daemon has decided on a push, so that the next one is another, also when it says the same. */
const is_decided = ({ status, code }) => status >= 400 && status < 500 && code !== 'in_progress';

function Field({ label, hint, problem, children, wide }) {
  const id = useId();
  return html`<div class="field ${wide ? 'wide' : ''}"><label for=${id}>${label}</label>
    ${children({ id, 'aria-describedby': `${id}-hint`, 'aria-invalid': problem ? 'true' : undefined })}
    <span id=${`${id}-hint`} class=${problem ? 'field-problem' : 'hint'}>${problem ?? hint}</span></div>`;
}

function Mode({ mode, choose }) {
  const one = (value, text) => html`<label class="check"><input type="radio" name="push-mode" value=${value} checked=${mode === value} onChange=${() => choose(value)} />${text}</label>`;
  return html`<fieldset class="push-mode"><legend>Run it as</legend>${one('line', 'a shell line')}${one('words', 'words: a program and its arguments')}</fieldset>`;
}

export function PushDialog({ given, close }) {
  const { channels } = useChannels();
  const [form, set_form] = useState(() => form_of(given));
  const [problems, set_problems] = useState({});
  const [general, set_general] = useState(null);
  const [duplicate, set_duplicate] = useState(null);
  // The name of the channel that is not there.
  const [missing_channel, set_missing_channel] = useState(null);
  const [busy, set_busy] = useState(false);
  const [opens, set_opens] = useState(remembers_to_open);
  const place = useRef(null);
  const sending = useRef(false);
  // Of the push whose answer may have been lost: sent again, it is carried out once.
  const key = useRef(null);
  const channel_list = useId();
  const { body, problems: missing } = body_of(form);
  const set = (name) => (event) => {
    set_form({ ...form, [name]: event.target.value });
    set_problems({ ...problems, [name]: undefined });
    set_duplicate(null);
    set_missing_channel(null);
  };
  const with_more = form_fields.some(({ name }) => form[name]) || form.rest !== '';

  const show_problems = (found, sentence = null) => {
    set_problems(found);
    set_general(sentence);
    // The first field that is wrong has the focus, also where "More" hides it.
    setTimeout(() => {
      const wrong = place.current?.querySelector('[aria-invalid="true"]');
      wrong?.closest('details')?.setAttribute('open', '');
      wrong?.focus();
    });
  };
  const push = async (event) => {
    event.preventDefault();
    if (sending.current)
      return;
    set_general(null);
    if (Object.keys(missing).length > 0) {
      show_problems(missing);
      return;
    }
    const text = JSON.stringify(body);
    if (key.current?.text !== text)
      key.current = { text, value: make_key() };
    sending.current = true;
    set_busy(true);
    try {
      const answer = await api.push(body, key.current.value);
      key.current = null;
      remember_to_open(opens);
      if (!answer.result) {
        set_duplicate(answer);
        return;
      }
      notify(`${title_of(answer)} is pushed.`, { to: { href: link(['tasks', answer.task_id]), text: short_id(answer.task_id) } });
      close();
      if (opens)
        go(link(['tasks', answer.task_id]));
    } catch (error) {
      if (!(error instanceof ApiError))
        throw error;
      if (is_decided(error))
        key.current = null;
      if (error.status === 404 && body.channel) {
        set_missing_channel(body.channel);
        show_problems({ channel: `There is no channel ${body.channel}.` });
        return;
      }
      const field = error.status === 0 ? null : field_of_error(error.message, form);
      show_problems(field ? { [field]: error.message } : {}, field ? null : error.message);
    } finally {
      sending.current = false;
      set_busy(false);
    }
  };
  const make_channel = async () => {
    try {
      await channels_api.make({ name: missing_channel });
      notify(`${missing_channel} is there.`);
      set_missing_channel(null);
      set_problems({});
      reload_channels();
    } catch (error) {
      set_general(error.message);
    }
  };
  // Ctrl-Enter pushes from within the command, where Enter makes a new line.
  const on_key = (event) => {
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey))
      push(event);
  };
  const text_field = (name, label, hint, more = {}) => html`<${Field} key=${name} label=${label} hint=${hint} problem=${problems[name]}>
    ${(about) => html`<input ...${about} ...${more} autocomplete="off" spellcheck=${false} value=${form[name]} onInput=${set(name)} />`}<//>`;

  return html`<${Dialog} title="Push a task" close=${close} wide>
    <form ref=${place} onSubmit=${push} onKeyDown=${on_key} noValidate><div class="dialog-body push-form">
      <${Mode} mode=${form.mode} choose=${(mode) => set_form({ ...form, mode })} />
      <${Field} label=${form.mode === 'line' ? 'Command' : 'Program, then one argument per line'} problem=${problems.command}
        hint=${form.mode === 'line' ? 'A shell reads it: pipes, quotes and && work. Ctrl-Enter pushes.' : 'No shell looks at it: every line is passed on as it is, one in double quotes as the text of that JSON: "two\\nlines", "". Ctrl-Enter pushes.'}>
        ${(about) => html`<textarea ...${about} rows="4" autofocus spellcheck=${false} value=${form.command} onInput=${set('command')}></textarea>`}<//>
      <div class="fields">
        ${text_field('channel', 'Channel', 'empty: the default channel', { list: channel_list })}
        ${text_field('name', 'Name', 'what it is called; empty: its command')}
      </div>
      <datalist id=${channel_list}>${(channels ?? []).map(({ name }) => html`<option key=${name} value=${name}></option>`)}</datalist>
      <details open=${with_more || undefined}><summary>More</summary>
        <div class="fields">${form_fields.map(({ name, label, hint, number }) => text_field(name, label, hint, number ? { inputmode: 'decimal' } : {}))}</div>
        <${Field} label="Other members, as JSON" problem=${problems.rest} hint='All that the API takes: {"cwd": "/srv", "env": {"A": "b"}, "retry_on": [75]}'>
          ${(about) => html`<textarea ...${about} rows=${form.rest ? 4 : 2} spellcheck=${false} value=${form.rest} onInput=${set('rest')}></textarea>`}<//>
      </details>
      <div class="field"><span class="label">The same with curl</span><pre class="preview curl" tabindex="0" role="region" aria-label="The same with curl">${as_curl(body, address('api/v1/tasks').href)}</pre></div>
      <div role="alert">${missing_channel && html`<p class="banner">There is no channel ${missing_channel} yet. <button type="button" class="link-button" onClick=${make_channel}>Make it</button></p>`}
        ${general && html`<p class="field-problem">${general}</p>`}
        ${duplicate && html`<p class="banner">Nothing was pushed: its channel has the same task already.
          <a href=${link(['tasks', duplicate.task_id])} onClick=${close}>Go to ${short_id(duplicate.task_id)}</a></p>`}</div>
    </div>
    <div class="dialog-actions">
      <label class="check push-opens"><input type="checkbox" checked=${opens} onChange=${(event) => set_opens(event.target.checked)} />Show its output afterwards</label>
      <button type="button" class="button" onClick=${close}>Close</button>
      <button class="button primary" disabled=${busy}>${busy ? 'Pushing …' : 'Push the task'}</button></div></form>
  <//>`;
}
