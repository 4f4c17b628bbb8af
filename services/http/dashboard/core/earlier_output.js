// What was printed before that of an output which is shown, as a piece that goes in front of it. Pure.
import { read_piece } from './output_stream.js';
import { Screen, utf8_length } from './terminal.js';

function fill(screen, pieces, to) {
  let end = null;
  for (const { output, gap } of pieces) {
    if (gap) {
      screen.gap(gap.from, Math.min(gap.to, to));
      end = Math.min(gap.to, to);
      continue;
    }
    const piece = read_piece(output, utf8_length);
    if (piece.end > to) {
      // The last piece goes on behind what is wanted: its bytes up to there are taken.
      const part = new TextDecoder().decode(new TextEncoder().encode(piece.text).slice(0, to - piece.offset));
      screen.write(piece.newlines ? piece.text : part, piece.offset, piece.newlines);
      end = to;
    } else {
      screen.write(piece.text, piece.offset, piece.newlines);
      end = piece.end;
    }
  }
  if (end !== null && end < to)
    screen.gap(end, to);
}

/**
 * A Screen, made with `bounds`, of what was read from byte `from` up to `to`: `pieces` as read_earlier() gives them.
 * `begin` is where what is shown begins by now: what it has dropped since is said to be missing. null: what is shown
 * begins before `to` by now, so that there is no place for it.
 */
export function make_earlier(pieces, { from, to, begin }, bounds) {
  if (begin < to)
    return null;
  const earlier = new Screen(bounds);
  earlier.clear(pieces[0]?.output?.offset ?? pieces[0]?.gap?.from ?? from);
  fill(earlier, pieces, to);
  if (begin > to)
    earlier.gap(to, begin);
  return earlier;
}
