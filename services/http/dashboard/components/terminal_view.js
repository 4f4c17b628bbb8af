// Draws the lines of a Screen as text in a page: only what has changed, colours by classes and styles, and marks what a
// search has found. It is no component: lines come too often to be compared one by one.
import { bytes } from '../core/format.js';
import { AnsiUp } from '../vendor/ansi-up.js';

/** Styles that are kept to be shared; a command with more true colours gets new ones. */
const styles_max = 4_096;

/** Reads "\x1b[31m" and the like, and tells the style that holds from there on: null or one object per style. */
export class StyleReader extends AnsiUp {
  known = new Map();

  read(sequence) {
    this.ansi_to_html(sequence);
    const { bold, faint, italic, underline, fg, bg } = this;
    if (!bold && !faint && !italic && !underline && !fg && !bg)
      return null;
    const key = [bold, faint, italic, underline, fg?.rgb, bg?.rgb].join();
    let style = this.known.get(key);
    if (!style) {
      if (this.known.size >= styles_max)
        this.known.clear();
      style = { classes: classes_of({ bold, faint, italic, underline, fg, bg }), fg: true_colour(fg), bg: true_colour(bg) };
      this.known.set(key, style);
    }
    return style;
  }
}

const is_named = (colour) => colour && colour.class_name !== 'truecolor';
const true_colour = (colour) => (colour && !is_named(colour) ? `rgb(${colour.rgb.join(' ')})` : null);

const classes_of = ({ bold, faint, italic, underline, fg, bg }) => [bold && 'is-bold', faint && 'is-faint', italic && 'is-italic',
  underline && 'is-underlined', is_named(fg) && fg.class_name, is_named(bg) && `on-${bg.class_name.replace('bright-', '')}`].filter(Boolean).join(' ');

function span_of({ text, style }) {
  if (!style)
    return document.createTextNode(text);
  const span = document.createElement('span');
  span.className = style.classes;
  if (style.fg)
    span.style.color = style.fg;
  if (style.bg)
    span.style.backgroundColor = style.bg;
  span.textContent = text;
  return span;
}

function row_of(line) {
  const row = document.createElement('div');
  if (line.gap) {
    row.className = 'line gap';
    row.textContent = `${bytes(line.gap.to - line.gap.from)} between here and there are not kept`;
    return row;
  }
  row.className = 'line';
  row.append(...line.spans.map(span_of));
  return row;
}

/** The place in the page of characters in a row; null where the row has no such characters any more. */
function range_of(row, at, length) {
  const walker = document.createTreeWalker(row, NodeFilter.SHOW_TEXT);
  const range = new Range();
  let begun = false;
  let before = 0;
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const size = node.data.length;
    if (!begun && at < before + size) {
      range.setStart(node, at - before);
      begun = true;
    }
    if (begun && at + length <= before + size) {
      range.setEnd(node, at + length - before);
      return range;
    }
    before += size;
  }
  return null;
}

export class TerminalView {
  /** `place` is the element that holds the lines. */
  constructor(place) {
    this.place = place;
    this.rows = [];
    this.first = 0;
  }

  clear() {
    this.rows = [];
    this.place.replaceChildren();
  }

  /** Draws what has changed in the screen since the last time. */
  draw(screen) {
    const { lines } = screen;
    const first = lines[0].number;
    let from = screen.take_changed();
    if (this.rows.length === 0 || first < this.first || first >= this.first + this.rows.length) {
      this.clear();
      this.first = first;
      from = first;
    } else if (first > this.first) {
      const gone = this.rows.splice(0, first - this.first);
      for (const row of gone)
        row.remove();
      this.first = first;
    }
    const fresh = document.createDocumentFragment();
    for (let index = Math.max(0, Math.min(from, this.first + this.rows.length) - this.first); index < lines.length; ++index) {
      const row = row_of(lines[index]);
      if (index < this.rows.length)
        this.rows[index].replaceWith(row);
      else
        fresh.append(row);
      this.rows[index] = row;
    }
    this.place.append(fresh);
  }

  /** Marks what was found, as find_all tells it, and the one of them that is looked at. */
  mark(found, looked_at) {
    if (!globalThis.CSS?.highlights)
      return;
    const ranges = found.map(({ number, at, length }) => {
      const row = this.rows[number - this.first];
      return row ? range_of(row, at, length) : null;
    });
    const current = ranges[looked_at] ?? null;
    CSS.highlights.set('terminal-found', new Highlight(...ranges.filter((range) => range && range !== current)));
    CSS.highlights.set('terminal-looked-at', new Highlight(...(current ? [current] : [])));
  }

  /** Takes the marks away. */
  unmark() {
    globalThis.CSS?.highlights?.delete('terminal-found');
    globalThis.CSS?.highlights?.delete('terminal-looked-at');
  }

  show(number) {
    this.rows[number - this.first]?.scrollIntoView({ block: 'center', inline: 'nearest' });
  }
}
