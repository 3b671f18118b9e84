/** Numbers in the element types that models take and give. */

/** float32 numbers as the data of a tensor of another type; null where that is unknown. */
export function stored(values, type) {
  switch (type) {
    case "float32":
      return values;
    case "float16":
      return Uint16Array.from(values, halfBits);
    case "uint8":
      return new Uint8Array(Uint8ClampedArray.from(values)); // rounds, and cuts off
    default:
      return null;
  }
}

/** What a tensor holds as numbers. */
export function numbers(tensor) {
  // Browsers that have Float16Array give numbers, the others their bits.
  if (tensor.type === "float16" && tensor.data instanceof Uint16Array) {
    return Float32Array.from(tensor.data, fromHalfBits);
  }
  return Array.from(tensor.data, Number);
}

/** The bits of the nearest number of half precision (IEEE 754 binary16), ties to even. */
function halfBits(value) {
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const size = Math.abs(value);
  if (Number.isNaN(value)) return 0x7e00;
  if (size >= 65520) return sign | 0x7c00;
  const exponent = Math.max(-14, Math.floor(Math.log2(size || 2 ** -24)));
  const steps = size / 2 ** (exponent - 10);
  const down = Math.floor(steps);
  const rest = steps - down;
  const whole = down + (rest > 0.5 || (rest === 0.5 && down % 2) ? 1 : 0);
  // A number below 1024 steps is subnormal; 2048 steps carry into the exponent by themselves.
  return sign | (exponent === -14 ? whole : ((exponent + 14) << 10) + whole);
}

function fromHalfBits(bits) {
  const exponent = (bits >> 10) & 31, fraction = bits & 1023;
  const sign = bits & 0x8000 ? -1 : 1;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
