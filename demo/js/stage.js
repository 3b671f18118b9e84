/** The picture with its heat on the page. */

import { painted } from "./colors.js";
import { heatOnPicture, hottest } from "./heat.js";

/** Pixels along the longer side; a page shows no more. */
const LARGEST = 1280;

export class Stage {
  constructor(frame, pictureCanvas, heatCanvas) {
    this.frame = frame;
    this.pictureCanvas = pictureCanvas;
    this.heatCanvas = heatCanvas;
  }

  /** Shows a picture, without heat. */
  showPicture(picture) {
    this.#draw(picture);
    Object.assign(this.heatCanvas, { width: this.width, height: this.height }); // clears it
  }

  /** Shows a picture with the heat of its explanation; says in words where that is highest. */
  show(picture, { raw, fit, box }, name) {
    this.#draw(picture, box);
    const { width, height } = this;
    Object.assign(this.heatCanvas, { width, height });
    const heat = heatOnPicture(raw, fit, [height, width]);
    const pixels = new ImageData(painted(heat), width, height);
    this.heatCanvas.getContext("2d").putImageData(pixels, 0, 0);
    const place = hottest(heat, [height, width]);
    const where = place ? `highest ${inWords(place)}` : "none: nothing speaks for this class";
    this.heatCanvas.setAttribute("aria-label", `Heat for ${name}: ${where}`);
    return where;
  }

  #draw(picture, box = null) {
    const ratio = Math.min(1, LARGEST / Math.max(picture.width, picture.height));
    this.width = Math.max(1, Math.round(picture.width * ratio));
    this.height = Math.max(1, Math.round(picture.height * ratio));
    const { width, height } = this;
    Object.assign(this.pictureCanvas, { width, height });
    const context = this.pictureCanvas.getContext("2d");
    context.drawImage(picture.canvas, 0, 0, width, height);
    this.frame.classList.remove("empty");
    if (box) outline(context, box, [width / picture.width, height / picture.height]);
  }
}

/** A white line with a dark edge shows on every picture. */
function outline(context, [left, top, right, bottom], [across, down]) {
  const thin = Math.max(1, context.canvas.width / 300);
  for (const [color, width] of [["black", 3 * thin], ["white", thin]]) {
    context.strokeStyle = color;
    context.lineWidth = width;
    context.strokeRect(left * across, top * down, (right - left) * across, (bottom - top) * down);
  }
}

function inWords([row, column]) {
  const third = (place) => Math.min(2, Math.floor(place * 3));
  const rows = ["at the top", "half-way down", "at the bottom"];
  const columns = [" on the left", " in the middle", " on the right"];
  return rows[third(row)] + columns[third(column)];
}
