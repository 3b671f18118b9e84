/**
 * Protocol buffers, as far as an ONNX file needs them: the fields of a message, one after the other.
 * https://protobuf.dev/programming-guides/encoding
 */

const VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5;

const decoder = new TextDecoder();

/**
 * The fields of a message: `number`, `value` (a number, or for strings, bytes and messages a view
 * of the bytes), and `start` and `end`, where the whole field lies. Throws RangeError where the
 * bytes are no message.
 */
export function* fields(bytes) {
  let at = 0;
  while (at < bytes.length) {
    const start = at;
    const key = varint(bytes, at);
    const number = Math.floor(key.value / 8);
    let value;
    at = key.end;
    switch (key.value % 8) {
      case VARINT:
        ({ value, end: at } = varint(bytes, at));
        break;
      case BYTES: {
        const length = varint(bytes, at);
        at = length.end + length.value;
        value = bytes.subarray(length.end, at);
        break;
      }
      case FIXED64:
        at += 8;
        break;
      case FIXED32:
        at += 4;
        break;
      default:
        throw new RangeError(`no field begins at byte ${start}`);
    }
    if (at > bytes.length || number === 0) throw new RangeError(`cut short at byte ${start}`);
    yield { number, value, start, end: at };
  }
}

/** The text of a string field. */
export const text = (value) => decoder.decode(value);

/** A field of bytes, key and length in front of it, in parts. */
export function framed(number, parts) {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  return [asVarint(number * 8 + BYTES), asVarint(length), ...parts];
}

/** Beyond 2^53, where doubles end, only negative numbers lie, and nobody here asks for those. */
function varint(bytes, at) {
  let value = 0;
  for (let factor = 1, end = at; end < bytes.length && end < at + 10; factor *= 128) {
    const byte = bytes[end++];
    value += (byte & 127) * factor;
    if (byte < 128) return { value, end };
  }
  throw new RangeError(`no number at byte ${at}`);
}

function asVarint(value) {
  const bytes = [];
  for (; value >= 128; value = Math.floor(value / 128)) bytes.push((value % 128) | 128);
  return Uint8Array.from([...bytes, value]);
}
