// Where the marks of a time axis stand, and what they say. Pure.

const steps_ms = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 14_400, 21_600].map((seconds) => seconds * 1_000);

/** The step between two marks so that there are at most `most` of them. */
export const step_of = (length_ms, most) => steps_ms.find((step) => length_ms / step <= most) ?? steps_ms[steps_ms.length - 1];

/**
 * Marks from `from_ms` to `until_ms`, with room for one every `room_px`: [{at_ms, label}]. `zone_ms` is how far the
 * viewer's clock is before UTC, so that hours begin where theirs do.
 */
export function marks(from_ms, until_ms, width_px, { room_px = 90, zone_ms = 0 } = {}) {
  const step = step_of(until_ms - from_ms, Math.max(1, Math.floor(width_px / room_px)));
  const found = [];
  for (let at_ms = Math.ceil((from_ms + zone_ms) / step) * step - zone_ms; at_ms <= until_ms; at_ms += step)
    found.push({ at_ms, label: label_of(at_ms + zone_ms, step) });
  return found;
}

function label_of(local_ms, step) {
  const text = new Date(local_ms).toISOString();
  return step < 60_000 ? text.slice(11, 19) : text.slice(11, 16);
}
