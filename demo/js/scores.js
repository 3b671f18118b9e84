/**
 * The probabilities that a model gives its classes: Python's `onnxcam.graph.head` and
 * `onnxcam.targets.scores`.
 */

const ACTIVATIONS = {
  Softmax: "softmax", LogSoftmax: "log_softmax", Sigmoid: "sigmoid",
  QLinearSoftmax: "softmax", QLinearSigmoid: "sigmoid",
};

const PASSED = [
  "Identity", "Cast", "Reshape", "Flatten", "Squeeze", "Unsqueeze",
  "QuantizeLinear", "DequantizeLinear",
];

/** Whether an output of that shape (numbers, or names of what is open) holds a score a class. */
export function areScores(shape) {
  const [, classes, ...rest] = shape;
  return shape.length >= 2 && typeof classes === "number" && rest.every((length) => length === 1);
}

/** What an output's scores are: "softmax", "log_softmax", "sigmoid" or "logits". */
export function scoreKind(file, output) {
  let node = file.producer(output);
  while (node && PASSED.includes(node.operator)) node = file.producer(node.inputs[0]);
  return (node && ACTIVATIONS[node.operator]) || "logits";
}

/** A probability a class; one unit with a Sigmoid decides between two classes, no and yes. */
export function probabilities(scores, kind) {
  const values = Array.from(scores, Number);
  if (kind === "softmax") return values;
  if (kind === "log_softmax") return values.map(Math.exp);
  if (kind === "sigmoid") return values.length === 1 ? [1 - values[0], values[0]] : values;
  if (values.length === 1) return [1 / (1 + Math.exp(-values[0]))];
  const most = Math.max(...values);
  const powers = values.map((value) => Math.exp(value - most));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / sum);
}

/** The numbers of the `count` likeliest classes, best first; of equal ones the lower. */
export function best(values, count) {
  const order = values.map((_, index) => index).sort((a, b) => values[b] - values[a] || a - b);
  return order.slice(0, count);
}
