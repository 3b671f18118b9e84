/** The colours of heat: OpenCV's and matplotlib's "jet", blue (cold) to red (hot). */

const TABLE = Uint8ClampedArray.from({ length: 256 * 3 }, (_, i) => {
  const value = Math.floor(i / 3) / 255;
  const middle = [3, 2, 1][i % 3];
  return 255 * Math.min(1, Math.max(0, 1.5 - Math.abs(4 * value - middle)));
});

/** Heat in [0, 1] as the pixels of a canvas, opaque. */
export function painted(heat) {
  const pixels = new Uint8ClampedArray(heat.length * 4);
  heat.forEach((value, i) => {
    const entry = 3 * Math.trunc(value * 255);
    pixels.set(TABLE.subarray(entry, entry + 3), 4 * i);
    pixels[4 * i + 3] = 255;
  });
  return pixels;
}
