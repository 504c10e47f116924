// The browser's session with a server that says only what a test wants it to say; run by test_javascript.py.
import assert from "node:assert/strict";
import { test } from "node:test";

import { decode, encode } from "../../clients/browser/msgpack.mjs";
import { Session } from "../../clients/browser/session.mjs";

const later = globalThis.setTimeout;

class Socket {
  static OPEN = 1;
  static all = [];
  bufferedAmount = 0;
  readyState = 0;
  sent = [];

  constructor() {
    Socket.all.push(this);
  }

  send(data) {
    this.sent.push(decode(data));
  }

  close() {
    this.readyState = 3;
  }

  open() {
    this.readyState = 1;
    this.onopen();
  }

  hear(message) {
    this.onmessage({ data: encode(message) });
  }

  lose() {
    this.readyState = 3;
    this.onclose();
  }
}

/** A session, what it told, and its newest socket. */
function begun() {
  globalThis.WebSocket = Socket;
  globalThis.setTimeout = (call) => call(); // attempts follow at once
  const session = new Session("ws://nowhere", { rate: 1000, channels: 2, stems: ["bass"], lookahead: 0, token: "" });
  const told = [];
  for (const type of ["stems", "notice", "end"]) session.addEventListener(type, ({ detail }) => told.push(detail));
  return { session, told, socket: () => Socket.all.at(-1) };
}

const ready = (more = {}) => ({ kind: "ready", resume: "key", position: 0, window: 2000, resumed: false, ...more });
const stems = (position, ...values) => ({
  kind: "stems", seq: 0, position, count: values.length, data: { bass: Uint8Array.from(values.flatMap((v) => [v, v, v, v])) },
});
const full = { kind: "error", code: "full", sentence: "all 2 places are taken.", fatal: true };

test.afterEach(() => (globalThis.setTimeout = later));

test("the server's reason stays to be read", () => {
  const { told, socket } = begun();
  socket().open();
  socket().hear(full);
  socket().lose();
  assert.match(told.at(-1).text, /^all 2 places are taken\. Trying again in/);
  socket().lose();
  assert.match(told.at(-1).text, /^The connection was lost\. Trying again in/);
  while (told.at(-1).text.includes("Trying")) {
    socket().open();
    socket().hear(full);
    socket().lose();
  }
  assert.equal(told.at(-1).text, full.sentence);
});

test("what passes is told apart from what stops the sound", () => {
  const { told, socket } = begun();
  socket().open();
  socket().hear(ready());
  socket().hear({ kind: "error", code: "gap", sentence: "10 samples are missing.", fatal: false });
  assert.deepEqual(told.at(-1), { text: "10 samples are missing.", passing: true });
  socket().hear(full);
  assert.equal(told.at(-1).passing, false);
});

test("a lookahead that was chosen in an outage reaches the session that goes on", () => {
  const { session, socket } = begun();
  socket().open();
  socket().hear(ready());
  socket().lose();
  session.set({ lookahead: 1 });
  session.set({ lookahead: 2 });
  socket().open();
  socket().hear(ready({ resumed: true }));
  assert.deepEqual(socket().sent.slice(1), [{ kind: "set", lookahead: 2 }]);
  session.set({ lookahead: 0 });
  assert.deepEqual(socket().sent.at(-1), { kind: "set", lookahead: 0 });
});

test("a new session begins with it", () => {
  const { session, socket } = begun();
  session.set({ lookahead: 2 });
  socket().open();
  socket().hear(ready());
  assert.deepEqual(socket().sent.map(({ kind, lookahead }) => [kind, lookahead]), [["hello", 2]]);
});

test("no sample comes twice when a new session goes on in the middle of a block", () => {
  const { session, told, socket } = begun();
  socket().open();
  socket().hear(ready());
  for (let i = 0; i < 6; i++) session.audio(new Uint8Array(4), 1);
  socket().hear(stems(0, 1, 2, 3));
  socket().lose();
  socket().open();
  socket().hear({ kind: "error", code: "resume", sentence: "this key is unknown.", fatal: true });
  socket().lose();
  socket().open();
  socket().hear(ready());
  socket().hear(stems(0, 1, 2));
  socket().hear(stems(2, 3, 4, 5));
  const heard = told.filter(({ count }) => count);
  assert.deepEqual(heard.map(({ position, count }) => [position, count]), [[0, 3], [3, 2]]);
  assert.deepEqual([...heard[1].data.bass], [4, 4, 4, 4, 5, 5, 5, 5]);
});

test("a server that is ready for everybody and loses everybody is given up", () => {
  const { told, socket } = begun();
  for (let i = 0; i < 50 && !/^The server does not answer/.test(told.at(-1)?.text); i++) {
    socket().open();
    socket().hear(ready({ resumed: i > 0 }));
    socket().lose();
  }
  assert.equal(told.at(-1).text, "The server does not answer.");
});

test("one that holds the connection for a while, with nothing to say, is not", () => {
  const { told, socket } = begun();
  const now = performance.now();
  for (let i = 0; i < 50; i++) {
    socket().open();
    socket().hear(ready({ resumed: i > 0 }));
    performance.now = () => now + 60_000 * (i + 1);
    socket().lose();
  }
  delete performance.now;
  assert.match(told.at(-1).text, /Trying again in/);
});

test("nor is one that gives stems in between", () => {
  const { told, socket } = begun();
  for (let i = 0; i < 50; i++) {
    socket().open();
    socket().hear(ready({ resumed: i > 0 }));
    socket().hear(stems(i, 1));
    socket().lose();
  }
  assert.match(told.at(-1).text, /Trying again in/);
});

test("a session that somebody else took is not begun anew", () => {
  const { told, socket } = begun();
  socket().open();
  socket().hear(ready());
  const last = socket();
  socket().hear({ kind: "error", code: "resume", sentence: "the session goes on elsewhere.", fatal: true });
  last.lose();
  assert.equal(told.at(-1).text, "the session goes on elsewhere.");
  assert.equal(socket(), last);
});
