/** Where the picture goes in: Python's `onnxcam.graph.picture`. */

import { Complaint } from "./complaint.js";

const CHANNEL_COUNTS = [1, 3, 4];
const TYPES = ["float32", "float16", "uint8"];
const PASSED = ["Identity", "Cast", "Transpose", "Reshape", "Slice", "Gather"];
const ARITHMETIC = ["Add", "Sub", "Mul", "Div"];
const KINDS = { 2: "rows of numbers", 3: "signals or sequences", 5: "volumes" };

/**
 * The one input that must be given beside those of onnxcam, which takes pictures. `inputs` are
 * { name, type, shape }, shapes of numbers and of names for what is open. Of the picture input:
 * { name, type, channels, channelsLast, batch, size }, null where a length is open. Throws a
 * Complaint where there is none, or another one beside it.
 */
export function pictureInput(inputs) {
  const found = inputs.map(asPicture).find(Boolean);
  if (!found) throw new Complaint(`this page explains pictures; the model takes ${told(inputs)}`);
  const others = inputs.filter(({ name }) => name !== found.name);
  if (others.length) {
    throw new Complaint(`the model needs more than a picture: ${told(others)}`);
  }
  return found;
}

/** A length of a shape; null where it is open: a name, or -1, which comes back as 2^32 - 1. */
export function known(length) {
  return length > 0 && length < 2 ** 31 ? length : null;
}

/** Whether the model begins with arithmetic on its input: then it normalises by itself. */
export function normalizes(file, input) {
  let tensor = input;
  for (;;) {
    const [node] = file.consumers(tensor);
    if (!node || !PASSED.includes(node.operator)) {
      return Boolean(node) && ARITHMETIC.includes(node.operator);
    }
    [tensor] = node.outputs;
  }
}

function asPicture({ name, type, shape }) {
  if (shape.length !== 4 || !TYPES.includes(type)) return null;
  const open = shape.map(known);
  const [first, last] = [open[1], open[3]].map((length) => CHANNEL_COUNTS.includes(length));
  const channelsLast = last && !first;
  if (!first && !last && open[1] !== null) return null;
  const size = channelsLast ? open.slice(1, 3) : open.slice(2);
  return { name, type, channels: open[channelsLast ? 3 : 1] ?? 3, channelsLast, batch: open[0], size };
}

function told(inputs) {
  const each = inputs.map(({ name, type, shape }) => {
    const kind = KINDS[shape.length];
    return `'${name}', ${type} (${shape.join(", ")})${kind ? `: ${kind}` : ""}`;
  });
  return each.join("; ");
}
