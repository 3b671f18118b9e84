/** ONNX Runtime Web from the folder ort/ beside this page (see fetch.sh). */

import { Complaint } from "./complaint.js";

const FOLDER = new URL("../ort/", import.meta.url).href;
const BUILDS = { webgpu: "ort.webgpu.min.mjs", wasm: "ort.wasm.min.mjs" };

/** The least severe of what is logged. */
const ERRORS = 3;

/** What people call the devices. */
export const DEVICES = { webgpu: "GPU (WebGPU)", wasm: "CPU (WebAssembly)" };

/** "webgpu" where the browser has a graphics card to offer, and no imitation of one; else "wasm". */
export async function bestDevice() {
  const adapter = await navigator.gpu?.requestAdapter().catch(() => null);
  return adapter && !adapter.info?.isFallbackAdapter ? "webgpu" : "wasm";
}

/** { Tensor, open }: `open(bytes)` is a session on that device. */
export async function runtime(device) {
  let ort;
  try {
    ort = await import(FOLDER + BUILDS[device]);
  } catch {
    throw new Complaint("onnxruntime-web is missing: run demo/fetch.sh, which puts it into demo/ort");
  }
  ort.env.wasm.wasmPaths = FOLDER;
  ort.env.wasm.proxy = device === "wasm"; // a worker, so that the page stays awake
  const executionProviders = device === "webgpu" ? ["webgpu", "wasm"] : ["wasm"];
  const options = { executionProviders, logSeverityLevel: ERRORS };
  const open = (bytes) => ort.InferenceSession.create(bytes, options);
  return { Tensor: ort.Tensor, open };
}
