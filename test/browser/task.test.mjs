// The page of one task, used as a person would: its output as it is printed, what became of each attempt, why it waits,
// and how it is ended and begun again.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after } from 'node:test';
import { dashboard_tests } from './support/dashboard.mjs';
import { set_scene } from './support/scene.mjs';

const scenario = dashboard_tests({ set_scene });

/** Where commands wait for a word of the test. */
const place = fs.mkdtempSync(path.join(os.tmpdir(), 'tr-browser-words-'));
after(() => fs.rmSync(place, { recursive: true, force: true }));

/** Says a word into a pipe; where nobody listens it fails at once. */
const say = (pipe) => fs.writeFileSync(pipe, '\n', { flag: fs.constants.O_WRONLY | fs.constants.O_NONBLOCK });

const shell = (text) => ({ name: 'sh', args: ['-c', text] });
const output_of = (page) => page.getByRole('region', { name: 'Output of the attempt' });
const notice = (page, text) => page.getByRole('status').filter({ hasText: text });
const state_is = (page, state) => page.getByRole('main').getByRole('status').filter({ hasText: state }).first().waitFor();

scenario('output is shown while it is printed', async ({ page, open, daemon }) => {
  const word = path.join(place, 'go-on');
  // The command reads a word from a pipe before each step, so that nothing here depends on time. It keeps both ends open: whoever
  // reads until the writer closes may mistake the end of one word for the next.
  await daemon.push({ id: 'speaks', task: 'speaks', command: shell(`mkfifo ${word}; exec 3<>${word}; echo first; read x <&3; printf 'second \\033[31mred\\033[0m <b>not bold</b>\\n'; read x <&3; echo last`) });
  await open('tasks/speaks');
  const output = output_of(page);
  await output.getByText('first').waitFor();
  assert.equal(await output.getByText('second').count(), 0);
  say(word);
  await output.getByText('<b>not bold</b>').waitFor();
  const colours = await output.getByText('red', { exact: true }).evaluate((red) => [getComputedStyle(red).color, getComputedStyle(red.parentElement).color]);
  assert.notEqual(colours[0], colours[1]);
  await state_is(page, 'running');
  say(word);
  await output.getByText('last').waitFor();
  await state_is(page, 'finished');
});

scenario('a search finds its words in the output', async ({ page, open }) => {
  await open('tasks/report-monday');
  await output_of(page).getByText('row 500').waitFor();
  await page.getByLabel('Search the output').fill('row 41');
  // 41 and 410 to 419.
  await page.getByText('of 11').waitFor();
  await page.getByRole('button', { name: 'Next one' }).click();
});

scenario('whoever leaves while earlier output is loaded hears no more of it', async ({ page, open, daemon }) => {
  await daemon.push({ id: 'long-output', channel: 'default', task: 'long output', command: shell('seq -f "line %g of a long output" 1 20000') });
  await daemon.wait_state('long-output', 'finished');
  await open('tasks/long-output');
  await output_of(page).getByText('line 20000 of a long output').waitFor();
  const is_stream = (request) => /follow=1/.test(request.url());
  await page.route(/follow=1/, () => {}); // it is never answered
  const asking = page.waitForRequest(is_stream);
  await page.getByRole('button', { name: /^Earlier output/ }).click();
  const asked = await asking;
  // It would give up by itself after 15 s, and complain of the daemon.
  const ended = page.waitForEvent('requestfailed', { predicate: (request) => request === asked, timeout: 8_000 });
  await page.getByRole('link', { name: 'Channels' }).click();
  await page.getByRole('heading', { level: 1, name: 'Channels' }).waitFor();
  await ended;
  assert.equal(await page.locator('.notice.failure').count(), 0);
});

scenario('earlier output joins what is shown', async ({ page, open }) => {
  await open('tasks/long-output');
  await output_of(page).getByText('line 20000 of a long output').waitFor();
  assert.equal(await output_of(page).getByText('line 9000 of a long output').count(), 0);
  const lines = () => output_of(page).evaluate((output) => [...output.innerText.matchAll(/line (\d+) of/g)].map((found) => Number(found[1])));
  const before = await lines();
  await page.getByRole('button', { name: /^Earlier output/ }).click();
  await page.waitForFunction((first) => !document.querySelector('.terminal-lines').textContent.startsWith(`line ${first} `), before[0]);
  const after = await lines();
  assert.ok(after.length > before.length);
  assert.deepEqual(after, Array.from({ length: after.length }, (_, index) => after[0] + index));
  assert.equal(after.at(-1), 20_000);
});

scenario('the output is downloaded byte for byte', async ({ page, open }) => {
  await open('tasks/report-monday');
  const coming = page.waitForEvent('download');
  await page.getByRole('link', { name: 'Download' }).click();
  const text = fs.readFileSync(await (await coming).path(), 'utf8');
  assert.equal(text, Array.from({ length: 500 }, (_, index) => `row ${index + 1}\n`).join(''));
});

scenario('it says why a task waits', async ({ page, open }) => {
  await open('tasks/backup-home');
  await page.getByRole('main').getByText(/paused/).first().waitFor();
  await open('tasks/transcode-14');
  await page.getByRole('main').getByText(/busy|workers?/).first().waitFor();
});

scenario('every attempt keeps its output', async ({ page, open, daemon }) => {
  await daemon.push({ id: 'tries', task: 'tries', command: shell('echo "this is try $TASK_RUNNER_ATTEMPT"; exit 7'), max_attempts: 2, backoff_s: 0 });
  await daemon.wait_state('tries', 'dead');
  await open('tasks/tries');
  await output_of(page).getByText('this is try 2').waitFor();
  await page.getByRole('link', { name: /^Output of attempt 1/ }).click();
  await output_of(page).getByText('this is try 1').waitFor();
  assert.match(page.url(), /attempt=1/);
  await page.goBack();
  await output_of(page).getByText('this is try 2').waitFor();
});

scenario('a running task gets a signal, is cancelled, and is tried again', async ({ page, open, daemon }) => {
  await daemon.push({ id: 'listens', task: 'listens', channel: 'cron', command: shell('trap "echo heard it" USR1; echo ready; while :; do sleep 0.05; done') });
  await open('tasks/listens');
  await output_of(page).getByText('ready').waitFor();
  await page.getByRole('button', { name: 'Signal' }).click();
  await page.getByRole('group', { name: 'Send a signal' }).getByRole('button', { name: /^USR1/ }).click();
  await notice(page, 'listens was sent USR1.').waitFor();
  await output_of(page).getByText('heard it').waitFor();
  await page.getByRole('button', { name: 'Cancel', exact: true }).click();
  await page.getByRole('dialog', { name: 'Cancel this task?' }).getByRole('button', { name: 'Cancel the task' }).click();
  await state_is(page, 'cancelled');
  await page.getByRole('button', { name: 'Retry' }).click();
  await state_is(page, 'running');
  assert.equal((await daemon.task('listens')).state, 'running');
  await daemon.api('POST', '/api/v1/tasks/listens/cancel', {});
  await state_is(page, 'cancelled');
});

scenario('it is run again with a change, and copied as a command', async ({ page, open, daemon }) => {
  await open('tasks/invoice-9');
  await output_of(page).getByText('no paper in tray 2').waitFor();
  await page.getByRole('button', { name: 'Copy as a command' }).or(page.getByRole('button', { name: 'Copy as' })).first().click();
  await page.getByRole('group', { name: 'Copy as a command' }).getByRole('button', { name: /curl/i }).click();
  const copying = page.getByRole('dialog');
  await copying.getByText(/curl /).first().waitFor();
  await page.keyboard.press('Escape');
  await copying.waitFor({ state: 'detached' });

  await page.getByRole('button', { name: 'Run again' }).click();
  const dialog = page.getByRole('dialog', { name: 'Push a task' });
  await dialog.getByLabel('Name').fill('print invoice 9 at last');
  const command = dialog.getByRole('textbox', { name: /Command|Program/ });
  await command.fill((await command.inputValue()).replace('exit 3', 'exit 0'));
  await dialog.getByRole('button', { name: 'Push the task' }).click();
  await page.getByRole('heading', { level: 1, name: 'print invoice 9 at last' }).waitFor();
  await state_is(page, 'finished');
  const id = decodeURIComponent(page.url().split('/').at(-1));
  assert.equal((await daemon.task(id)).channel, 'reports');
});

scenario('a task that is not there is no fault of the page', async ({ page, open, watch }) => {
  watch.allow(/answered 404|status of 404/);
  await open('tasks/nobody');
  await page.getByText('There is no task nobody.').waitFor();
});
