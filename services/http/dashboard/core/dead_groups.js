// Groups of dead letters as sentences and queries: what a group is called, which tasks are meant by it, what became of a
// verb for all of it. Pure.
import { count, outcome } from './format.js';

/** How far back is looked, by what stands in the address; '' is as far as the daemon remembers. */
export const periods = [
  { name: '', label: 'All', length_ms: null },
  { name: '1h', label: '1 h', length_ms: 3_600_000 },
  { name: '24h', label: '24 h', length_ms: 86_400_000 },
  { name: '7d', label: '7 d', length_ms: 604_800_000 },
];

export const period_of = (name) => periods.find((one) => one.name === name) ?? periods[0];

/** What tells a group from the others, also after it was loaded anew. */
export const key_of_group = ({ outcome: { kind, code, signal }, fingerprint }) => `${kind} ${code ?? signal ?? ''} ${fingerprint ?? ''}`;

/** How all tasks of the group ended, as a heading: "exit 3", "timed out". */
export const name_of_group = (group) => outcome(group.outcome);

/** The line that says what went wrong; in words where nothing was written. */
export const line_of_group = ({ line, outcome: ended }) => line ?? ended.error ?? 'It wrote nothing.';

/** What the list of tasks is asked with, to find those of a group among its answer. */
export function query_of_group({ outcome: { kind, code }, channels }) {
  return { state: 'dead', outcome: kind, ...(kind === 'exited' ? { exit_code: code } : {}), ...(channels.length === 1 ? { channel: channels[0] } : {}) };
}

const of_tasks = (number) => `${count(number)} ${number === 1 ? 'task' : 'tasks'}`;

/** The ids that one request may name, of several groups: {ids, all}, with the number of tasks that are meant in all. */
export function ids_of_groups(groups, ids_max = 1_000) {
  const ids = [...new Set(groups.flatMap((group) => group.ids))].slice(0, ids_max);
  return { ids, all: groups.reduce((sum, group) => sum + group.count, 0) };
}

/** The groups in the order in which they are already shown, so that no button moves away under a hand; new ones by size. */
export function in_known_order(groups, keys) {
  const place = new Map(keys.map((key, index) => [key, index]));
  const known = groups.filter((group) => place.has(key_of_group(group))).sort((one, other) => place.get(key_of_group(one)) - place.get(key_of_group(other)));
  for (const group of groups.filter((one) => !place.has(key_of_group(one)))) {
    const at = known.findIndex((one) => one.count < group.count);
    known.splice(at < 0 ? known.length : at, 0, group);
  }
  return known;
}

/** The question before a verb is done: {title, text, verb}. `verb` is 'retry' or 'delete'. */
export function question_about(verb, groups) {
  const { ids, all } = ids_of_groups(groups);
  const word = verb === 'retry' ? 'Retry' : 'Delete';
  const part = ids.length < all ? ` One request names ${count(ids.length)}: these are the newest of ${count(all)}; do it again for the rest.` : '';
  const is_one = ids.length === 1;
  const what = verb === 'delete' ? `${is_one ? 'It and its' : 'They and their'} output ${is_one ? 'is' : 'are'} gone for good.`
    : is_one ? 'It goes back into line in its channel and runs again, with all its attempts.' : 'They go back into line in their channels and run again, with all their attempts.';
  const which = groups.length === 1 ? `${name_of_group(groups[0])}: ${line_of_group(groups[0])} ` : '';
  return { title: `${word} ${of_tasks(ids.length)}?`, text: `${which}– ${what}${part}`.replace(/^– /, ''), verb: `${word} ${of_tasks(ids.length)}` };
}

/** What became of it, in a sentence. */
export function result_of(verb, { done, refused }) {
  const said = verb === 'retry' ? `${of_tasks(done)} ${done === 1 ? 'is' : 'are'} in line again.` : `${of_tasks(done)} ${done === 1 ? 'is' : 'are'} deleted.`;
  return refused.length === 0 ? said : `${said} ${count(refused.length)} refused: ${refused[0].reason}`;
}
