// The frame around all pages: it loads by the daemon's own files alone, within its rules, and finds its way back and
// forth; it is dark or light as asked, and says when the daemon is away.
import assert from 'node:assert/strict';
import { dashboard_tests, open_view } from './support/dashboard.mjs';

const scenario = dashboard_tests();
/** Requests fail while nobody is there, and the browser says so. */
const away = /ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED_ENCODING|ERR_CONNECTION_RESET|ERR_EMPTY_RESPONSE|answered 50[23]|status of 50[23]/;
const titles = ['Overview', 'Channels', 'Tasks', 'Workers', 'Dead letters', 'Actors'];

scenario('the page loads from the daemon alone, and within its rules', async ({ page, open, daemon }) => {
  const requests = [];
  page.on('request', (request) => requests.push(request.url()));
  const loaded = page.waitForResponse(`${daemon.url}/`);
  await open();
  const answer = await loaded;
  assert.equal(answer.status(), 200);
  const rules = answer.headers()['content-security-policy'];
  assert.match(rules, /default-src 'none'/);
  assert.match(rules, /require-trusted-types-for 'script'/);
  assert.equal(await page.title(), 'Overview · TaskRunner');
  assert.ok(requests.some((url) => url.endsWith('/dashboard/app.js')));
  assert.deepEqual(requests.filter((url) => !url.startsWith(`${daemon.url}/`) && !url.startsWith('data:')), []);
});

scenario('what the rules forbid does not happen, and is seen by these tests', async ({ page, open, watch }) => {
  await open();
  const outcome = await page.evaluate(() => {
    const script = document.createElement('script');
    try {
      script.textContent = 'globalThis.has_run = true';
      document.body.append(script);
      document.body.innerHTML = '<b>markup</b>';
      return 'markup was taken';
    } catch (problem) {
      return problem.name;
    }
  });
  assert.equal(outcome, 'TypeError');
  assert.equal(await page.evaluate(() => globalThis.has_run), undefined);
  const elsewhere = await page.evaluate(async () => {
    const told = new Promise((resolve) => addEventListener('securitypolicyviolation', resolve, { once: true }));
    const name = await fetch('http://127.0.0.1:9/').catch((problem) => problem.name);
    await told;
    return name;
  });
  assert.equal(elsewhere, 'TypeError');
  assert.ok(watch.found.some((text) => text.includes('Content-Security-Policy: connect-src')), watch.found.join('\n'));
  assert.ok(watch.found.some((text) => text.includes('Content-Security-Policy: require-trusted-types-for')), watch.found.join('\n'));
  watch.allow(/./);
});

scenario('every page is reached by the navigation, and back and forward lead through them', async ({ page, open }) => {
  await open();
  const navigation = page.getByRole('navigation', { name: 'Pages' });
  for (const title of titles) {
    await navigation.getByRole('link', { name: title }).click();
    await page.getByRole('heading', { level: 1, name: title, exact: true }).waitFor();
    assert.equal(await page.title(), `${title} · TaskRunner`);
    assert.equal(await navigation.locator('[aria-current=page]').count(), 1);
  }
  for (const title of titles.slice(0, -1).reverse()) {
    await page.goBack();
    await page.getByRole('heading', { level: 1, name: title, exact: true }).waitFor();
  }
  await page.goForward();
  await page.getByRole('heading', { level: 1, name: titles[1], exact: true }).waitFor();
  await page.reload();
  await page.getByRole('heading', { level: 1, name: titles[1], exact: true }).waitFor();
});

scenario('keys lead to every page, and are listed', async ({ page, open }) => {
  await open();
  await page.keyboard.press('g');
  await page.keyboard.press('c');
  await page.getByRole('heading', { level: 1, name: 'Channels' }).waitFor();
  await page.keyboard.press('g');
  await page.keyboard.press('o');
  await page.getByRole('heading', { level: 1, name: 'Overview' }).waitFor();
  await page.keyboard.press('?');
  const dialog = page.getByRole('dialog', { name: 'Keys' });
  await dialog.waitFor();
  for (const title of titles)
    await dialog.getByText(`go to ${title}`).waitFor();
  await page.keyboard.press('Escape');
  await dialog.waitFor({ state: 'detached' });
});

scenario('it is light or dark as the system is, and as somebody chooses, also after the next visit', async ({ page, open }) => {
  const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  await open();
  const light = await background();
  await page.emulateMedia({ colorScheme: 'dark' });
  const dark = await background();
  assert.notEqual(dark, light);
  // From the system's to light, against what the system has.
  await page.getByRole('button', { name: 'Theme: system; change to light' }).click();
  assert.equal(await background(), light);
  await page.reload();
  await page.getByRole('button', { name: 'Theme: light; change to dark' }).click();
  assert.equal(await background(), dark);
  await page.emulateMedia({ colorScheme: 'light' });
  assert.equal(await background(), dark);
  await page.getByRole('button', { name: 'Theme: dark; change to system' }).click();
  assert.equal(await background(), light);
});

scenario('it says that the daemon is away, and goes on by itself when it is back', async ({ page, open, watch, daemon }) => {
  watch.allow(away);
  await open();
  await daemon.stop();
  await page.getByRole('status').filter({ hasText: /^not connected$/ }).waitFor();
  await daemon.start();
  await page.getByRole('status').filter({ hasText: /^live$/ }).waitFor();
});

scenario('the run time of a task stands still while nobody can tell whether it runs', async ({ page, open, watch, daemon }) => {
  watch.allow(away);
  await daemon.push({ id: 'runs-on', channel: 'default', command: { name: 'sleep', args: ['3600'] } });
  await daemon.wait_state('runs-on', 'running');
  // The page's own clock, so that minutes go by at once.
  await page.clock.install();
  await open('tasks/runs-on');
  const run_time = page.locator('dt', { hasText: /^Run time$/ }).locator('xpath=following-sibling::dd[1]');
  await run_time.waitFor();
  await page.clock.runFor(120_000);
  await run_time.filter({ hasText: /^2 m/ }).waitFor();
  await daemon.stop();
  await page.getByRole('status').filter({ hasText: /^not connected$/ }).waitFor();
  const known = await run_time.textContent();
  await page.clock.runFor(600_000);
  assert.equal(await run_time.textContent(), known);
  await daemon.start();
  await page.clock.runFor(10_000);
  await page.getByRole('status').filter({ hasText: /^live$/ }).waitFor();
});

scenario('an address that is none leads on', async ({ page }) => {
  await open_view(page, 'nothing/here');
  await page.getByRole('heading', { level: 1, name: 'No such page' }).waitFor();
  await page.getByRole('link', { name: 'Go to the overview' }).click();
  await page.getByRole('heading', { level: 1, name: 'Overview' }).waitFor();
});

scenario('somebody who uses the keyboard gets past the navigation', async ({ page, open }) => {
  await open();
  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  assert.equal(await page.evaluate(() => document.activeElement.id), 'main');
});
