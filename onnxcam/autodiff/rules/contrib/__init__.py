"""Operators that ONNX Runtime's optimisers write in place of several standard ones."""
