"""Whole networks: the gradient to the picture, onnxcam against the framework's own.

Environment, beside onnxcam and its run-time: torch, torchvision, timm and onnxscript; or
tensorflow-cpu, keras and tf2onnx; or paddlepaddle, paddle2onnx and setuptools.
Run from the repository root: PYTHONPATH=scripts python -m whole_models.from_torch RESULTS.jsonl,
or whole_models.from_keras, or whole_models.from_paddle.
"""
