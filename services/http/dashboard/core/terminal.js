// What a command printed as a terminal would show it, line by line and bounded: carriage returns and backspaces write
// over what stands there, colours are kept beside the text, and every line knows the byte it begins with. Pure.

/** A longer line goes on in the next one. Characters. */
export const line_chars_max = 4_096;
/** A sequence that is not complete is waited for this long, then dropped. Characters. */
const sequence_chars_max = 4_096;
const tab_width = 8;

// A control sequence; text of the operating system (a window's title, a link); a choice of letters; another short
// sequence; a control character; a run of plain text.
const token = /\x1b\[([<-?]?)([\d;:]*)[ -/]?([@-~])|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[()*+][ -~]|\x1b[ -~]|[\x00-\x1f\x7f]|[^\x00-\x1f\x7f]+/g;
const incomplete = /\x1b(?:\[[ -?]*|\][^\x07\x1b]*\x1b?|[()*+])?$/;

/** The bytes of a text in UTF-8. */
export function utf8_length(text) {
  let bytes = text.length;
  for (let at = 0; at < text.length; ++at) {
    const unit = text.charCodeAt(at);
    if (unit >= 0x80)
      bytes += unit >= 0x800 && (unit < 0xd800 || unit > 0xdfff) ? 2 : 1;
  }
  return bytes;
}

const chars_of = (text) => (/^[\x20-\x7e]*$/.test(text) ? text.length : [...text].length);

/** The text of a line without its colours. */
export const text_of = (line) => line.spans.map(({ text }) => text).join('');

/** Every place of `wanted` in lines, upper and lower case alike: [{number, at, length}], at most `most`. */
export function find_all(lines, wanted, most) {
  const found = [];
  if (!wanted)
    return found;
  const pattern = new RegExp(wanted.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'), 'gi');
  for (const line of lines) {
    for (const match of text_of(line).matchAll(pattern)) {
      found.push({ number: line.number, at: match.index, length: match[0].length });
      if (found.length >= most)
        return found;
    }
  }
  return found;
}

/**
 * The last lines of an output. A line is {number, offset, spans: [{text, style}], length, gap}; `number` never changes
 * and counts up by one, `offset` is its first byte, `gap` {from, to} stands for bytes that are not kept.
 * `read_style(sequence)` gives what "\x1b[31m" and the like make of the style so far: null, or something to draw with.
 */
export class Screen {
  constructor({ lines_max, chars_max, read_style = () => null }) {
    this.lines_max = lines_max;
    this.chars_max = chars_max;
    this.read_style = read_style;
    this.clear(0);
  }

  /** Forgets everything; what comes next begins at byte `offset`. */
  clear(offset) {
    this.style = null;
    this.rest = '';
    this.chars = 0;
    this.row = 0;
    this.column = 0;
    this.lines = [{ number: 0, offset, spans: [], length: 0 }];
    /** The first line that is not as it was when take_changed() was called last. */
    this.changed_from = 0;
    this.trimmed = false;
  }

  /** The byte from which on everything is here. */
  get begin() {
    return this.lines[0].offset;
  }

  /** The first line that has changed since this was asked last. */
  take_changed() {
    const from = Math.max(this.changed_from, this.lines[0].number);
    this.changed_from = Infinity;
    return from;
  }

  /** Takes a piece of the output. `newlines`: where "\n" stands in its bytes, for text that is not what the bytes were. */
  write(given, offset, newlines = null) {
    let at = offset - utf8_length(this.rest);
    let newline = 0;
    let text = this.rest + given;
    const cut = incomplete.exec(text);
    this.rest = cut && cut[0].length <= sequence_chars_max ? cut[0] : '';
    text = this.rest ? text.slice(0, -this.rest.length) : text;
    for (const found of text.matchAll(token)) {
      const [piece, mark, numbers, verb] = found;
      at += newlines ? 0 : utf8_length(piece);
      if (piece === '\n')
        this.next_line(newlines ? offset + newlines[newline++] + 1 : at);
      else if (verb !== undefined)
        this.control(mark, numbers, verb, piece);
      else if (piece.charCodeAt(0) >= 0x20 && piece.charCodeAt(0) !== 0x7f)
        this.put(piece);
      else
        this.control_character(piece);
    }
    this.trim();
  }

  /** Says that the bytes from `from` up to `to` are not kept. */
  gap(from, to) {
    this.row = this.lines.length - 1;
    if (this.lines[this.row].length > 0)
      this.next_line(from);
    const line = this.lines[this.row];
    line.gap = { from, to };
    this.touch(line);
    this.next_line(to);
    this.trim();
  }

  /** Puts what was printed before in front; the bounds grow by it. `earlier` is a Screen that ends where this begins. */
  prepend(earlier) {
    const first = this.lines[0];
    const before = earlier.lines;
    const last = before.pop();
    if (last.gap || (last.length > 0 && first.gap))
      before.push(last);
    else if (last.length > 0) {
      first.spans = [...last.spans, ...first.spans];
      first.length += last.length;
      first.offset = last.offset;
      if (this.row === 0)
        this.column += last.length;
    }
    // What is not kept may have been begun in its midst.
    const gap = before[before.length - 1]?.gap;
    if (gap && first.gap) {
      before.pop();
      first.gap = { from: gap.from, to: first.gap.to };
      first.offset = gap.from;
    }
    before.forEach((line, index) => { line.number = first.number - before.length + index; });
    this.lines = [...before, ...this.lines];
    this.row += before.length;
    this.chars += earlier.chars;
    this.lines_max += before.length;
    this.chars_max += earlier.chars;
    this.changed_from = this.lines[0].number;
  }

  touch(line) {
    this.changed_from = Math.min(this.changed_from, line.number);
  }

  next_line(offset) {
    this.column = 0;
    ++this.row;
    if (this.row < this.lines.length)
      return;
    const number = this.lines[this.lines.length - 1].number + 1;
    this.lines.push({ number, offset, spans: [], length: 0 });
    this.changed_from = Math.min(this.changed_from, number);
    // Not at every line: dropping from the front moves all that stay.
    if (this.lines.length > this.lines_max * 2)
      this.trim();
  }

  put(text) {
    while (text) {
      const line = this.lines[this.row];
      const room = line_chars_max - this.column;
      const length = chars_of(text);
      const fits = length <= room ? text : [...text].slice(0, room).join('');
      this.put_in(line, fits, length <= room ? length : room);
      text = text.slice(fits.length);
      if (text)
        this.next_line(line.offset);
    }
  }

  put_in(line, text, length) {
    const added = Math.max(0, this.column + length - line.length);
    if (this.column === line.length) {
      const last = line.spans[line.spans.length - 1];
      if (last && last.style === this.style)
        last.text += text;
      else if (text)
        line.spans.push({ text, style: this.style });
    } else {
      const cells = cells_of(line);
      while (cells.length < this.column)
        cells.push({ char: ' ', style: null });
      [...text].forEach((char, index) => { cells[this.column + index] = { char, style: this.style }; });
      line.spans = spans_of(cells);
    }
    line.length += added;
    this.chars += added;
    this.column += length;
    this.touch(line);
  }

  /** Drops the characters of a line from `from` up to `to` (blanks where something follows). */
  erase(from, to) {
    const line = this.lines[this.row];
    const cells = cells_of(line);
    if (to >= cells.length)
      cells.length = Math.min(from, cells.length);
    else
      cells.fill({ char: ' ', style: null }, from, to);
    this.chars += cells.length - line.length;
    line.length = cells.length;
    line.spans = spans_of(cells);
    this.touch(line);
  }

  control_character(piece) {
    if (piece === '\r')
      this.column = 0;
    else if (piece === '\b')
      this.column = Math.max(0, this.column - 1);
    else if (piece === '\t')
      this.put(' '.repeat(tab_width - (this.column % tab_width)));
  }

  control(mark, numbers, verb, piece) {
    if (mark)
      return;
    const number = Number.parseInt(numbers, 10) || 0;
    const steps = Math.max(1, number);
    switch (verb) {
      case 'm': this.style = this.read_style(piece); break;
      case 'K': this.erase(number === 0 ? this.column : 0, number === 1 ? this.column : Infinity); break;
      case 'G': this.column = Math.min(steps, line_chars_max) - 1; break;
      case 'C': this.column = Math.min(this.column + steps, line_chars_max - 1); break;
      case 'D': this.column = Math.max(0, this.column - steps); break;
      case 'A': case 'F': this.row = Math.max(0, this.row - steps); break;
      case 'B': case 'E': this.row = Math.min(this.lines.length - 1, this.row + steps); break;
      default:
    }
    if (verb === 'E' || verb === 'F')
      this.column = 0;
  }

  trim() {
    let drop = Math.max(0, this.lines.length - this.lines_max);
    let chars = this.chars;
    for (let index = 0; index < drop; ++index)
      chars -= this.lines[index].length;
    while (chars > this.chars_max && drop < this.lines.length - 1)
      chars -= this.lines[drop++].length;
    if (drop === 0)
      return;
    this.lines.splice(0, drop);
    this.chars = chars;
    this.row = Math.max(0, this.row - drop);
    this.trimmed = true;
  }
}

const cells_of = (line) => line.spans.flatMap(({ text, style }) => [...text].map((char) => ({ char, style })));

function spans_of(cells) {
  const spans = [];
  for (const { char, style } of cells) {
    const last = spans[spans.length - 1];
    if (last && last.style === style)
      last.text += char;
    else
      spans.push({ text: char, style });
  }
  return spans;
}
