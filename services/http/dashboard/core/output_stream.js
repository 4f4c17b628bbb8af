// The output of one attempt as it is printed: a stream that goes on where it was cut, and pieces of what came before.
import { address, segment } from './api.js';

/** A stream that was refused, as by a daemon that is only starting, is opened again after so long. Milliseconds. */
const retry_ms = 3_000;
/** How long earlier output is waited for. Milliseconds. */
const earlier_timeout_ms = 15_000;

const stream_of = (id, attempt, offset) => new EventSource(address(`api/v1/tasks/${segment(id)}/output`, { follow: 1, attempt, offset }));

/** An event with output as {text, offset, end, newlines}: what is no UTF-8 has the sign for that instead. */
export function read_piece({ offset, text, base64 }, length_of) {
  if (base64 === undefined)
    return { text, offset, end: offset + length_of(text), newlines: null };
  const bytes = Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
  const newlines = [];
  bytes.forEach((byte, index) => { if (byte === 0x0a) newlines.push(index); });
  return { text: new TextDecoder().decode(bytes), offset, end: offset + bytes.length, newlines };
}

/**
 * Follows an attempt from byte `offset`. `told` may have output(data), gap(data), end(data),
 * state('live' | 'lost'), and reset(offset): it begins anew there. Returns what stops it.
 */
export function follow_output(id, attempt, offset, told) {
  let source = null;
  let timer = null;
  const open = () => {
    source = stream_of(id, attempt, offset);
    source.onopen = () => told.state('live');
    source.addEventListener('output', (event) => told.output(JSON.parse(event.data)));
    source.addEventListener('gap', (event) => told.gap(JSON.parse(event.data)));
    source.addEventListener('reset', () => told.reset(0));
    source.addEventListener('end', (event) => { source.close(); told.end(JSON.parse(event.data)); });
    source.onerror = () => {
      told.state('lost');
      // The browser itself comes back behind what it has, unless the answer was no stream.
      if (source.readyState === EventSource.CLOSED)
        timer = setTimeout(() => { told.reset(offset); open(); }, retry_ms);
    };
  };
  open();
  return () => {
    clearTimeout(timer);
    source.close();
  };
}

/**
 * Reads what stands from byte `from` up to `to`: a list of {output} and {gap} as the stream tells it, at most about
 * `bytes_max` of it. `signal` ends that early: the promise is rejected then.
 */
export function read_earlier(id, attempt, { from, to, bytes_max }, signal) {
  return new Promise((resolve, reject) => {
    const source = stream_of(id, attempt, from);
    const pieces = [];
    let bytes = 0;
    const finish = (error) => {
      clearTimeout(timer);
      signal.removeEventListener('abort', leave);
      source.close();
      error ? reject(error) : resolve(pieces);
    };
    const leave = () => finish(signal.reason);
    signal.addEventListener('abort', leave);
    const timer = setTimeout(finish, earlier_timeout_ms, new Error('the daemon did not send the earlier output in time'));
    source.addEventListener('output', (event) => {
      const output = JSON.parse(event.data);
      if (output.offset >= to) {
        finish();
        return;
      }
      pieces.push({ output });
      bytes += event.data.length;
      if (bytes >= bytes_max)
        finish();
    });
    source.addEventListener('gap', (event) => {
      const gap = JSON.parse(event.data);
      pieces.push({ gap });
      if (gap.to >= to)
        finish();
    });
    source.addEventListener('end', () => finish());
    source.onerror = () => finish(new Error('the earlier output cannot be read now'));
  });
}
