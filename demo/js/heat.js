/**
 * From the raw map to the heat on the picture: Python's `onnxcam.finish.Finish` as it is by
 * default, scaled to [0, 1] by the least and the largest of what is positive, and enlarged linearly.
 */

import { spans } from "./fitting.js";
import { interpolated, linearAt } from "./resize.js";

/** Less of a pixel than what rounding leaves. */
const HAIR = 1e-6;

/**
 * Heat in [0, 1] on a picture, float32 (height, width). `raw` is { values, size }, the map of the
 * whole input; `fit` says how the picture got into that. The picture may be drawn in another
 * `size` than it has. What the model did not see is 0.
 */
export function heatOnPicture(raw, fit, size) {
  const values = unit(raw.values);
  const onInput = back(values, raw.size, fit.input, fit.input.map((length) => ({
    seen: [0, length], filled: [0, length], input: length,
  })));
  const [low, high] = extremes(onInput);
  const axes = spans(fit).map(({ seen, filled }, axis) => {
    const ratio = size[axis] / fit.source[axis];
    return { seen: seen.map((place) => place * ratio), filled, input: fit.input[axis] };
  });
  const heat = back(values, raw.size, size, axes);
  return low < high ? scaled(heat, low, high) : heat;
}

/** The share of the heat's maximum that the positive part of a map has at every place. */
export function unit(raw) {
  const values = Float64Array.from(raw, (value) => Math.max(0, value));
  const [low, high] = extremes(values);
  if (!values.every(Number.isFinite) || low === high) return new Float32Array(raw.length);
  return scaled(values, low, high);
}

/** Row and column, each in [0, 1], where heat (height, width) is highest; null where there is none. */
export function hottest(heat, [height, width]) {
  let best = -1, most = 0;
  heat.forEach((value, at) => {
    if (value > most) [best, most] = [at, value];
  });
  if (best < 0) return null;
  return [(Math.floor(best / width) + 0.5) / height, ((best % width) + 0.5) / width];
}

/** A map of the whole input on pixels of the source; `axes` say which part of each is which. */
function back(values, own, size, axes) {
  const weights = axes.map(({ seen, filled, input }, axis) => {
    const ratio = (filled[1] - filled[0]) / (seen[1] - seen[0]);
    const middles = Array.from({ length: size[axis] }, (_, i) => i + 0.5);
    const places = middles.map(
      (middle) => (((middle - seen[0]) * ratio + filled[0]) * own[axis]) / input - 0.5,
    );
    const taps = linearAt(places, own[axis]);
    middles.forEach((middle, i) => {
      const outside = middle + 0.5 <= seen[0] + HAIR || middle - 0.5 >= seen[1] - HAIR;
      if (outside) taps[i] = { first: 0, shares: [0] };
    });
    return taps;
  });
  return interpolated(values, own, ...weights);
}

function scaled(values, low, high) {
  return Float32Array.from(values, (v) => Math.min(1, Math.max(0, (v - low) / (high - low))));
}

function extremes(values) {
  let low = Infinity, high = -Infinity;
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return [low, high];
}
