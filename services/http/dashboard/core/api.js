// Requests to the daemon: every one has a timeout, and a failure is an ApiError with the daemon's own words.
// Everything is asked below the address of the page, which may be a proxy's with a prefix.

/** How long a request may take, milliseconds. */
const request_timeout_ms = 15_000;

/** What went wrong: `status` is the HTTP status, 0 where the daemon was not reached; `code` one of its error codes. */
export class ApiError extends Error {
  constructor(message, { status = 0, code = 'unreachable' } = {}) {
    super(message);
    this.name = 'ApiError';
    this.status = status;
    this.code = code;
  }
}

/** The absolute address of a path of the API; members of `query` that are null, undefined or '' are left out. */
export function address(path, query = {}) {
  const url = new URL(path.replace(/^\//, ''), document.baseURI);
  url.hash = '';
  for (const [name, value] of Object.entries(query))
    if (value !== null && value !== undefined && value !== '')
      url.searchParams.set(name, String(value));
  return url;
}

/** A segment of a path out of a name or an id, which may hold anything. */
export const segment = (text) => encodeURIComponent(text);

function failure_of(response, body) {
  const error = body?.error ?? {};
  return new ApiError(error.detail ?? body?.message ?? `the daemon answered ${response.status}`,
    { status: response.status, code: error.code ?? 'unknown' });
}

/** {response, text}: an answer counts as one when all of it is here. */
async function fetch_in_time(method, path, { query, body, signal, headers, timeout_ms = request_timeout_ms }) {
  const limit = AbortSignal.timeout(timeout_ms);
  const options = { method, headers: { Accept: 'application/json', ...headers }, cache: 'no-store',
    signal: signal ? AbortSignal.any([signal, limit]) : limit };
  if (body !== undefined) {
    options.headers['Content-Type'] = 'application/json';
    options.body = JSON.stringify(body);
  }
  try {
    const response = await fetch(address(path, query), options);
    return { response, text: await response.text() };
  } catch (why) {
    if (signal?.aborted)
      throw why;
    throw new ApiError(limit.aborted
      ? `the daemon did not answer within ${timeout_ms / 1000} seconds`
      : 'the daemon cannot be reached; is it running?');
  }
}

/** The JSON of a text; undefined where it is none. */
function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Asks and returns `data` of the answer. Options: query, body (sent as JSON), signal, headers, timeout_ms. */
export async function request(method, path, options = {}) {
  const { response, text } = await fetch_in_time(method, path, options);
  const answer = parse(text);
  if (answer === undefined)
    throw new ApiError('the answer is no JSON; is this address the daemon\'s?', { status: response.status, code: 'unknown' });
  if (!response.ok)
    throw failure_of(response, answer);
  return answer.data;
}

/** Reads bytes of a task's output as text. Returns {text, size}: `size` is what was written in all. */
export async function read_output(id, query, signal) {
  const { response, text } = await fetch_in_time('GET', `api/v1/tasks/${segment(id)}/output`, { query, signal, headers: { Accept: '*/*' } });
  if (!response.ok)
    throw failure_of(response, parse(text));
  return { text, size: Number(response.headers.get('X-Output-Size') ?? 0) };
}

/** Pages through a list: returns {items, next}. */
export const list = (path, query, signal) => request('GET', path, { query, signal });

export const tasks = {
  list: (query, signal) => list('api/v1/tasks', query, signal),
  get: (id, signal) => request('GET', `api/v1/tasks/${segment(id)}`, { signal }),
  why: (id, signal) => request('GET', `api/v1/tasks/${segment(id)}/why`, { signal }),
  /** With the same `key` the same push is carried out once, however often it is sent. */
  push: (task, key) => request('POST', 'api/v1/tasks', { body: task, headers: { 'Idempotency-Key': key } }),
  /** Answered when the task has ended, which may take its grace: the daemon waits for up to 25 seconds. */
  cancel: (id) => request('POST', `api/v1/tasks/${segment(id)}/cancel`, { body: {}, timeout_ms: 40_000 }),
  retry: (id) => request('POST', `api/v1/tasks/${segment(id)}/retry`, { body: {} }),
  signal: (id, name) => request('POST', `api/v1/tasks/${segment(id)}/signal`, { body: { signal: name } }),
  remove: (id) => request('DELETE', `api/v1/tasks/${segment(id)}`),
  /** `verb` is cancel, retry or delete; `which` holds filters or ids, as the API has them. */
  bulk: (verb, which) => request('POST', `api/v1/tasks:${verb}`, { body: which, timeout_ms: 60_000 }),
};

export const channels = {
  list: (signal) => list('api/v1/channels', {}, signal),
  get: (name, signal) => request('GET', `api/v1/channels/${segment(name)}`, { signal }),
  make: (settings) => request('POST', 'api/v1/channels', { body: settings }),
  change: (name, settings) => request('PATCH', `api/v1/channels/${segment(name)}`, { body: settings }),
  remove: (name, force = false) => request('DELETE', `api/v1/channels/${segment(name)}`, { query: force ? { force } : {} }),
  pause: (name) => request('POST', `api/v1/channels/${segment(name)}/pause`),
  resume: (name) => request('POST', `api/v1/channels/${segment(name)}/resume`),
  /** Pauses at once; what runs is not waited for here: the channel's state tells. */
  drain: (name) => request('POST', `api/v1/channels/${segment(name)}/drain`, { body: { wait_s: 0 } }),
};
