// The list of tasks, used as a person would: pushed from the dialog, found, chosen, ended and tried again.
import assert from 'node:assert/strict';
import { dashboard_tests, focused } from './support/dashboard.mjs';
import { set_scene } from './support/scene.mjs';

const scenario = dashboard_tests({ set_scene });

const table_of = (page) => page.getByRole('region', { name: 'Table of tasks' });
const row_of = (page, name) => table_of(page).getByRole('row').filter({ has: page.getByRole('link', { name, exact: true }) });
const notice = (page, text) => page.getByRole('status').filter({ hasText: text });
const filter_of = (page) => page.getByRole('searchbox', { name: 'Filter the tasks' });

async function choose(page, name, item) {
  await page.getByRole('button', { name: `Actions for ${name}` }).click();
  await page.getByRole('group', { name: `Actions for ${name}` }).getByRole('button', { name: item }).click();
}

scenario('a task is pushed from the dialog, and its output is shown', async ({ page, open, daemon }) => {
  await open('tasks');
  await page.getByRole('button', { name: 'Push a task' }).click();
  const dialog = page.getByRole('dialog', { name: 'Push a task' });
  await dialog.getByLabel('Command').fill('echo "hello & welcome" | tr a-z A-Z');
  await dialog.getByLabel('Channel').fill('mail');
  await dialog.getByLabel('Name').fill('a first greeting');
  assert.match(await dialog.getByRole('region', { name: 'The same with curl' }).textContent(), /curl .*api\/v1\/tasks/s);
  await dialog.getByRole('button', { name: 'Push the task' }).click();
  await page.getByRole('heading', { level: 1, name: 'a first greeting' }).waitFor();
  await page.getByRole('region', { name: 'Output of the attempt' }).getByText('HELLO & WELCOME', { exact: true }).waitFor();
  const id = decodeURIComponent(page.url().split('/').at(-1));
  const task = await daemon.wait_state(id, 'finished');
  assert.equal(task.channel, 'mail');
});

scenario('an argument of a program arrives as it was typed, and what is wrong is said at its field', async ({ page, open, daemon, watch }) => {
  await open('tasks');
  await page.getByRole('heading', { level: 1, name: 'Tasks' }).waitFor();
  await page.keyboard.press('n');
  const dialog = page.getByRole('dialog', { name: 'Push a task' });
  await dialog.getByRole('button', { name: 'Push the task' }).click();
  assert.equal(await dialog.getByLabel('Command').getAttribute('aria-invalid'), 'true');
  await dialog.getByLabel('words: a program and its arguments').check();
  await dialog.getByLabel('Program, then one argument per line').fill('printf\n[%s]\n$HOME "and" \\ *');
  await dialog.getByLabel('Name').fill('words as they are');
  await dialog.getByText('More', { exact: true }).click();
  watch.allow(/answered 4\d\d|status of 4\d\d/);
  await dialog.getByLabel('Other members, as JSON').fill('{"retry_on": "always"}');
  await dialog.getByRole('button', { name: 'Push the task' }).click();
  await dialog.locator('.field-problem').first().waitFor();
  await dialog.getByLabel('Other members, as JSON').fill('');
  await dialog.getByRole('button', { name: 'Push the task' }).click();
  await page.getByRole('region', { name: 'Output of the attempt' }).getByText('[$HOME "and" \\ *]').waitFor();
  const id = decodeURIComponent(page.url().split('/').at(-1));
  assert.deepEqual((await daemon.task(id)).command.args ?? (await daemon.task(id)).command.slice(1), ['[%s]', '$HOME "and" \\ *']);
});

scenario('filters are chips, words and an address, and back undoes them', async ({ page, open }) => {
  await open('tasks');
  await row_of(page, 'transcode film 12').waitFor();
  await page.getByRole('group', { name: 'State' }).getByRole('button', { name: 'dead' }).click();
  await row_of(page, 'transcode film 12').waitFor({ state: 'detached' });
  await row_of(page, 'print invoice 9').waitFor();
  assert.match(page.url(), /state=dead/);
  await page.getByRole('combobox', { name: 'Channel' }).selectOption('video');
  await row_of(page, 'print invoice 9').waitFor({ state: 'detached' });
  await row_of(page, 'transcode film 3').waitFor();
  assert.equal(await filter_of(page).inputValue(), 'state:dead channel:video');
  await page.goBack();
  await row_of(page, 'print invoice 9').waitFor();
  await page.reload();
  await row_of(page, 'print invoice 9').waitFor();
  await page.getByRole('button', { name: 'Clear' }).click();
  await row_of(page, 'transcode film 12').waitFor();

  await page.keyboard.press('/');
  await page.keyboard.type('exit:3');
  await row_of(page, 'transcode film 12').waitFor({ state: 'detached' });
  await row_of(page, 'print invoice 10').waitFor();
  await filter_of(page).fill('name:nobody');
  await page.getByText('No task matches.').waitFor();
  await filter_of(page).fill('exit:many');
  await page.getByText('"many" is no exit code').waitFor();
});

scenario('tasks appear and change without anybody asking', async ({ page, open, daemon }) => {
  await open('tasks');
  await row_of(page, 'transcode film 12').waitFor();
  await daemon.push({ id: 'comes-by-itself', task: 'comes by itself', channel: 'cron', command: { name: 'sleep', args: ['3600'] } });
  await row_of(page, 'comes by itself').getByText('running').waitFor();
  await daemon.api('POST', '/api/v1/tasks/comes-by-itself/cancel', {});
  await row_of(page, 'comes by itself').getByText('cancelled').first().waitFor();
});

scenario('a task is killed, tried again and deleted from its menu', async ({ page, open, daemon }) => {
  await daemon.push({ id: 'to-be-killed', task: 'to be killed', channel: 'default', command: { name: 'sleep', args: ['3600'] } });
  await daemon.wait_state('to-be-killed', 'running');
  await open('tasks');
  const row = row_of(page, 'to be killed');
  await row.getByText('running').waitFor();
  await choose(page, 'to be killed', 'Kill …');
  await page.getByRole('dialog', { name: 'Kill this task?' }).getByRole('button', { name: 'Send KILL' }).click();
  await notice(page, 'to be killed was sent KILL.').waitFor();
  await row.getByText('dead').waitFor();
  assert.deepEqual((await daemon.task('to-be-killed')).outcome, { kind: 'signalled', signal: 9 });
  await choose(page, 'to be killed', 'Retry');
  await notice(page, 'to be killed is in line again.').waitFor();
  await row.getByText('running').waitFor();
  await choose(page, 'to be killed', 'Cancel …');
  await page.getByRole('dialog', { name: 'Cancel this task?' }).getByRole('button', { name: 'Cancel the task' }).click();
  await row.getByText('cancelled').first().waitFor();
  await choose(page, 'to be killed', 'Delete …');
  await page.getByRole('dialog', { name: 'Delete this task?' }).getByRole('button', { name: 'Delete the task' }).click();
  await row.waitFor({ state: 'detached' });
  assert.equal((await fetch(`${daemon.own_url}/api/v1/tasks/to-be-killed`)).status, 404);
});

scenario('many are chosen and ended together, after they were counted', async ({ page, open, daemon }) => {
  const ids = ['bulk-1', 'bulk-2', 'bulk-3'];
  for (const id of ids)
    await daemon.push({ id, task: `later ${id}`, channel: 'default', delay: 3600, command: { name: 'echo', args: [id] } });
  await open('tasks?channel=default&state=delayed');
  await row_of(page, 'later bulk-1').waitFor();
  await page.getByRole('checkbox', { name: 'Choose all on this page' }).check();
  const bar = page.getByRole('region', { name: 'Chosen tasks' });
  await bar.getByText('3 tasks chosen').waitFor();
  await page.getByRole('checkbox', { name: /Choose later bulk-3/ }).uncheck();
  await bar.getByText('2 tasks chosen').waitFor();
  await bar.getByRole('button', { name: 'Cancel' }).click();
  await page.getByRole('dialog', { name: 'Cancel 2 tasks?' }).getByRole('button', { name: 'Cancel 2 tasks' }).click();
  await notice(page, '2 tasks are cancelled.').waitFor();
  assert.equal((await daemon.task('bulk-1')).state, 'cancelled');
  assert.equal((await daemon.task('bulk-2')).state, 'cancelled');
  assert.equal((await daemon.task('bulk-3')).state, 'delayed');
});

scenario('what a task is called and prints never becomes a part of the page', async ({ page, open, daemon }) => {
  const markup = '<img src=x onerror="globalThis.has_run = true"><b>bold</b>';
  await daemon.push({ id: 'markup', task: markup, channel: 'default', command: { name: 'printf', args: ['%s\n', markup] } });
  await daemon.wait_state('markup', 'finished');
  await open('tasks');
  await row_of(page, markup).waitFor();
  await open('tasks/markup');
  await page.getByRole('heading', { level: 1, name: markup }).waitFor();
  await page.getByRole('region', { name: 'Output of the attempt' }).getByText(markup, { exact: true }).waitFor();
  assert.equal(await page.locator('main img[src=x], main b').count(), 0);
  assert.equal(await page.evaluate(() => globalThis.has_run), undefined);
});

scenario('it is used by keys alone', async ({ page, open, daemon }) => {
  await daemon.push({ id: 'by-keys', task: 'by keys', channel: 'biz', delay: 3600 });
  await open('tasks?channel=biz');
  await row_of(page, 'by keys').waitFor();
  await page.keyboard.press('j');
  await page.keyboard.press('x');
  await page.getByRole('region', { name: 'Chosen tasks' }).getByText('1 task chosen').waitFor();
  await page.keyboard.press('Escape');
  await page.getByRole('region', { name: 'Chosen tasks' }).waitFor({ state: 'detached' });
  await page.keyboard.press('.');
  const menu = page.getByRole('group', { name: 'Actions for by keys' });
  await focused(page, menu.getByRole('button', { name: 'Open' }));
  await page.keyboard.press('ArrowDown');
  await focused(page, menu.getByRole('button', { name: 'Cancel' }));
  await page.keyboard.press('Enter');
  await notice(page, 'by keys is cancelled.').waitFor();
  await page.keyboard.press('j');
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { level: 1, name: 'by keys' }).waitFor();
});
