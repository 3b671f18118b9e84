/** A model that onnxcam rewrote, and what it says of a picture. */

import { cardOf } from "./card.js";
import { Complaint } from "./complaint.js";
import { onPicture } from "./fitting.js";
import { known, normalizes, pictureInput } from "./inputs.js";
import { OnnxFile } from "./onnx-file.js";
import { Preprocess, PRESETS, guessed } from "./preprocess.js";
import { runtime } from "./runtime.js";
import { areScores, probabilities, scoreKind } from "./scores.js";
import { numbers, stored } from "./tensors.js";

const MAP = "cam", TARGET = "cam_target", CLASS = "cam_class", BOX = "cam_box";
const OWN = /^cam_/;

/** In `cam_class`: the k-th entry means the k-th best class. */
const BEST = -1;

export class ExplainedModel {
  /**
   * Opens a file's bytes on a device. Throws a Complaint where it is no model, or none that this
   * page can use.
   */
  static async open(bytes, name, device) {
    const file = new OnnxFile(bytes, name);
    if (!file.producer(MAP) || !file.producer(TARGET)) {
      throw new Complaint(
        `${name} does not explain itself yet; run: onnxcam rewrite ${name} -o explained.onnx`,
      );
    }
    const { Tensor, open } = await runtime(device);
    const usable = file.optional.has(CLASS) ? file.requiring(CLASS) : bytes;
    const session = await open(usable).catch((error) => {
      throw new Complaint(`${name} does not run in this browser: ${why(error)}`);
    });
    return new ExplainedModel(file, session, Tensor, device);
  }

  constructor(file, session, Tensor, device) {
    this.session = session;
    this.Tensor = Tensor;
    this.device = device;
    this.name = file.name;
    this.method = file.metadata.get("onnxcam.method") ?? "unknown method";
    this.layer = file.metadata.get("onnxcam.layer") ?? "unknown layer";
    this.input = pictureInput(session.inputMetadata.filter(({ name }) => !OWN.test(name)));
    this.classInput = session.inputMetadata.find(({ name }) => name === CLASS);
    this.#findScores(file);
    const { preprocess, labels } = cardOf(file.metadata);
    const [preset, reason] = guessed(this.input, normalizes(file, this.input.name));
    /** the preset that was assumed, and why; null where the file says how pictures are fed */
    this.assumed = preprocess ? null : { preset, reason };
    this.preprocess = new Preprocess(preprocess ?? PRESETS[preset]);
    this.labels = labels;
  }

  #findScores(file) {
    this.detects = Boolean(file.producer(BOX));
    // A detector's rows of numbers are no scores of the picture's.
    const found = !this.detects && this.session.outputMetadata.find(
      ({ name, shape }) => name !== MAP && !OWN.test(name) && areScores(shape),
    );
    this.scores = found ? { name: found.name, kind: scoreKind(file, found.name) } : null;
  }

  /** Whether people can choose the class that is explained. */
  get takesClass() {
    return Boolean(this.classInput);
  }

  /** What a class is called. */
  label(index) {
    return this.labels?.[index] || `class ${index}`;
  }

  /**
   * Explains a picture ({ width, height, rgb }): `target`, the class explained (that of the number
   * `wanted`, or with null the model's own best), its `raw` map { values, size }, `fit`, how the
   * picture got into the input, of a detector the `box` on the picture, the `probabilities` of all
   * classes (null where the model gives no score a class), and the `milliseconds` that it took.
   */
  async explain(picture, wanted = null) {
    const fit = this.preprocess.fit(picture, this.input);
    const feeds = { [this.input.name]: this.#pictureTensor(picture, fit) };
    if (this.takesClass) feeds[CLASS] = this.#classTensor(wanted);
    const start = performance.now();
    const outputs = await this.session.run(feeds, this.#wantedOutputs);
    const milliseconds = performance.now() - start;
    return {
      target: Number(outputs[TARGET].data[0]),
      raw: firstMap(outputs[MAP]),
      fit,
      box: this.detects ? onPicture(numbers(outputs[BOX]).slice(0, 4), fit) : null,
      probabilities: this.scores ? this.#probabilities(outputs[this.scores.name]) : null,
      milliseconds,
    };
  }

  /** Explains an empty picture: what the device cannot do shows now, and the next run is fast. */
  async rehearse() {
    const [height, width] = this.preprocess.inputSize(this.input);
    await this.explain({ width, height, rgb: new Uint8ClampedArray(width * height * 3) });
  }

  async close() {
    await this.session.release();
  }

  get #wantedOutputs() {
    return [
      MAP, TARGET,
      ...(this.scores ? [this.scores.name] : []),
      ...(this.detects ? [BOX] : []),
    ];
  }

  #pictureTensor(picture, fit) {
    const { type, channels, channelsLast, batch } = this.input;
    const one = stored(this.preprocess.tensor(picture, this.input), type);
    const count = batch ?? 1;
    const all = new one.constructor(one.length * count);
    for (let at = 0; at < all.length; at += one.length) all.set(one, at);
    const dims = channelsLast ? [...fit.input, channels] : [channels, ...fit.input];
    return new this.Tensor(type, all, [count, ...dims]);
  }

  #classTensor(wanted) {
    const dims = this.classInput.shape.map((length) => known(length) ?? 1);
    const classes = new BigInt64Array(dims.reduce((a, b) => a * b, 1)).fill(BigInt(BEST));
    const each = dims.at(-1);
    if (wanted !== null) for (let n = 0; n < classes.length; n += each) classes[n] = BigInt(wanted);
    return new this.Tensor("int64", classes, dims);
  }

  #probabilities(tensor) {
    const [count] = tensor.dims;
    const values = numbers(tensor);
    return probabilities(values.slice(0, values.length / count), this.scores.kind);
  }
}

/** The first map of `cam` (N, K, h, w), in whichever form it was rewritten. */
function firstMap(tensor) {
  if (tensor.dims.length !== 4) {
    throw new Complaint(`the map's shape is (${tensor.dims.join(", ")}), that of a picture has 4 axes`);
  }
  const size = tensor.dims.slice(2);
  return { values: numbers(tensor).slice(0, size[0] * size[1]), size };
}

/** An error of the runtime's, without what comes before its words. */
function why(error) {
  const words = String(error?.message ?? error);
  if (/external data/i.test(words)) return "its weights lie in another file; save it as one file";
  return words.replace(/^.*ERROR_MESSAGE: /s, "");
}
