// ONNX Runtime's Node.js package; NODE_PATH says where it is. See exchange.py for the lines.

import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

import { bytesOf, jobsIn, tensorOf } from "./tensors.mjs";

const [jobsFile, folder] = process.argv.slice(2);
const ort = createRequire(import.meta.url)("onnxruntime-node");

function say(...words) {
  const line = ["@", ...words].map((word) => String(word).replace(/\s+/g, " "));
  process.stdout.write(line.join("\t") + "\n");
}

say("version", `onnxruntime-node ${ort.env.versions.node}, Node.js ${process.version}`);
let number = 0;
for (const job of jobsIn(readFileSync(jobsFile, "utf8"))) {
  say("start", job.name);
  try {
    const session = await ort.InferenceSession.create(job.model, { logSeverityLevel: 3 });
    const feeds = {};
    for (const { name, dtype, dims, file } of job.inputs) {
      feeds[name] = tensorOf(ort, dtype, readFileSync(file), dims);
    }
    const results = await session.run(feeds);
    let k = 0;
    for (const name of session.outputNames) {
      const file = join(folder, `${number}.${k++}.bin`);
      writeFileSync(file, bytesOf(results[name]));
      say("output", job.name, name, results[name].type, results[name].dims.join(","), file);
    }
    await session.release();
    say("done", job.name);
  } catch (error) {
    say("error", job.name, error.message ?? error);
  }
  number += 1;
}
