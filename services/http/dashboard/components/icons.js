// The icons, as strokes in a 24 by 24 field. They stand beside words and say nothing of their own to screen readers.
import { html } from '../core/html.js';

const paths = {
  overview: 'M3 12h4l3 8 4-16 3 8h4',
  channels: 'M4 6h16M4 12h16M4 18h16M8 4v4M15 10v4M10 16v4',
  tasks: 'M9 6h11M9 12h11M9 18h11M4 6l1 1 1.5-2M4 12l1 1 1.5-2M4 18l1 1 1.5-2',
  workers: 'M3 5h9v4H3zM8 10h11v4H8zM5 15h7v4H5z',
  dead: 'M12 3l9 16H3zM12 10v4M12 16.5v.5',
  actors: 'M5 5h5v5H5zM14 14h5v5h-5zM14 5h5v5h-5zM10 7.5h4M16.5 10v4',
  push: 'M12 5v14M5 12h14',
  pause: 'M8 5v14M16 5v14',
  resume: 'M7 5l11 7-11 7z',
  drain: 'M4 5h16l-6 8v6l-4-2v-4z',
  more: 'M5 12h.01M12 12h.01M19 12h.01',
  close: 'M6 6l12 12M18 6L6 18',
  copy: 'M9 9h11v11H9zM5 15H4V4h11v1',
  retry: 'M4 12a8 8 0 1 1 2.5 5.8M4 20v-4h4',
  remove: 'M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13',
  settings: 'M4 7h10M18 7h2M4 17h2M10 17h10M14 5v4M6 15v4',
  theme: 'M12 4a8 8 0 1 0 0 16zM12 4a8 8 0 0 1 0 16',
  help: 'M9 9a3 3 0 1 1 4 2.8c-.8.4-1 1-1 1.9M12 17.5v.01',
  search: 'M10.5 4a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13zM15.5 15.5L20 20',
  stop: 'M6 6h12v12H6z',
  down: 'M6 9l6 6 6-6',
};

/** <${Icon} name="pause" /> */
export const Icon = ({ name }) => html`<svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false"><path d=${paths[name]} /></svg>`;
