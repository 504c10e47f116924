// msgpack, as much as the protocol needs: null, booleans, numbers, text, bytes (Uint8Array), lists, maps with text keys.
// Knows bytes and values; knows no messages. Whole numbers are exact up to 2^53.

const utf8 = new TextEncoder();
const text = new TextDecoder("utf-8", { fatal: true });

/** The bytes of a value. Properties that are undefined are left out. */
export function encode(value) {
  const parts = [];
  put(value, parts);
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** The value in one whole msgpack object. Throws an Error for anything else. */
export function decode(bytes) {
  const reader = new Reader(bytes);
  const value = reader.value(0);
  if (reader.at !== bytes.length) throw new Error("bytes are left after the message");
  return value;
}

function head(code, size, number) {
  const out = new Uint8Array(1 + size);
  const view = new DataView(out.buffer);
  out[0] = code;
  if (size === 1) view.setUint8(1, number);
  else if (size === 2) view.setUint16(1, number);
  else if (size === 4) view.setUint32(1, number);
  else if (size === 8) view.setBigUint64(1, BigInt.asUintN(64, BigInt(number)));
  return out;
}

// The shortest of several forms: [largest number, code, bytes of the number].
function sized(number, forms) {
  for (const [most, code, size] of forms) if (number <= most) return head(code, size, number);
  throw new Error(`${number} is too much for a message`);
}

function put(value, parts) {
  if (value === null) parts.push(Uint8Array.of(0xc0));
  else if (typeof value === "boolean") parts.push(Uint8Array.of(value ? 0xc3 : 0xc2));
  else if (typeof value === "number") parts.push(number(value));
  else if (typeof value === "string") {
    const data = utf8.encode(value);
    const short = data.length < 32 ? Uint8Array.of(0xa0 | data.length) : null;
    parts.push(short ?? sized(data.length, [[0xff, 0xd9, 1], [0xffff, 0xda, 2], [0xffffffff, 0xdb, 4]]), data);
  } else if (value instanceof Uint8Array) {
    parts.push(sized(value.length, [[0xff, 0xc4, 1], [0xffff, 0xc5, 2], [0xffffffff, 0xc6, 4]]), value);
  } else if (Array.isArray(value)) {
    parts.push(value.length < 16 ? Uint8Array.of(0x90 | value.length) : sized(value.length, [[0xffff, 0xdc, 2]]));
    for (const item of value) put(item, parts);
  } else {
    const entries = Object.entries(value).filter(([, item]) => item !== undefined);
    parts.push(entries.length < 16 ? Uint8Array.of(0x80 | entries.length) : sized(entries.length, [[0xffff, 0xde, 2]]));
    for (const [key, item] of entries) {
      put(key, parts);
      put(item, parts);
    }
  }
}

function number(value) {
  if (!Number.isSafeInteger(value)) {
    const out = new Uint8Array(9);
    out[0] = 0xcb;
    new DataView(out.buffer).setFloat64(1, value);
    return out;
  }
  if (value >= 0) {
    if (value < 128) return Uint8Array.of(value);
    return sized(value, [[0xff, 0xcc, 1], [0xffff, 0xcd, 2], [0xffffffff, 0xce, 4], [2 ** 53, 0xcf, 8]]);
  }
  if (value >= -32) return Uint8Array.of(0x100 + value);
  if (value >= -0x80) return head(0xd0, 1, value & 0xff);
  if (value >= -0x8000) return head(0xd1, 2, value & 0xffff);
  return head(0xd3, 8, value);
}

class Reader {
  constructor(bytes) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.at = 0;
  }

  take(count) {
    if (this.at + count > this.bytes.length) throw new Error("the message is cut short");
    this.at += count;
    return this.at - count;
  }

  whole(size) {
    const at = this.take(size);
    if (size === 1) return this.view.getUint8(at);
    if (size === 2) return this.view.getUint16(at);
    if (size === 4) return this.view.getUint32(at);
    return Number(this.view.getBigUint64(at));
  }

  value(depth) {
    if (depth > 8) throw new Error("the message is nested too deeply");
    const code = this.whole(1);
    if (code < 0x80) return code;
    if (code < 0x90) return this.map(code & 0x0f, depth);
    if (code < 0xa0) return this.list(code & 0x0f, depth);
    if (code < 0xc0) return this.text(code & 0x1f);
    if (code >= 0xe0) return code - 0x100;
    switch (code) {
      case 0xc0: return null;
      case 0xc2: return false;
      case 0xc3: return true;
      case 0xc4: case 0xc5: case 0xc6: return this.blob(this.whole(1 << (code - 0xc4)));
      case 0xca: return this.view.getFloat32(this.take(4));
      case 0xcb: return this.view.getFloat64(this.take(8));
      case 0xcc: case 0xcd: case 0xce: case 0xcf: return this.whole(1 << (code - 0xcc));
      case 0xd0: return this.view.getInt8(this.take(1));
      case 0xd1: return this.view.getInt16(this.take(2));
      case 0xd2: return this.view.getInt32(this.take(4));
      case 0xd3: return Number(this.view.getBigInt64(this.take(8)));
      case 0xd9: case 0xda: case 0xdb: return this.text(this.whole(1 << (code - 0xd9)));
      case 0xdc: return this.list(this.whole(2), depth);
      case 0xde: return this.map(this.whole(2), depth);
      default: throw new Error(`byte ${code} has no meaning here`);
    }
  }

  blob(length) {
    const at = this.take(length);
    return this.bytes.slice(at, at + length);
  }

  text(length) {
    return text.decode(this.blob(length));
  }

  list(length, depth) {
    return Array.from({ length }, () => this.value(depth + 1));
  }

  map(length, depth) {
    const out = {};
    for (let i = 0; i < length; i++) {
      const key = this.value(depth + 1);
      if (typeof key !== "string") throw new Error("a key is no text");
      out[key] = this.value(depth + 1);
    }
    return out;
  }
}
