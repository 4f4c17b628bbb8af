// A task as a command that pushes the same, to look at and to copy: for curl, for PHP, for the command line.
import { address } from '../core/api.js';
import { html, useState } from '../core/html.js';
import { as_command_line, as_curl, as_php_http, as_php_redis, push_of } from '../core/task_forms.js';
import { Dialog } from './basics.js';
import { copy_text } from './task_actions.js';

/** The ways, in the order of the menu. Each makes {text, note} of the body of a push. */
export const copy_ways = [
  { name: 'curl', label: 'curl', make: (body) => ({ text: as_curl(body, address('api/v1/tasks').href) }) },
  { name: 'php-redis', label: 'PHP, by Redis', make: (body) => ({ text: as_php_redis(body), note: 'With phpredis, for a daemon that takes tasks from this Redis server.' }) },
  { name: 'php-http', label: 'PHP, by HTTP', make: (body) => ({ text: as_php_http(body, address('api/v1/tasks').href) }) },
  { name: 'line', label: 'command line', make: (body) => {
    const { line, left_out } = as_command_line(body);
    return { text: line, note: left_out.length > 0 ? `The command line has no flag for ${left_out.join(', ')}; that is left out.` : null };
  } },
];

export function CopyDialog({ task, way: first_way, close }) {
  const [name, set_name] = useState(first_way);
  const { label, make } = copy_ways.find((one) => one.name === name);
  const { text, note } = make(push_of(task));
  return html`<${Dialog} title=${`Copy as ${label}`} close=${close} wide>
    <div class="dialog-body">
      <div class="segmented" role="group" aria-label="As">${copy_ways.map((one) => html`<button key=${one.name} type="button" aria-pressed=${String(one.name === name)}
        onClick=${() => set_name(one.name)}>${one.label}</button>`)}</div>
      <pre class="preview" tabindex="0" role="region" aria-label="What is copied">${text}</pre>
      <p class="soft">${note ?? 'It pushes the same again: with an id of its own, and at once.'}</p>
    </div>
    <div class="dialog-actions"><button type="button" class="button" onClick=${close}>Close</button>
      <button type="button" class="button primary" autofocus onClick=${() => { copy_text(text, 'The text'); close(); }}>Copy</button></div>
  <//>`;
}
