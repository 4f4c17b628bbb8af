// A value that is changed by quick steps: the last of them is sent after a rest, one change at a time. Pure.

export class LateChange {
  #wanted = null;
  #is_due = false;
  #is_sending = false;
  #timer = null;

  /** `send(value)` may return a promise, and `settled(value)` is called when that is over. `rest_ms`: after the last step. */
  constructor(rest_ms, send, settled) {
    Object.assign(this, { rest_ms, send, settled });
  }

  /** Wants another value, in place of one that was not sent yet. */
  want(value) {
    this.#wanted = { value };
    this.#is_due = false;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.flush(), this.rest_ms);
  }

  /** Sends what is wanted at once, or as soon as the change before it is settled: two could overtake each other. */
  flush() {
    clearTimeout(this.#timer);
    this.#is_due = true;
    this.#send();
  }

  async #send() {
    if (this.#is_sending || !this.#is_due || !this.#wanted)
      return;
    const { value } = this.#wanted;
    this.#wanted = null;
    this.#is_sending = true;
    try {
      await this.send(value);
    } finally {
      this.#is_sending = false;
      this.settled(value);
      this.#send();
    }
  }
}
