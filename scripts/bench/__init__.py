"""onnxcam beside its neighbours: time, memory and growth."""
