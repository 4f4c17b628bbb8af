// Notices that come and go, and the one question that may be open at a time. They are drawn once, by the frame.
import { html, useEffect, useRef, useState } from '../core/html.js';
import { useKeys } from '../core/keyboard.js';
import { Icon } from './icons.js';

/** How long a notice stays, milliseconds; failures longer, and for as long as somebody is at them. */
const notice_ms = 5_000;
const failure_ms = 10_000;
const notices_max = 4;

let show_notices = null;
let notices = [];
let open_question = null;
let next_number = 1;

function close(number) {
  notices = notices.filter((notice) => notice.number !== number);
  show_notices?.(notices);
}

function expire(number) {
  if (document.querySelector(`[data-notice="${number}"]:is(:hover, :focus-within)`))
    setTimeout(expire, notice_ms, number);
  else
    close(number);
}

/** Shows a sentence. `kind`: 'done' or 'failure'; `to`: {href, text}, a link behind it. */
export function notify(text, { kind = 'done', to = null } = {}) {
  const number = next_number++;
  notices = [...notices, { number, text, kind, to }].slice(-notices_max);
  show_notices?.(notices);
  setTimeout(expire, kind === 'done' ? notice_ms : failure_ms, number);
}

/** Asks {title, text, verb}; the answer is whether somebody pressed the verb. */
export function ask(question) {
  return open_question ? open_question(question) : Promise.resolve(false);
}

export function Notices() {
  const [shown, set_shown] = useState(notices);
  useEffect(() => {
    show_notices = set_shown;
    set_shown(notices);
    return () => { show_notices = null; };
  }, []);
  useKeys([{
    key: 'Escape', does: 'close what was told last', run: () => {
      if (notices.length === 0)
        return false;
      close(notices.at(-1).number);
      return true;
    },
  }]);
  return html`<div class="notices" role="status" aria-live="polite">
    ${shown.map(({ number, text, kind, to }) => html`<div key=${number} class="notice ${kind}" data-notice=${number}>
      <span>${text}${to && html` <a href=${to.href}>${to.text}</a>`}</span>
      <button class="plain" aria-label="Close this notice" onClick=${() => close(number)}><${Icon} name="close" /></button>
    </div>`)}
  </div>`;
}

export function Question() {
  const dialog = useRef(null);
  const answer = useRef(null);
  const [question, set_question] = useState(null);
  useEffect(() => {
    open_question = (next) => new Promise((resolve) => {
      // A question over a question: the first one was not answered with yes.
      answer.current?.(false);
      answer.current = resolve;
      set_question(next);
    });
    return () => { open_question = null; };
  }, []);
  useEffect(() => {
    if (question && !dialog.current.open)
      dialog.current.showModal();
  }, [question]);
  const finish = (yes) => {
    answer.current?.(yes);
    answer.current = null;
    dialog.current.close();
  };
  return html`<dialog ref=${dialog} class="question" aria-labelledby="question-title" onClose=${() => finish(false)}>
    <h2 id="question-title">${question?.title}</h2>
    <p>${question?.text}</p>
    <div class="dialog-actions">
      <button class="button" onClick=${() => finish(false)}>Keep it as it is</button>
      <button class="button danger" onClick=${() => finish(true)}>${question?.verb}</button>
    </div>
  </dialog>`;
}
