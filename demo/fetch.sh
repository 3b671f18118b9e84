#!/usr/bin/env bash
# Puts ONNX Runtime Web into demo/ort: the files that the page loads, from npm's own archive.
set -euo pipefail
version=1.30.0
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
archive=$(cd "$work" && npm pack --silent "onnxruntime-web@$version")
tar -xzf "$work/$archive" -C "$work"
mkdir -p ort
for file in ort.wasm.min.mjs ort.webgpu.min.mjs \
    ort-wasm-simd-threaded.{mjs,wasm} ort-wasm-simd-threaded.asyncify.{mjs,wasm}; do
    cp "$work/package/dist/$file" ort/
done
echo "demo/ort: onnxruntime-web $version, $(du -sh ort | cut -f1)"
