// A plot over time by uPlot, in the page's colours, as wide as its place, with a legend in words and a table of its
// last values for those who cannot see it.
import { colour } from '../core/theme.js';
import { html, useEffect, useRef, useState } from '../core/html.js';
import uPlot from '../vendor/uplot.js';

const height_px = 190;

/** A time on the axis: with its seconds where marks are less than a minute apart. */
const time_of_day = (at_s, with_seconds) => new Date(at_s * 1000).toLocaleTimeString('en-GB',
  { hour: '2-digit', minute: '2-digit', second: with_seconds ? '2-digit' : undefined });

/** Values between two gaps: no line shows them. */
function lonely_points(plot, index) {
  const values = plot.data[index];
  return values.flatMap((value, at) => (value !== null && (values[at - 1] ?? null) === null && (values[at + 1] ?? null) === null ? [at] : []));
}

function options_of(series, width, format, span_s) {
  const text = colour('text-soft');
  const line = colour('line');
  const axis = { stroke: text, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1 }, font: '11px system-ui, sans-serif' };
  return {
    width, height: height_px,
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false } },
    scales: { x: { time: true, range: (_plot, first, last) => [Math.min(first, last - span_s), last] }, y: { range: (_plot, low, high) => [Math.min(0, low ?? 0), high > 0 ? high * 1.1 : 1] } },
    axes: [{ ...axis, space: 70, values: (_plot, marks, _axis, _space, step_s) => marks.map((at_s) => time_of_day(at_s, step_s < 60)) }, { ...axis, size: 62, values: (_plot, marks) => marks.map(format) }],
    series: [{}, ...series.map(({ colour: name, dash }) => ({ stroke: colour(name), width: 1.6, dash, points: { show: true, size: 3, filter: lonely_points }, spanGaps: false }))],
  };
}

/**
 * `at_ms`: times; `span_s`: how long the axis is at least; `series`: [{label, colour (a name of tokens.css), values, dash}];
 * `format`: a value as text.
 */
export function Plot({ title, at_ms, span_s, series, format }) {
  const place = useRef(null);
  const plot = useRef(null);
  const [under_cursor, set_under_cursor] = useState(null);
  const data = [at_ms.map((at) => at / 1000), ...series.map(({ values }) => values)];

  useEffect(() => {
    const draw = () => {
      plot.current?.destroy();
      const options = options_of(series, place.current.clientWidth || 400, format, span_s);
      options.hooks = { setCursor: [(now) => set_under_cursor(now.cursor.idx ?? null)] };
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

  useEffect(() => { plot.current?.setData(data); }, [at_ms, series]);

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
