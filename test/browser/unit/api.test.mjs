// Requests of the page: an answer counts when all of it has come, and what is wrong with it is said.
import assert from 'node:assert/strict';
import http from 'node:http';
import { after, before, test } from 'node:test';
import { read_output, request, tasks } from '../../../services/http/dashboard/core/api.js';

const answers = {
  '/half': (response) => response.writeHead(200, { 'Content-Type': 'application/json' }).write('{"data":'),
  '/page': (response) => response.end('<html>a proxy</html>'),
  '/whole': (response) => response.end('{"data":{"found":true}}'),
  '/refused': (response) => response.writeHead(409).end('{"error":{"code":"conflict","detail":"it is there"}}'),
  '/api/v1/tasks/a/output': (response) => response.writeHead(200, { 'X-Output-Size': '1000' }).end('the end'),
};
const asked = [];
const server = http.createServer((asking, response) => {
  asked.push({ method: asking.method, path: asking.url, key: asking.headers['idempotency-key'] });
  const answer = answers[asking.url] ?? ((one) => one.end('{"data":{}}'));
  answer(response);
});
before(async () => {
  await new Promise((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  globalThis.document = { baseURI: `http://127.0.0.1:${server.address().port}/` };
});
after(() => {
  server.closeAllConnections();
  server.close();
});

const failure_of = (work) => work.then(() => assert.fail('it went well'), ({ name, status, code, message }) => ({ name, status, code, message }));

test('an answer that stops in its midst is one that did not come in time', async () => {
  const { status, code, message } = await failure_of(request('GET', 'half', { timeout_ms: 300 }));
  assert.deepEqual([status, code], [0, 'unreachable']);
  assert.match(message, /did not answer within 0\.3 seconds/);
});

test('who asks no longer is told nothing of the daemon', async () => {
  const control = new AbortController();
  const asking = failure_of(request('GET', 'half', { signal: control.signal }));
  control.abort();
  assert.equal((await asking).name, 'AbortError');
});

test('answers are read, and those that are none of the daemon\'s are known', async () => {
  assert.deepEqual(await request('GET', 'whole'), { found: true });
  const page = await failure_of(request('GET', 'page'));
  assert.deepEqual([page.status, page.code], [200, 'unknown']);
  assert.match(page.message, /no JSON/);
  assert.deepEqual(await failure_of(request('GET', 'refused')), { name: 'ApiError', status: 409, code: 'conflict', message: 'it is there' });
  assert.deepEqual(await read_output('a'), { text: 'the end', size: 1000 });
});

test('a push has the key that it was given', async () => {
  await tasks.push({ task: 'date' }, 'a1b2');
  assert.deepEqual(asked.at(-1), { method: 'POST', path: '/api/v1/tasks', key: 'a1b2' });
});
