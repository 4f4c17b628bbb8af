// What the tests of the dashboard begin with: a daemon and a browser for each file, and a page of its own for each test,
// which must end without a complaint.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { accessibility_faults, open_browser, open_context, save_picture, widths } from './browser.mjs';
import { Daemon } from './daemon.mjs';

/** The longest test, milliseconds. */
const test_ms_max = 120_000;

/**
 * Tests of one file: `scenario(name, act, options)` opens a page and calls `act({page, daemon, open, watch, context})`.
 * `set_scene(daemon)` is called once, before all of them.
 */
export function dashboard_tests({ flags, set_scene = async () => {} } = {}) {
  const daemon = new Daemon({ flags });
  let browser;
  before(async () => {
    await daemon.start();
    await set_scene(daemon);
    browser = await open_browser();
  });
  after(async () => {
    await browser?.close();
    await daemon.remove();
  });
  return function scenario(name, act, { size = widths.wide, theme = 'light' } = {}) {
    test(name, { timeout: test_ms_max }, async () => {
      const { context, watch } = await open_context(browser, daemon, { size, theme });
      const page = await context.newPage();
      try {
        await act({ page, context, watch, daemon, open: (view = '') => open_view(page, view) });
        // What the page has said before this is answered has arrived.
        await page.evaluate(() => null);
        assert.deepEqual(watch.found, [], 'the page complained, or asked for what it should not');
      } catch (problem) {
        await save_picture(page, `failure ${name}`.replace(/[^a-z0-9]+/gi, '-'));
        if (watch.found.length > 0)
          problem.message += `\nmeanwhile: ${watch.found.join('\n           ')}`;
        throw problem;
      } finally {
        await context.close();
      }
    });
  };
}

/** Opens a view by its address behind the #, and waits until the page is live. */
export async function open_view(page, view = '') {
  await page.goto(`/#/${view}`);
  await page.getByRole('status').filter({ hasText: /^live$/ }).waitFor({ state: 'attached' });
  await page.getByRole('heading', { level: 1 }).waitFor();
}

/** Waits until what is found has the focus. */
export const focused = (page, found) => found.and(page.locator(':focus')).waitFor();

/** Nothing stands out of the page to the side, and axe has nothing to say. */
export async function check_page(page) {
  assert.deepEqual(await accessibility_faults(page), []);
  const [content, window] = await page.evaluate(() => [document.scrollingElement.scrollWidth, innerWidth]);
  assert.ok(content <= window, `the page is ${content} pixels wide in a window of ${window}`);
}

export { widths };
