"""The same rewritten files in every runtime at hand, against ONNX Runtime on the CPU."""
