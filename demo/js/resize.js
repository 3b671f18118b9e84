/**
 * Resampling by hand, as OpenCV and Pillow do it: what a canvas does differs between browsers.
 * Along one axis after the other; the weights of an axis are, for every new sample, the `first`
 * old one that counts and how much it and those behind it count.
 */

/**
 * Interpolates bytes (height, width, channels) to another size, as
 * `onnxcam.preprocess.scaling.scaled` does. Returns bytes (newHeight, newWidth, channels).
 */
export function resized(bytes, [height, width], [newHeight, newWidth], interpolation, channels = 3) {
  if (height === newHeight && width === newWidth) return bytes;
  const shrinks = newHeight < height && newWidth < width;
  const weigh = METHODS[interpolation === "area" && !shrinks ? "linear" : interpolation];
  // Pillow rounds between the two axes, OpenCV does not.
  const Between = interpolation.startsWith("pil-") ? Uint8ClampedArray : Float32Array;
  const across = new Between(height * newWidth * channels);
  alongRows(bytes, across, height, width, weigh(width, newWidth), channels);
  const whole = new Uint8ClampedArray(newHeight * newWidth * channels);
  alongColumns(across, whole, newWidth * channels, weigh(height, newHeight));
  return whole;
}

/** Values (height, width) by the weights of their two axes: float32 values of the new size. */
export function interpolated(values, [height, width], rows, columns) {
  const across = new Float32Array(height * columns.length);
  alongRows(values, across, height, width, columns, 1);
  const whole = new Float32Array(rows.length * columns.length);
  alongColumns(across, whole, columns.length, rows);
  return whole;
}

/** Linear between the middles of samples, at any places; beyond the outermost the value stays. */
export function linearAt(places, old) {
  return Array.from(places, (place) => around(place, old, 1, triangle));
}

function alongRows(values, into, height, width, weights, channels) {
  const stride = weights.length * channels;
  for (let row = 0; row < height; row++) {
    const from = row * width * channels;
    for (let x = 0; x < weights.length; x++) {
      const { first, shares } = weights[x];
      for (let channel = 0; channel < channels; channel++) {
        let sum = 0;
        let at = from + first * channels + channel;
        for (let tap = 0; tap < shares.length; tap++, at += channels) sum += shares[tap] * values[at];
        into[row * stride + x * channels + channel] = sum;
      }
    }
  }
}

function alongColumns(values, into, stride, weights) {
  const sums = new Float64Array(stride);
  weights.forEach(({ first, shares }, y) => {
    sums.fill(0);
    shares.forEach((share, tap) => {
      const from = (first + tap) * stride;
      for (let x = 0; x < stride; x++) sums[x] += share * values[from + x];
    });
    into.set(sums, y * stride);
  });
}

/** The mean over what of the old samples each new one covers. */
function area(old, now) {
  const step = old / now;
  return Array.from({ length: now }, (_, i) => {
    const start = i * step, stop = Math.min(old, start + step);
    const first = Math.floor(start + 1e-9);
    const count = Math.max(1, Math.ceil(stop - 1e-9) - first);
    const shares = Array.from({ length: count }, (_, tap) =>
      Math.max(0, Math.min(first + tap + 1, stop) - Math.max(first + tap, start)),
    );
    return normalized(first, shares);
  });
}

/** A kernel of that radius around each new sample's middle, as OpenCV: nothing is smoothed. */
const sampling = (radius, kernel) => (old, now) =>
  Array.from({ length: now }, (_, i) => around(((i + 0.5) * old) / now - 0.5, old, radius, kernel));

/** A kernel as wide as the shrinking asks for, as Pillow: it smooths, and ends at the edge. */
const smoothing = (radius, kernel) => (old, now) => {
  const step = Math.max(1, old / now);
  return Array.from({ length: now }, (_, i) => {
    const middle = ((i + 0.5) * old) / now;
    const first = Math.max(0, Math.trunc(middle - radius * step + 0.5));
    const stop = Math.min(old, Math.trunc(middle + radius * step + 0.5));
    const shares = Array.from({ length: stop - first }, (_, tap) =>
      kernel((first + tap - middle + 0.5) / step),
    );
    return normalized(first, shares);
  });
};

/** The one old sample that `offset` of a new one's width falls on. */
const picking = (offset) => (old, now) =>
  Array.from({ length: now }, (_, i) => ({
    first: Math.min(old - 1, Math.floor(((i + offset) * old) / now)),
    shares: [1],
  }));

/** What counts at a place; samples beyond the edge are those at it. */
function around(place, old, radius, kernel) {
  const before = Math.floor(place) - radius + 1;
  const first = clamp(before, old), last = clamp(before + 2 * radius - 1, old);
  const shares = new Array(last - first + 1).fill(0);
  for (let tap = before; tap < before + 2 * radius; tap++) {
    shares[clamp(tap, old) - first] += kernel(place - tap);
  }
  return normalized(first, shares);
}

function normalized(first, shares) {
  const sum = shares.reduce((a, b) => a + b, 0);
  return { first, shares: shares.map((share) => share / sum) };
}

const clamp = (index, length) => Math.min(length - 1, Math.max(0, index));

const triangle = (x) => Math.max(0, 1 - Math.abs(x));

/** Keys' kernel; OpenCV has a = -0.75, Pillow -0.5. */
const cubic = (a) => (x) => {
  const t = Math.abs(x);
  if (t >= 2) return 0;
  return t < 1 ? ((a + 2) * t - (a + 3)) * t * t + 1 : a * (((t - 5) * t + 8) * t - 4);
};

const lanczos = (lobes) => (x) => (Math.abs(x) < lobes ? sinc(x) * sinc(x / lobes) : 0);

const sinc = (x) => (x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x));

const METHODS = {
  area,
  nearest: picking(0),
  linear: sampling(1, triangle),
  cubic: sampling(2, cubic(-0.75)),
  lanczos: sampling(4, lanczos(4)),
  "pil-nearest": picking(0.5),
  "pil-linear": smoothing(1, triangle),
  "pil-cubic": smoothing(2, cubic(-0.5)),
  "pil-lanczos": smoothing(3, lanczos(3)),
};

/** Every interpolation that `resized` knows. */
export const INTERPOLATIONS = Object.keys(METHODS);
