/** How a picture of one size gets into an input of another: Python's `onnxcam.preprocess.fitting`. */

/**
 * The steps in numbers, (rows, columns) each: the source is scaled to the size `scaled`; of that,
 * `shown` (a start and a stop) is laid on the input at `at`. `pads` says whether a part of the
 * input is left over. "stretch" and "crop" show the middle of what is larger by 1 / cropRatio.
 */
export function fitted(source, input, resize, cropRatio, padAt) {
  const ratios = input.map((now, axis) => now / source[axis]);
  if (resize === "pad") {
    const ratio = Math.min(...ratios);
    const scaled = source.map((old, axis) =>
      Math.min(input[axis], Math.max(1, halfEven(old * ratio))),
    );
    const at = scaled.map((own, axis) =>
      padAt === "center" ? Math.floor((input[axis] - own) / 2) : 0,
    );
    return steps(source, input, scaled, scaled.map((own) => [0, own]), at);
  }
  const used = resize === "crop" ? ratios.map(() => Math.max(...ratios)) : ratios;
  // Down, as torchvision and timm do; what falls short by a rounding error does not count.
  const scaled = source.map((old, axis) =>
    Math.max(input[axis], Math.floor((old * used[axis]) / cropRatio + 1e-6)),
  );
  const shown = scaled.map((long, axis) => {
    const first = halfEven((long - input[axis]) / 2);
    return [first, first + input[axis]];
  });
  return steps(source, input, scaled, shown, [0, 0]);
}

function steps(source, input, scaled, shown, at) {
  const pads = shown.some(([start, stop], axis) => stop - start < input[axis]);
  return { source, input, scaled, shown, at, pads };
}

/**
 * Along each axis, which part of the source the input shows (`seen`, in the source's pixels) and
 * where in the input it lies (`filled`).
 */
export function spans(fit) {
  return fit.source.map((old, axis) => {
    const ratio = old / fit.scaled[axis];
    const [start, stop] = fit.shown[axis];
    const at = fit.at[axis];
    return { seen: [start * ratio, stop * ratio], filled: [at, at + stop - start] };
  });
}

/** Points [x, y, x, y, ...] of the input where they are on the picture. */
export function onPicture(points, fit) {
  const [rows, columns] = spans(fit);
  return points.map((place, i) => {
    const { seen, filled } = i % 2 ? rows : columns;
    const ratio = (seen[1] - seen[0]) / (filled[1] - filled[0]);
    return (place - filled[0]) * ratio + seen[0];
  });
}

/** To the nearest whole number, halves to the even one, as Python rounds. */
function halfEven(value) {
  const down = Math.floor(value);
  if (value - down !== 0.5) return Math.round(value);
  return down % 2 ? down + 1 : down;
}
