// One session with the server, across lost connections. Knows the protocol; knows neither sources nor loudspeakers.

import { decode, encode } from "./msgpack.mjs";

const VERSION = 1;
const KEEP = 2; // seconds of sound that can be said again
const ACK = 0.5; // seconds of stems between two acks
const MISSES = 5; // attempts to find the session, where several servers stand behind the address
const HELD = 5; // seconds after which a connection was of some use, whatever came of it
const FATAL = ["auth", "version", "hello", "bad_message", "bad_audio"]; // trying again mends none of these

/** What happens comes as events: ready, stems {position, count, data}, notice {text, passing}, end {text}. */
export class Session extends EventTarget {
  constructor(url, { rate, channels, stems, lookahead, token }) {
    super();
    this.url = url;
    this.hello = {
      kind: "hello", version: VERSION, rate, channels, format: "s16le", stems, lookahead, live: true,
      token: token || undefined, client: "browser",
    };
    this.position = 0; // of the next sound, from the first of this page on
    this.received = 0; // of the next stems
    this.base = 0; // what the server's session calls 0
    this.acked = this.seq = this.attempts = 0;
    this.kept = []; // {position, count, data}
    this.ready = null;
    this.missed = null; // changes that no server has heard of
    this.said = null; // why the server ends this connection
    this.closed = false;
    this.connect();
  }

  /** Interleaved s16le bytes of `count` samples. */
  audio(data, count) {
    const piece = { position: this.position, count, data };
    this.position += count;
    this.kept.push(piece);
    while (this.kept.length && this.kept[0].position + this.kept[0].count < this.position - KEEP * this.hello.rate) {
      this.kept.shift();
    }
    this.speak(piece);
  }

  /** Begins to hold as soon as possible. */
  set(changes) {
    if (changes.lookahead !== undefined) this.hello.lookahead = changes.lookahead;
    if (this.open) this.send({ kind: "set", ...changes });
    else this.missed = { ...this.missed, ...changes };
  }

  close() {
    this.closed = true;
    this.send({ kind: "bye", reason: "done" });
    this.socket?.close();
  }

  connect() {
    const resume = this.ready ? { resume: this.ready.resume, received: this.received - this.base } : {};
    this.open = false;
    this.socket = new WebSocket(this.url);
    this.socket.binaryType = "arraybuffer";
    this.socket.onopen = () => {
      if (!this.ready) this.missed = null; // a new session begins with them
      this.send({ ...this.hello, ...resume });
    };
    this.socket.onmessage = ({ data }) => this.hear(data);
    this.socket.onclose = () => this.lost();
  }

  hear(data) {
    let message;
    try {
      message = decode(new Uint8Array(data));
    } catch (error) {
      return this.tell("notice", { text: `The server sent what is no message: ${error.message}.` });
    }
    if (message.kind === "ready") this.begin(message);
    else if (message.kind === "stems") this.stems(message);
    else if (message.kind === "ping") this.send({ kind: "pong", id: message.id });
    else if (message.kind === "error") this.error(message);
  }

  begin(ready) {
    if (!ready.resumed) {
      // A new session goes on with the oldest sound that is still here.
      this.base = this.kept.length ? this.kept[0].position : this.position;
      this.received = Math.max(this.received, this.base);
    }
    this.ready = ready;
    this.open = true;
    this.opened = performance.now();
    const next = this.base + ready.position;
    for (const piece of this.kept) if (piece.position + piece.count > next) this.speak(piece);
    const missed = this.missed;
    this.missed = null;
    if (missed) this.set(missed);
    this.tell("ready", { ready });
  }

  stems({ position, count, data }) {
    const start = position + this.base;
    const known = Math.max(0, this.received - start); // was here before the connection was lost
    if (known >= count) return;
    this.attempts = 0; // not before: a server may also lose everybody whom it has welcomed
    this.received = start + count;
    const rest = Object.entries(data).map(([name, part]) => [name, part.subarray((part.length / count) * known)]);
    this.tell("stems", { position: start + known, count: count - known, data: Object.fromEntries(rest) });
    if (this.received - this.acked > ACK * this.hello.rate) {
      this.acked = this.received;
      this.send({ kind: "ack", position: this.received - this.base });
    }
  }

  error({ code, sentence, fatal, retry_after: wait }) {
    this.tell("notice", { text: sentence, passing: !fatal });
    if (!fatal) return;
    this.said = sentence;
    if (FATAL.includes(code)) return this.end(sentence);
    if (code === "resume" && this.open) return this.end(sentence); // somebody else goes on with the session
    const elsewhere = code === "resume" && wait !== undefined && this.attempts < MISSES;
    if ((code === "resume" && !elsewhere) || code === "gap") this.ready = null; // a new session
    this.wait = wait;
  }

  lost() {
    if (this.open && performance.now() - this.opened > 1000 * HELD) this.attempts = 0;
    this.open = false;
    if (this.closed) return;
    const said = this.said;
    this.said = null;
    if (this.attempts >= 12) return this.end(said ?? "The server does not answer.");
    const delay = Math.max(this.wait ?? 0, Math.min(5, 0.25 * 2 ** this.attempts++) * (0.5 + Math.random() / 2));
    this.wait = undefined;
    this.tell("notice", { text: `${said ?? "The connection was lost."} Trying again in ${delay.toFixed(1)} s.` });
    setTimeout(() => this.closed || this.connect(), 1000 * delay);
  }

  end(text) {
    this.closed = true;
    this.socket.close();
    this.tell("end", { text });
  }

  speak({ position, data }) {
    if (this.open) this.send({ kind: "audio", seq: this.seq++, position: position - this.base, data });
  }

  send(message) {
    // Bounded: what a slow line cannot take is not heaped up, and the server fills the gap with silence.
    const audio = message.kind === "audio";
    if (this.socket?.readyState === WebSocket.OPEN && !(audio && this.socket.bufferedAmount > 1 << 20)) {
      this.socket.send(encode(message));
    }
  }

  tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
