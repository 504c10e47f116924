// 60 lines to port: s16le stereo at 48 kHz on stdin → stem on stdout, live. Node 22, or 20 with --experimental-websocket.
//   ffmpeg -re -i song.mp3 -f s16le -ar 48000 -ac 2 - | node separate.mjs vocals | ffplay -f s16le -ar 48000 -ac 2 -
import { pathToFileURL } from "node:url";
import { decode, encode } from "../browser/msgpack.mjs";

const RATE = 48_000, CHANNELS = 2, FRAME = 2 * CHANNELS; // bytes of one sample of all channels

export const hello = (stem) => ({ kind: "hello", version: 1, rate: RATE, channels: CHANNELS, format: "s16le", stems: [stem] });
export const audio = (seq, position, data) => ({ kind: "audio", seq, position, data });

/** One stem of what comes from `input`, handed to `output` piece by piece; resolves when the last piece is out. */
export function separate(url, stem, input, output) {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url);
    const send = (message) => socket.send(encode(message));
    const open = () => socket.readyState === WebSocket.OPEN;
    let acked = 0;
    socket.binaryType = "arraybuffer";
    socket.onopen = () => send(hello(stem));
    socket.onerror = () => reject(new Error(`no server at ${url}`));
    socket.onclose = () => reject(new Error("the connection was lost")); // resume: see PROTOCOL.md
    socket.onmessage = ({ data }) => {
      const message = decode(new Uint8Array(data));
      if (message.kind === "ready") play().catch(reject);
      else if (message.kind === "stems") {
        output(message.data[stem]);
        const end = message.position + message.count;
        if (end - acked > RATE / 2) send({ kind: "ack", position: (acked = end) });
      }
      else if (message.kind === "error" && message.fatal) reject(new Error(message.sentence));
      else if (message.kind === "error") console.error(message.sentence);
      else if (message.kind === "flush") resolve(send({ kind: "bye" })); // kinds that are unknown are ignored
    };

    async function play() {
      let seq = 0, position = 0, rest = new Uint8Array(0);
      for await (const chunk of input) {
        if (!open()) return;
        const bytes = Buffer.concat([rest, chunk]);
        const whole = bytes.length - (bytes.length % FRAME); // never a part of a sample
        rest = bytes.subarray(whole);
        if (whole) send(audio(seq++, position, new Uint8Array(bytes.subarray(0, whole))));
        position += whole / FRAME;
        while (open() && socket.bufferedAmount > 1 << 20) await new Promise((later) => setTimeout(later, 10));
      }
      send({ kind: "flush" });
    }
  });
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const [stem = "vocals", url = "ws://127.0.0.1:8765/v1"] = process.argv.slice(2);
  try {
    await separate(url, stem, process.stdin, (bytes) => process.stdout.write(bytes));
  } catch (error) {
    console.error(error.message);
    process.exit(2); // whatever stdin still has
  }
}
