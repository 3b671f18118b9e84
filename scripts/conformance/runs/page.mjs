// In the browser: jobs from the server that opened this page (web.py), answers back to it.

import { bytesOf, jobsIn, tensorOf } from "./tensors.mjs";

const backend = new URLSearchParams(location.search).get("backend");
const ort = await import(backend === "wasm" ? "/ort/ort.wasm.min.mjs" : "/ort/ort.webgpu.min.mjs");
ort.env.wasm.wasmPaths = "/ort/";
ort.env.wasm.numThreads = 1; // more need a page that is isolated from other origins
ort.env.logLevel = "error";

const post = (path, body) => fetch(path, { method: "POST", body });
const say = (...words) =>
  post("/say", words.map((word) => String(word).replace(/\s+/g, " ")).join("\t"));
const bytes = async (file) => new Uint8Array(await (await fetch(`/file${file}`)).arrayBuffer());

async function run(job) {
  const session = await ort.InferenceSession.create(await bytes(job.model), {
    executionProviders: [backend],
    logSeverityLevel: 3,
  });
  const feeds = {};
  for (const { name, dtype, dims, file } of job.inputs) {
    feeds[name] = tensorOf(ort, dtype, await bytes(file), dims);
  }
  const results = await session.run(feeds);
  for (const name of session.outputNames) {
    const { type, dims } = results[name];
    const what = new URLSearchParams({ job: job.name, name, dtype: type, dims: dims.join(",") });
    await post(`/output?${what}`, bytesOf(results[name]));
  }
  await session.release();
}

const browser = navigator.userAgent.match(/Chrom\w*\/\d+/)?.[0] ?? "";
await say("version", `onnxruntime-web ${ort.env.versions.web}, ${backend}, ${browser}`);
for (const job of jobsIn(await (await fetch("/jobs")).text())) {
  await say("start", job.name);
  try {
    await run(job);
    await say("done", job.name);
  } catch (error) {
    await say("error", job.name, error.message ?? error);
  }
}
await post("/end");
