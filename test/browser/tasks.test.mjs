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

scenario('a push whose answer was lost is sent again, and carried out once', async ({ page, open, daemon, watch }) => {
  await open('tasks');
  await page.getByRole('button', { name: 'Push a task' }).click();
  const dialog = page.getByRole('dialog', { name: 'Push a task' });
  await dialog.getByLabel('Command').fill('echo carried out once');
  watch.allow(/failed request: POST|net::ERR_FAILED/);
  const keys = [];
  // The daemon gets it, and the page does not hear of that.
  await page.route('**/api/v1/tasks', async (route) => {
    keys.push(route.request().headers()['idempotency-key']);
    await route.fetch();
    await route.abort();
  }, { times: 1 });
  await dialog.getByRole('button', { name: 'Push the task' }).click();
  await dialog.getByText('the daemon cannot be reached').waitFor();
  const again = page.waitForRequest((request) => request.method() === 'POST' && request.url().endsWith('/api/v1/tasks'));
  await dialog.getByRole('button', { name: 'Push the task' }).click();
  keys.push((await again).headers()['idempotency-key']);
  await page.getByRole('heading', { level: 1, name: 'echo carried out once' }).waitFor();
  assert.ok(keys[0]);
  assert.equal(keys[1], keys[0]);
  const { items } = await daemon.api('GET', '/api/v1/tasks?name=carried+out+once');
  assert.equal(items.length, 1);

  // The same once more is meant to be another.
  await page.keyboard.press('n');
  await dialog.getByLabel('Command').fill('echo carried out once');
  await dialog.getByRole('button', { name: 'Push the task' }).click();
  await dialog.waitFor({ state: 'detached' });
  assert.equal((await daemon.api('GET', '/api/v1/tasks?name=carried+out+once')).items.length, 2);
});

scenario('keys that are pressed twice push once', async ({ page, open, daemon }) => {
  await open('tasks');
  await page.getByRole('button', { name: 'Push a task' }).click();
  const dialog = page.getByRole('dialog', { name: 'Push a task' });
  await dialog.getByLabel('Command').fill('echo pressed twice');
  let let_go;
  const held = new Promise((resolve) => { let_go = resolve; });
  const pushes = [];
  await page.route('**/api/v1/tasks', async (route) => {
    pushes.push(route.request().headers()['idempotency-key']);
    await held;
    await route.continue();
  });
  await page.keyboard.press('Control+Enter');
  await dialog.getByRole('button', { name: 'Pushing …' }).waitFor();
  await page.keyboard.press('Control+Enter');
  await page.keyboard.press('Control+Enter');
  let_go();
  await page.getByRole('heading', { level: 1, name: 'echo pressed twice' }).waitFor();
  assert.equal(pushes.length, 1);
  assert.equal((await daemon.api('GET', '/api/v1/tasks?name=pressed+twice')).items.length, 1);
});

scenario('a channel that is not there is made from the dialog', async ({ page, open, daemon, watch }) => {
  await open('tasks');
  await page.getByRole('button', { name: 'Push a task' }).click();
  const dialog = page.getByRole('dialog', { name: 'Push a task' });
  await dialog.getByLabel('Command').fill('echo in a new channel');
  await dialog.getByLabel('Channel').fill('brand-new');
  watch.allow(/answered 404|status of 404/);
  await dialog.getByRole('button', { name: 'Push the task' }).click();
  await dialog.getByRole('button', { name: 'Make it' }).click();
  await notice(page, 'brand-new is there.').waitFor();
  await dialog.getByRole('button', { name: 'Push the task' }).click();
  await page.getByRole('heading', { level: 1, name: 'echo in a new channel' }).waitFor();
  assert.equal((await daemon.task(decodeURIComponent(page.url().split('/').at(-1)))).channel, 'brand-new');
});

scenario('a task is found by its id, and by a piece of it', async ({ page, open, daemon }) => {
  const id = await daemon.push({ channel: 'cron', task: 'found by its id', delay: 3600 });
  await open('tasks');
  await row_of(page, 'found by its id').waitFor();
  await filter_of(page).fill(id.slice(-8));
  await page.getByText('By its id:').getByRole('link', { name: 'found by its id' }).waitFor();
  await filter_of(page).fill(id);
  await page.getByRole('heading', { level: 1, name: 'found by its id' }).waitFor();
});

scenario('a word of two lines is run again as one', async ({ page, open, daemon }) => {
  const args = ['-c', 'echo one;\necho "$1"', 'sh', ''];
  await daemon.push({ id: 'two-lines', channel: 'default', task: 'two lines', command: { name: 'sh', args } });
  await open('tasks/two-lines');
  await page.getByRole('button', { name: 'Run again' }).click();
  const dialog = page.getByRole('dialog', { name: 'Push a task' });
  await dialog.getByLabel('Name').fill('two lines again');
  await dialog.getByRole('button', { name: 'Push the task' }).click();
  await page.getByRole('heading', { level: 1, name: 'two lines again' }).waitFor();
  const { items } = await daemon.api('GET', '/api/v1/tasks?name=two+lines+again');
  assert.deepEqual((await daemon.task(items[0].id)).command.args, args);
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

scenario('what happens while the list is loaded is not missed', async ({ page, open, daemon }) => {
  await daemon.push({ id: 'ends-meanwhile', task: 'ends meanwhile', channel: 'cron', delay: 3600 });
  await open('tasks');
  await row_of(page, 'ends meanwhile').waitFor();
  let let_go;
  const held = new Promise((resolve) => { let_go = resolve; });
  let is_made;
  const made = new Promise((resolve) => { is_made = resolve; });
  await page.route(/\/api\/v1\/tasks\?.*channel=cron/, async (route) => {
    const answer = await route.fetch();
    is_made();
    await held;
    await route.fulfill({ response: answer });
  }, { times: 1 });
  // Whoever listens last is told last: the list has been told before.
  const told = page.evaluate(() => import('/dashboard/core/live.js').then(({ on_events }) => new Promise((resolve) => {
    on_events((batch) => { if (batch.some(({ data }) => data.id === 'ends-meanwhile' && data.state === 'cancelled')) resolve(); });
  })));
  await page.getByRole('combobox', { name: 'Channel' }).selectOption('cron');
  await made;
  await daemon.api('POST', '/api/v1/tasks/ends-meanwhile/cancel', {});
  await told;
  // Nothing is loaded anew once "Live" is off: what is shown then is what this answer and the events make of it.
  await page.getByRole('button', { name: 'Live' }).click();
  let_go();
  await row_of(page, 'ends meanwhile').getByText('cancelled').first().waitFor();
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

scenario('a task that somebody else deletes goes from the list, and its own page says so', async ({ page, open, daemon }) => {
  await daemon.push({ id: 'deleted-elsewhere', task: 'deleted elsewhere', channel: 'default', command: { name: 'false' } });
  await daemon.wait_state('deleted-elsewhere', 'dead');
  await open('tasks');
  const row = row_of(page, 'deleted elsewhere');
  await row.waitFor();
  // Nothing is loaded anew once "Live" is off: what goes then goes by what is told.
  await page.getByRole('button', { name: 'Live' }).click();
  const other = await page.context().newPage();
  await other.goto(page.url().replace(/tasks.*$/, 'tasks/deleted-elsewhere'));
  await other.getByRole('heading', { name: 'deleted elsewhere' }).waitFor();
  await daemon.api('DELETE', '/api/v1/tasks/deleted-elsewhere');
  await row.waitFor({ state: 'detached' });
  await other.getByText('This task has been deleted.').waitFor();
  await other.close();
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

scenario('all that match are those that were counted', async ({ page, open, daemon }) => {
  for (let number = 0; number < 51; ++number)
    await daemon.push({ id: `crowd-${number}`, task: `crowd ${number}`, channel: 'default', delay: 3600, command: { name: 'echo', args: [String(number)] } });
  await open('tasks?name=crowd');
  await row_of(page, 'crowd 50').waitFor();
  await page.getByRole('checkbox', { name: 'Choose all on this page' }).check();
  const bar = page.getByRole('region', { name: 'Chosen tasks' });
  await bar.getByRole('button', { name: 'Choose all that match' }).click();
  await bar.getByRole('button', { name: 'Cancel' }).click();
  const question = page.getByRole('dialog', { name: 'Cancel 51 tasks?' });
  await question.waitFor();
  await daemon.push({ id: 'crowd-late', task: 'crowd, and late', channel: 'default', delay: 3600 });
  await question.getByRole('button', { name: 'Cancel 51 tasks' }).click();
  await notice(page, '51 tasks are cancelled.').waitFor();
  assert.equal((await daemon.task('crowd-late')).state, 'delayed');
  assert.equal((await daemon.task('crowd-0')).state, 'cancelled');
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
