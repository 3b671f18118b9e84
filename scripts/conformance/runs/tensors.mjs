// What Node.js and a browser share: reading jobs, and tensors from and to raw bytes.

const ARRAYS = {
  float32: Float32Array,
  float16: globalThis.Float16Array ?? Uint16Array,
  int64: BigInt64Array,
  int32: Int32Array,
  uint8: Uint8Array,
  int8: Int8Array,
  bool: Uint8Array,
};

/** Jobs as [{name, model, inputs: [{name, dtype, dims, file}]}]. */
export function jobsIn(text) {
  return text.split("\n\n").filter((block) => block.trim()).map((block) => {
    const [[, name, model], ...inputs] = block.trim().split("\n").map((line) => line.split("\t"));
    return {
      name,
      model,
      inputs: inputs.map(([, input, dtype, dims, file]) => ({
        name: input,
        dtype,
        dims: dims.split(",").filter(Boolean).map(Number),
        file,
      })),
    };
  });
}

/** A tensor of raw bytes (anything with buffer, byteOffset and byteLength). */
export function tensorOf(ort, dtype, bytes, dims) {
  const copy = new Uint8Array(bytes.byteLength); // aligned, which a file's buffer need not be
  copy.set(new Uint8Array(bytes.buffer ?? bytes, bytes.byteOffset ?? 0, bytes.byteLength));
  return new ort.Tensor(dtype, new ARRAYS[dtype](copy.buffer), dims);
}

/** A result's raw bytes. */
export function bytesOf(tensor) {
  const { buffer, byteOffset, byteLength } = tensor.data;
  return new Uint8Array(buffer, byteOffset, byteLength);
}
