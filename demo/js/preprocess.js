/**
 * From a picture to what the model was trained on: Python's `onnxcam.preprocess.Preprocess` for
 * pictures, with the same settings, names and defaults.
 */

import { Complaint } from "./complaint.js";
import { fitted } from "./fitting.js";
import { INTERPOLATIONS, resized } from "./resize.js";

const DEFAULTS = {
  color: "rgb",
  scale: 1 / 255,
  mean: 0,
  std: 1,
  size: null,
  resize: "stretch",
  crop_ratio: 1,
  interpolation: "area",
  pad_at: "corner",
  pad_value: null,
  window: null,
  axes: null,
};

const CHOICES = {
  color: ["rgb", "bgr"],
  resize: ["stretch", "crop", "pad"],
  interpolation: INTERPOLATIONS,
  pad_at: ["corner", "center"],
};

/** Named ways to normalise, as `onnxcam.preprocess.PRESETS`. */
export const PRESETS = {
  imagenet: { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] },
  caffe: { color: "bgr", scale: 1, mean: [103.939, 116.779, 123.68] },
  tf: { scale: 1 / 127.5, mean: 1 },
  "0-1": {},
  raw: { scale: 1 },
};

const ALPHA = 3, OPAQUE = 255;

/** What a model with an open input size is given when nothing says more. */
const DEFAULT_SIZE = [224, 224];

export class Preprocess {
  /** Takes the settings by name; throws a Complaint about what is unknown or impossible. */
  constructor(settings = {}) {
    for (const [name, value] of Object.entries(settings)) {
      if (!(name in DEFAULTS)) throw new Complaint(`preprocessing: no setting '${name}'`);
      const known = CHOICES[name];
      if (known && !known.includes(value)) {
        throw new Complaint(`preprocessing: ${name} '${value}' is none of ${known.join(", ")}`);
      }
    }
    Object.assign(this, DEFAULTS, settings);
    if (this.axes) throw new Complaint("preprocessing: this page cannot turn a picture's axes");
  }

  /** Height and width of the input; what the model leaves open is `size`, or 224. */
  inputSize(input) {
    const usual = this.size ?? DEFAULT_SIZE;
    return input.size.map((length, axis) => length ?? usual[axis]);
  }

  /** How a picture gets into the input (see `fitted`). */
  fit(picture, input) {
    const source = [picture.height, picture.width];
    return fitted(source, this.inputSize(input), this.resize, this.crop_ratio, this.pad_at);
  }

  /**
   * A picture, `rgb` bytes (height, width, 3), as the model's input of one picture: float32 in its
   * layout.
   */
  tensor(picture, input) {
    const fit = this.fit(picture, input);
    const bytes = resized(picture.rgb, fit.source, fit.scaled, this.interpolation);
    const mean = this.#each("mean", input.channels), std = this.#each("std", input.channels);
    const seen = Float64Array.from({ length: 256 }, (_, byte) => byte).map(this.#window(picture.rgb));
    const into = new Float32Array(fit.input[0] * fit.input[1] * input.channels);
    const put = placing(into, fit.input, input);
    const padding = this.pad_value === null ? null : this.pad_value * this.scale;
    if (padding !== null && fit.pads) {
      for (let y = 0; y < fit.input[0]; y++) {
        for (let x = 0; x < fit.input[1]; x++) {
          for (let c = 0; c < input.channels; c++) put(y, x, c, (padding - mean[c]) / std[c]);
        }
      }
    }
    const channel = this.#channel(input.channels, seen);
    const [rows, columns] = fit.shown;
    for (let y = rows[0]; y < rows[1]; y++) {
      for (let x = columns[0]; x < columns[1]; x++) {
        const pixel = (y * fit.scaled[1] + x) * 3;
        for (let c = 0; c < input.channels; c++) {
          const value = (channel(bytes, pixel, c) * this.scale - mean[c]) / std[c];
          put(y - rows[0] + fit.at[0], x - columns[0] + fit.at[1], c, value);
        }
      }
    }
    return into;
  }

  /** mean or std, a number a channel. */
  #each(name, channels) {
    const values = [this[name]].flat();
    if (values.length !== 1 && values.length !== channels) {
      throw new Complaint(
        `preprocessing: ${name} has ${values.length} values, the model ${channels} channels`,
      );
    }
    return Array.from({ length: channels }, (_, c) => values[values.length === 1 ? 0 : c]);
  }

  /** The value of a channel of a pixel; `seen` are those of the 256 bytes. */
  #channel(channels, seen) {
    if (channels === 1) {
      const round = this.window === null ? Math.round : (value) => value; // as OpenCV
      return (bytes, at) =>
        round(0.299 * seen[bytes[at]] + 0.587 * seen[bytes[at + 1]] + 0.114 * seen[bytes[at + 2]]);
    }
    const order = this.color === "rgb" ? [0, 1, 2] : [2, 1, 0];
    if (channels === 3) return (bytes, at, c) => seen[bytes[at + order[c]]];
    if (channels === 4) return (bytes, at, c) => (c === ALPHA ? OPAQUE : seen[bytes[at + order[c]]]);
    throw new Complaint(`the model takes ${channels} channels, a picture has 3`);
  }

  /** What comes first with a value: limits, or mean and deviation, of the whole picture. */
  #window(bytes) {
    if (this.window === null) return (value) => value;
    if (this.window === "z-score") {
      const { mean, deviation } = moments(bytes);
      return (value) => (value - mean) / (deviation || 1);
    }
    const [low, high] = this.window === "min-max" ? extremes(bytes) : this.window;
    return (value) => Math.min(1, Math.max(0, (value - low) / (high - low || 1)));
  }
}

/** How to feed a model of which nothing is known, and why; as `onnxcam.cards.guess`. */
export function guessed(input, normalizes) {
  if (input.type === "uint8" || normalizes) return ["raw", "the model normalises by itself"];
  if (input.channels !== 3) return ["0-1", `${input.channels} channels`];
  if (input.channelsLast) return ["tf", "channels last, as Keras exports"];
  return ["imagenet", "channels first, as PyTorch and Paddle export"];
}

/** Writes a value at (row, column, channel) in the model's layout. */
function placing(into, [height, width], { channels, channelsLast }) {
  if (channelsLast) {
    return (y, x, c, value) => (into[(y * width + x) * channels + c] = value);
  }
  return (y, x, c, value) => (into[(c * height + y) * width + x] = value);
}

function extremes(bytes) {
  let low = 255, high = 0;
  for (const value of bytes) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return [low, high];
}

function moments(bytes) {
  let sum = 0, squares = 0;
  for (const value of bytes) {
    sum += value;
    squares += value * value;
  }
  const mean = sum / bytes.length;
  return { mean, deviation: Math.sqrt(Math.max(0, squares / bytes.length - mean * mean)) };
}
