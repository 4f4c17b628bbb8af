// A small line that shows how a number went, drawn as SVG: a table of channels has many of them.
import { html } from '../core/html.js';

const width = 110;
const height = 26;

/** The points of a line through `values` (null: unknown, taken for 0) in a field of 110 by 26. */
function line_of(values) {
  const highest = Math.max(1, ...values.map((value) => value ?? 0));
  const step = values.length > 1 ? width / (values.length - 1) : width;
  return values.map((value, index) => `${(index * step).toFixed(1)},${(height - 2 - ((value ?? 0) / highest) * (height - 4)).toFixed(1)}`);
}

/** `label` says in words what the line shows. */
export function Sparkline({ values, label }) {
  if (!values || values.length < 2)
    return html`<span class="soft">–</span>`;
  const points = line_of(values).join(' L');
  return html`<svg class="sparkline" viewBox="0 0 ${width} ${height}" preserveAspectRatio="none" role="img" aria-label=${label}>
    <path class="fill" d=${`M0,${height} L${points} L${width},${height} Z`} /><path d=${`M${points}`} />
  </svg>`;
}
