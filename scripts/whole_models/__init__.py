"""Whole networks: the gradient to the picture, onnxcam against the framework's own.

Environment: torch, torchvision, timm and onnxscript beside onnxcam and its run-time.
Run from the repository root: PYTHONPATH=scripts python -m whole_models.from_torch RESULTS.jsonl
"""
