// The JavaScript clients against the shared vectors; run by test_javascript.py, or by hand: node --test tests/clients
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { decode, encode } from "../../clients/browser/msgpack.mjs";
import { toBytes, toSound, wav } from "../../clients/browser/samples.mjs";
import { audio, hello } from "../../clients/node/separate.mjs";

const vectors = JSON.parse(readFileSync(new URL("../../clients/vectors.json", import.meta.url)));
const bytes = (hex) => Uint8Array.from(Buffer.from(hex, "hex"));
const hex = (data) => Buffer.from(data).toString("hex");

function meaning(value) {
  if (Array.isArray(value)) return value.map(meaning);
  if (value === null || typeof value !== "object") return value;
  if (Object.keys(value).join() === "hex") return bytes(value.hex);
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, meaning(item)]));
}

for (const { name, hex: data, message } of vectors.messages) {
  test(`message: ${name}`, () => {
    assert.deepEqual(decode(bytes(data)), meaning(message));
    assert.deepEqual(decode(encode(meaning(message))), meaning(message));
    // JavaScript writes 10.0 as the integer 10, which means the same.
    if (!data.includes("cb")) assert.equal(hex(encode(meaning(message))), data);
  });
}

test("what is no message is refused", () => {
  const whole = bytes(vectors.messages[1].hex);
  for (let length = 0; length < whole.length; length++) assert.throws(() => decode(whole.subarray(0, length)));
  for (const wrong of ["c1", "d7ff0000000000000000", "8101c0", "91".repeat(50) + "c0", "a1ff", "00ff"]) {
    assert.throws(() => decode(bytes(wrong)), wrong);
  }
});

test("numbers of every size", () => {
  for (const value of [0, 127, 128, 255, 256, 65535, 65536, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1, -1, -32, -33, -128, -129, -70000, 0.1]) {
    assert.equal(decode(encode(value)), value);
  }
});

for (const { format, channels, hex: data, samples } of vectors.samples.filter(({ format }) => format === "s16le")) {
  test(`samples: ${format}`, () => {
    const interleaved = samples[0].flatMap((_, i) => samples.map((channel) => channel[i]));
    assert.deepEqual([...toSound(bytes(data))], interleaved);
    assert.equal(hex(toBytes(Float32Array.from(interleaved))), data);
    assert.equal(channels, samples.length);
  });
}

test("a recording is a WAV file", async () => {
  const file = Buffer.from(await wav([new Uint8Array(8), new Uint8Array(4)], 44100, 2).arrayBuffer());
  assert.equal(file.length, 56);
  assert.equal(file.readUInt32LE(24), 44100);
  assert.equal(file.readUInt32LE(40), 12);
  assert.equal(file.toString("latin1", 0, 4) + file.toString("latin1", 8, 15), "RIFFWAVEfmt");
});

test("the example's messages", () => {
  const shortest = meaning(vectors.messages[0].message);
  const mine = hello("vocals");
  for (const key of Object.keys(mine)) assert.ok(key in shortest, key);
  assert.deepEqual({ ...shortest, ...mine }, { ...shortest, format: "s16le", stems: ["vocals"] });
  const vector = vectors.messages.find(({ name }) => name === "audio, two stereo samples of s16le");
  assert.equal(hex(encode(audio(0, 0, meaning(vector.message).data))), vector.hex);
});
