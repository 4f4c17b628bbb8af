// What people do from here: each action says at once that it was taken, or why not, in a notice that screen readers
// read out. Actions that destroy something ask first.
import { notify, ask } from '../components/notices.js';

/** Runs `work`; returns whether it went well. `done` is what is said then: a text, or a function of the result. */
export async function act(work, done) {
  try {
    const result = await work();
    const text = typeof done === 'function' ? done(result) : done;
    if (text)
      notify(text);
    return true;
  } catch (error) {
    notify(error.message, { kind: 'failure' });
    return false;
  }
}

/** As act, after somebody has said yes to {title, text, verb}. */
export async function act_if_sure(question, work, done) {
  return (await ask(question)) ? act(work, done) : false;
}
