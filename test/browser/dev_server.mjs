// Serves the dashboard's files from the tree, and hands everything else to a running daemon: a change shows when
// the page is loaded again, without a build.
//
//     node test/browser/dev_server.mjs --daemon http://127.0.0.1:60001 [--port 9000] [--vendor DIRECTORY]
//
// The files are sent with the headers that the daemon itself sends with them, so that what its
// Content-Security-Policy forbids fails here, too. It is no way around the daemon's guard: requests of other sites keep
// their Host and Origin, and are refused. The libraries come from where the build has unpacked them.

import { createReadStream, existsSync, statSync } from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const dashboard = path.join(root, 'services/http/dashboard');

// Content-Type by the name's ending, as services/http/assets.cpp has it.
const media_types = {
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.ico': 'image/x-icon',
  '.js': 'text/javascript; charset=utf-8',
  '.json': 'application/json; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
  '.png': 'image/png',
  '.svg': 'image/svg+xml',
  '.txt': 'text/plain; charset=utf-8',
  '.woff2': 'font/woff2',
};

// Headers of an answer that belong to that one answer, or to the way it was sent.
const headers_of_one_answer = new Set([
  'connection', 'content-length', 'content-type', 'date', 'etag', 'keep-alive', 'transfer-encoding', 'cache-control',
]);

function fail(text) {
  console.error(`dev_server: ${text}`);
  process.exit(2);
}

function take_arguments() {
  try {
    return parseArgs({
      options: { daemon: { type: 'string' }, port: { type: 'string', default: '9000' }, vendor: { type: 'string' } },
    }).values;
  } catch (problem) {
    return fail(problem.message);
  }
}

const values = take_arguments();
if (!values.daemon || !URL.canParse(values.daemon))
  fail('say which daemon answers the rest: --daemon http://127.0.0.1:60001');
const daemon = new URL(values.daemon);
const vendor_places = ['build', 'build/debug'].map((build) => path.join(root, build, 'web_packages/vendor'));
const vendor = values.vendor ?? vendor_places.find(existsSync);
if (!vendor || !existsSync(vendor))
  fail('the libraries are not there; build first (scripts/build.sh), or name their folder with --vendor');

// What the daemon sends with its own dashboard.
function daemon_headers() {
  return new Promise((resolve, reject) => {
    const request = http.request(daemon, { method: 'HEAD', headers: { Accept: 'text/html' } }, (answer) => {
      answer.resume();
      resolve(Object.fromEntries(Object.entries(answer.headers).filter(([name]) => !headers_of_one_answer.has(name))));
    });
    request.on('error', reject);
    request.end();
  });
}

// The file behind a path of the dashboard; null where there is none.
function find_file(pathname) {
  const [folder, relative] = pathname.startsWith('/dashboard/vendor/')
    ? [vendor, pathname.slice('/dashboard/vendor/'.length)]
    : [dashboard, pathname === '/' ? 'index.html' : pathname.slice('/dashboard/'.length)];
  const file = path.join(folder, relative);
  return file.startsWith(folder + path.sep) && statSync(file, { throwIfNoEntry: false })?.isFile() ? file : null;
}

function send_file(pathname, request, response, headers) {
  const file = find_file(pathname);
  if (!file) {
    response.writeHead(404, { 'Content-Type': 'text/plain; charset=utf-8' }).end(`there is no ${pathname}\n`);
    return;
  }
  const type = media_types[path.extname(file)] ?? 'application/octet-stream';
  response.writeHead(200, { ...headers, 'Content-Type': type, 'Cache-Control': 'no-store' });
  if (request.method === 'HEAD') response.end();
  else createReadStream(file).on('error', () => response.destroy()).pipe(response);
}

// Own names become the daemon's, so that its guard sees the same site; others stay, and are refused there.
function hand_on(request, response, own) {
  const headers = { ...request.headers };
  if (own.has(headers.host)) headers.host = daemon.host;
  if (headers.origin && own.has(headers.origin.replace(/^http:\/\//, ''))) headers.origin = daemon.origin;
  const onward = http.request(
    { host: daemon.hostname, port: daemon.port || 80, method: request.method, path: request.url, headers },
    (answer) => {
      response.writeHead(answer.statusCode, answer.headers);
      response.flushHeaders();
      answer.on('error', () => response.destroy());
      answer.pipe(response);
    },
  );
  onward.on('error', (problem) => {
    if (response.headersSent) response.destroy();
    else response.writeHead(502, { 'Content-Type': 'text/plain; charset=utf-8' }).end(`${daemon}: ${problem.message}\n`);
  });
  response.on('close', () => onward.destroy());
  request.pipe(onward);
}

const headers = await daemon_headers().catch((problem) => fail(`no daemon answers at ${daemon}: ${problem.message}`));
if (!headers['content-security-policy'])
  fail(`what answers at ${daemon} has no dashboard; is it an older daemon?`);

const server = http.createServer((request, response) => {
  const own = new Set(['127.0.0.1', 'localhost'].map((name) => `${name}:${server.address().port}`));
  let pathname;
  try {
    pathname = decodeURIComponent(new URL(request.url, daemon).pathname);
  } catch {
    response.writeHead(400).end();
    return;
  }
  const reads = request.method === 'GET' || request.method === 'HEAD';
  const wants_page = pathname === '/' && /text\/html/.test(request.headers.accept ?? '');
  if (reads && own.has(request.headers.host) && (wants_page || pathname.startsWith('/dashboard/')))
    send_file(pathname, request, response, headers);
  else hand_on(request, response, own);
});
server.on('error', (problem) => fail(problem.message));
server.listen(Number(values.port), '127.0.0.1', () => {
  console.log(`http://127.0.0.1:${server.address().port}/ serves ${path.relative(root, dashboard)}; the rest comes from ${daemon}`);
});
