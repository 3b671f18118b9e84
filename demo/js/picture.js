/** Pictures from files, addresses and the camera, as bytes. */

import { Complaint } from "./complaint.js";

/** Pixels along the longer side of what is taken from a camera. */
const CAMERA = { width: { ideal: 1280 }, height: { ideal: 720 }, facingMode: "environment" };

/**
 * A file or blob as a picture: `rgb`, bytes (height, width, 3), with EXIF's orientation applied
 * and transparency laid on white. Throws a Complaint where it cannot be read.
 */
export async function pictureFrom(blob, name) {
  let image;
  try {
    image = await createImageBitmap(blob, { colorSpaceConversion: "none" });
  } catch {
    throw new Complaint(`${name} is not a picture that this browser can read`);
  }
  return drawn(image, image.width, image.height, name);
}

/** The picture that a video shows now. */
export const pictureOf = (video) => drawn(video, video.videoWidth, video.videoHeight, "the camera");

/** Starts the camera in a video element; throws a Complaint where there is none, or no leave. */
export async function startCamera(video) {
  if (!navigator.mediaDevices) {
    throw new Complaint("the camera is open to pages from https or localhost alone");
  }
  try {
    video.srcObject = await navigator.mediaDevices.getUserMedia({ video: CAMERA });
  } catch (error) {
    const reason = error.name === "NotAllowedError" ? "this page may not use it" : "none was found";
    throw new Complaint(`no picture from a camera: ${reason}`);
  }
  await video.play();
}

export function stopCamera(video) {
  for (const track of video.srcObject?.getTracks() ?? []) track.stop();
  video.srcObject = null;
}

function drawn(image, width, height, name) {
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.fillStyle = "white";
  context.fillRect(0, 0, width, height);
  context.drawImage(image, 0, 0);
  const rgba = context.getImageData(0, 0, width, height).data;
  const rgb = new Uint8ClampedArray(width * height * 3);
  for (let from = 0, to = 0; to < rgb.length; from += 4, to += 3) {
    rgb[to] = rgba[from];
    rgb[to + 1] = rgba[from + 1];
    rgb[to + 2] = rgba[from + 2];
  }
  return { width, height, rgb, canvas, name };
}
