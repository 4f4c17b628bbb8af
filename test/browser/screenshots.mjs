// Makes the pictures of the READMEs anew (`run --update-screenshots`): the scene of the tests, with a few minutes of work
// behind it, so that there is something to be seen in plots and lanes.
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { open_browser, open_context } from './support/browser.mjs';
import { Daemon } from './support/daemon.mjs';
import { open_view } from './support/dashboard.mjs';
import { set_scene } from './support/scene.mjs';

const folder = process.env.TASK_RUNNER_BROWSER_SCREENSHOTS;
/** How long work is done, and how often some comes, milliseconds. */
const work_ms = 280_000;
const push_ms = 220;
/** The README loads them all. */
const bytes_max = 150_000;

/** Views and the theme they are shown in. */
const pictures = [
  { name: 'overview', at: '', theme: 'light', shows: (page) => page.getByRole('img', { name: /^Run time: / }) },
  { name: 'workers', at: 'workers', theme: 'dark', shows: (page) => page.getByRole('img', { name: /^video, last/ }) },
  { name: 'task', at: 'tasks/transcode-12', theme: 'light', shows: (page) => page.getByRole('region', { name: 'Output of the attempt' }).getByText('960') },
  { name: 'dead-letters', at: 'dead-letters', theme: 'dark', shows: (page) => page.getByText('no paper in tray 2').first() },
];

const kinds = [
  { channel: 'mail', what: 'welcome customer', length_s: 0.4 },
  { channel: 'mail', what: 'remind customer', length_s: 0.9 },
  { channel: 'reports', what: 'report of shop', length_s: 2.2 },
  { channel: 'default', what: 'thumbnail of picture', length_s: 0.6 },
  { channel: 'default', what: 'index page', length_s: 1.3 },
];

/** Work that comes and goes like a tide; now and then something fails. */
async function work(daemon) {
  const end = Date.now() + work_ms;
  for (let number = 1; Date.now() < end; ++number) {
    const kind = kinds[(number * 7) % kinds.length];
    const length_s = kind.length_s * (1 + 0.6 * Math.sin(number / 9) + 0.3 * Math.sin(number / 2.3));
    const code = number % 41 === 0 ? 3 : 0;
    const last_words = code ? 'echo "no paper in tray 2" >&2; ' : '';
    await daemon.push({ channel: kind.channel, task: `${kind.what} ${number}`, command: { name: 'sh', args: ['-c', `sleep ${length_s.toFixed(2)}; ${last_words}exit ${code} # ${number}`] } });
    await pause(push_ms * (1 + 0.45 * Math.sin(number / 60)));
  }
}

const daemon = new Daemon();
let browser = null;
try {
  await daemon.start();
  await set_scene(daemon);
  await work(daemon);
  browser = await open_browser();
  fs.mkdirSync(folder, { recursive: true });
  for (const { name, at, theme, shows } of pictures) {
    const { context, watch } = await open_context(browser, daemon, { theme });
    const page = await context.newPage();
    await open_view(page, at);
    await shows(page).waitFor();
    const file = path.join(folder, `${name}.png`);
    await page.screenshot({ path: file });
    await context.close();
    if (watch.found.length > 0)
      throw new Error(`${name}: ${watch.found.join('\n')}`);
    const { size } = fs.statSync(file);
    if (size > bytes_max)
      throw new Error(`${file} has ${size} bytes; ${bytes_max} are the most`);
    console.log(`${file}: ${size} bytes`);
  }
} finally {
  await browser?.close();
  await daemon.remove();
}
