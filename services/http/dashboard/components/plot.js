// A plot over time by uPlot, in the page's colours, as wide as its place, with a legend in words and a table of its
// last values for those who cannot see it.
import { colour } from '../core/theme.js';
import { html, useEffect, useRef, useState } from '../core/html.js';
import uPlot from '../vendor/uplot.js';

const height_px = 190;

/** Steps between the marks of an axis, by what it counts: whole things, or seconds as a clock has them. */
const steps = {
  things: Array.from({ length: 30 }, (_one, index) => [1, 2, 5][index % 3] * 10 ** Math.floor(index / 3)),
  seconds: [...Array.from({ length: 9 }, (_one, index) => [1, 2, 5][index % 3] * 10 ** (Math.floor(index / 3) - 3)), 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800,
    ...Array.from({ length: 18 }, (_one, index) => 3_600 * [1, 2, 5][index % 3] * 10 ** Math.floor(index / 3))],
};

/** A time on the axis: with its seconds where marks are less than a minute apart. */
const time_of_day = (at_s, with_seconds) => new Date(at_s * 1000).toLocaleTimeString('en-GB',
  { hour: '2-digit', minute: '2-digit', second: with_seconds ? '2-digit' : undefined });

/** Values between two gaps: no line shows them. */
function lonely_points(plot, index) {
  const values = plot.data[index];
  return values.flatMap((value, at) => (value !== null && (values[at - 1] ?? null) === null && (values[at + 1] ?? null) === null ? [at] : []));
}

function options_of(series, width, format, span_s, counts) {
  const text = colour('text-soft');
  const line = colour('line');
  const axis = { stroke: text, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1 }, font: '11px system-ui, sans-serif' };
  return {
    width, height: height_px,
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false } },
    scales: { x: { time: true, range: (_plot, first, last) => [Math.min(first, last - span_s), last] }, y: { range: (_plot, low, high) => [Math.min(0, low ?? 0), high > 0 ? high * 1.1 : 1] } },
    axes: [{ ...axis, space: 70, values: (_plot, marks, _axis, _space, step_s) => marks.map((at_s) => time_of_day(at_s, step_s < 60)) }, { ...axis, size: 62, ...(steps[counts] ? { incrs: steps[counts] } : {}), values: (_plot, marks) => marks.map(format) }],
    series: [{}, ...series.map(({ colour: name, dash }) => ({ stroke: colour(name), width: 1.6, dash, points: { show: true, size: 3, filter: lonely_points }, spanGaps: false }))],
  };
}

/**
 * `at_ms`: times; `span_s`: how long the axis is at least; `series`: [{label, colour (a name of tokens.css), values, dash}];
 * `format`: a value as text; `counts`: 'things' or 'seconds', where the axis is of such.
 */
export function Plot({ title, at_ms, span_s, series, format, counts }) {
  const place = useRef(null);
  const plot = useRef(null);
  const [under_cursor, set_under_cursor] = useState(null);
  // What is drawn anew, as in other colours, shows what is known then.
  const latest = useRef(null);
  // Around a single point the library would draw a day.
  const lead = at_ms.length === 1 ? 1 : 0;
  latest.current = { lead, series, format,
    data: [[...(lead ? [at_ms[0] / 1000 - span_s] : []), ...at_ms.map((at) => at / 1000)], ...series.map(({ values }) => [...(lead ? [null] : []), ...values])] };

  useEffect(() => {
    const draw = () => {
      plot.current?.destroy();
      const { data, series: lines, format: as_text } = latest.current;
      const options = options_of(lines, place.current.clientWidth || 400, as_text, span_s, counts);
      options.hooks = { setCursor: [(now) => set_under_cursor(now.cursor.idx >= latest.current.lead ? now.cursor.idx - latest.current.lead : null)] };
      plot.current = new uPlot(options, data, place.current);
    };
    draw();
    const resized = new ResizeObserver(([entry]) => plot.current?.setSize({ width: entry.contentRect.width, height: height_px }));
    resized.observe(place.current);
    const scheme = matchMedia('(prefers-color-scheme: dark)');
    scheme.addEventListener('change', draw);
    addEventListener('themechange', draw);
    return () => {
      resized.disconnect();
      scheme.removeEventListener('change', draw);
      removeEventListener('themechange', draw);
      plot.current?.destroy();
      plot.current = null;
    };
  }, [series.map(({ label }) => label).join(), span_s]);

  useEffect(() => { plot.current?.setData(latest.current.data); }, [at_ms, series]);

  const index = under_cursor ?? at_ms.length - 1;
  return html`<div class="legend">${series.map(({ label, colour: name, values }) => html`<span key=${label}>
      <i class="swatch-${name}" aria-hidden="true"></i>${label} <strong>${values[index] === null || values[index] === undefined ? '–' : format(values[index])}</strong></span>`)}
    ${under_cursor !== null && html`<span>at ${new Date(at_ms[index]).toLocaleTimeString('en-GB')}</span>`}</div>
    <div class="plot"><div class="plot-canvas" ref=${place} role="img" aria-label=${`${title}: ${series.map(({ label, values }) => `${label} ${last_known(values, format)}`).join(', ')}`}></div></div>`;
}

function last_known(values, format) {
  const value = values[values.length - 1];
  return value === null || value === undefined ? 'unknown' : format(value);
}
