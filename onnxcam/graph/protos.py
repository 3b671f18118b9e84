"""What is asked of onnx's own messages all over: domains, opset, attributes, stored values."""

from __future__ import annotations

STANDARD = ("", "ai.onnx")
"""The two names of the standard's domain."""

MICROSOFT = "com.microsoft"
"""Domain of what ONNX Runtime contributes."""
