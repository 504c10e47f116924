// Samples ↔ bytes and files. Knows s16le and WAV; knows no messages.

/** Interleaved Float32Array → s16le bytes, rounded and clipped. */
export function toBytes(sound) {
  const out = new Uint8Array(2 * sound.length);
  const view = new DataView(out.buffer);
  for (let i = 0; i < sound.length; i++) {
    const value = Math.max(-32768, Math.min(32767, roundEven(sound[i] * 32768)));
    view.setInt16(2 * i, value || 0, true);
  }
  return out;
}

/** s16le bytes → interleaved Float32Array. */
export function toSound(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Float32Array.from({ length: bytes.length / 2 }, (_, i) => view.getInt16(2 * i, true) / 32768);
}

/** A WAV file of s16le pieces. */
export function wav(pieces, rate, channels) {
  const size = pieces.reduce((sum, piece) => sum + piece.length, 0);
  const head = new DataView(new ArrayBuffer(44));
  const write = (at, name) => [...name].forEach((letter, i) => head.setUint8(at + i, letter.charCodeAt(0)));
  write(0, "RIFF");
  head.setUint32(4, 36 + size, true);
  write(8, "WAVEfmt ");
  head.setUint32(16, 16, true);
  head.setUint16(20, 1, true);
  head.setUint16(22, channels, true);
  head.setUint32(24, rate, true);
  head.setUint32(28, 2 * rate * channels, true);
  head.setUint16(32, 2 * channels, true);
  head.setUint16(34, 16, true);
  write(36, "data");
  head.setUint32(40, size, true);
  return new Blob([head.buffer, ...pieces], { type: "audio/wav" });
}

function roundEven(value) {
  const rounded = Math.round(value);
  return rounded - value === 0.5 && rounded % 2 ? rounded - 1 : rounded;
}
