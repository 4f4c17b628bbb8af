// What can be done to a task, for its row and for its page: the actions that its state allows, in the order of a menu.
import { tasks as api } from '../core/api.js';
import { act, act_if_sure } from '../core/actions.js';
import { push_of } from '../core/task_forms.js';
import { notify } from './notices.js';
import { open_push } from './push_dialog.js';

/** The signals that are offered, with what people send them for. */
const signals = [
  { name: 'TERM', does: 'asks it to end' },
  { name: 'INT', does: 'as Ctrl-C does' },
  { name: 'HUP', does: 'often: read the settings again' },
  { name: 'USR1', does: 'what the program makes of it' },
  { name: 'USR2', does: 'what the program makes of it' },
  { name: 'STOP', does: 'halts it where it is' },
  { name: 'CONT', does: 'lets it go on' },
  { name: 'KILL', does: 'ends it at once' },
];

/** A name may be a whole script: sentences have its beginning. */
const title_chars_max = 70;
export const title_of = ({ task_name }) => (task_name.length > title_chars_max ? `${task_name.slice(0, title_chars_max - 1)}…` : task_name);

export const has_ended = (task) => ['finished', 'dead', 'cancelled'].includes(task.state);
const can_retry = (task) => task.state === 'dead' || task.state === 'cancelled';

export const cancel_task = (task) => {
  const cancel = async () => {
    const now = await api.cancel(task.id);
    return now.state === 'cancelled' ? `${title_of(task)} is cancelled.`
      : now.state === 'running' ? `${title_of(task)} has been asked to end, and still runs.`
        : `${title_of(task)} had ended before: it is ${now.state}.`;
  };
  return task.state !== 'running' ? act(cancel, (text) => text) : act_if_sure({
    title: 'Cancel this task?',
    text: `${title_of(task)} runs. All its processes get TERM, and after its grace KILL.`,
    verb: 'Cancel the task',
  }, cancel, (text) => text);
};

export const retry_task = (task) => act(() => api.retry(task.id), `${title_of(task)} is in line again.`);

export const delete_task = (task) => act_if_sure({
  title: 'Delete this task?',
  text: `${title_of(task)} and its output are gone for good.`,
  verb: 'Delete the task',
}, () => api.remove(task.id), `${title_of(task)} is deleted.`);

const signal_task = (task, name) => {
  const send = () => api.signal(task.id, name);
  const done = `${title_of(task)} was sent ${name}.`;
  return name !== 'KILL' ? act(send, done) : act_if_sure({
    title: 'Kill this task?',
    text: `${title_of(task)} gets no chance to clean up. It counts as failed, and is tried again where it may.`,
    verb: 'Send KILL',
  }, send, done);
};

/** Opens the push dialog with the same task. Lists do not tell all of it, so it is asked for. */
export const push_again = (task) => act(async () => open_push(push_of(task.options ? task : await api.get(task.id))));

export async function copy_text(text, what) {
  try {
    await navigator.clipboard.writeText(text);
    notify(`${what} is copied.`);
  } catch {
    notify(`The browser does not let this page copy. ${what}: ${text}`, { kind: 'failure' });
  }
}

/** The signals as items of a menu. `after` is called when one was sent. */
export const signal_items = (task, after) => signals.map(({ name, does }) => ({
  label: `${name}: ${does}`, danger: name === 'KILL',
  run: async () => { if (await signal_task(task, name)) after?.(); },
}));

/** All actions as items of a menu. `after` is called when one has changed something. */
export function task_items(task, { open, after }) {
  const then = (work) => async () => { if (await work()) after?.(); };
  const ended = has_ended(task);
  return [
    { label: 'Open', run: open },
    ...(task.state === 'running' ? [
      { label: 'Cancel …', run: then(() => cancel_task(task)) },
      { label: 'Send TERM', run: then(() => signal_task(task, 'TERM')) },
      { label: 'Kill …', danger: true, run: then(() => signal_task(task, 'KILL')) },
    ] : []),
    ...(!ended && task.state !== 'running' ? [{ label: 'Cancel', run: then(() => cancel_task(task)) }] : []),
    ...(can_retry(task) ? [{ label: 'Retry', run: then(() => retry_task(task)) }] : []),
    { label: 'Run again …', run: () => push_again(task) },
    { label: 'Copy the id', run: () => copy_text(task.id, 'The id') },
    ...(ended ? [{ label: 'Delete …', danger: true, run: then(() => delete_task(task)) }] : []),
  ];
}
