// A number with a minus and a plus: several quick presses are sent as one change.
import { html, useEffect, useRef, useState } from '../core/html.js';
import { LateChange } from '../core/late_change.js';

/** After the last press, before the change is sent. Milliseconds. */
const rest_ms = 400;

/** `change(number)` is called with what was chosen, and may return a promise: until then that is what is shown. */
export function Stepper({ value, min = 0, max = 1024, label, change }) {
  const [wanted, set_wanted] = useState(null);
  const latest = useRef(change);
  latest.current = change;
  const late = useRef(null);
  late.current ??= new LateChange(rest_ms, (next) => latest.current(next), (next) => set_wanted((now) => (now === next ? null : now)));
  // What was chosen holds, also when the page is left at once.
  useEffect(() => () => late.current.flush(), []);
  const shown = wanted ?? value;
  const step = (by) => {
    const next = Math.min(max, Math.max(min, shown + by));
    set_wanted(next);
    late.current.want(next);
  };
  return html`<span class="stepper" role="group" aria-label=${label}>
    <button aria-label="One fewer" disabled=${shown <= min} onClick=${() => step(-1)}>−</button>
    <output aria-live="polite">${shown}</output>
    <button aria-label="One more" disabled=${shown >= max} onClick=${() => step(1)}>+</button>
  </span>`;
}
