"""Recorded answers of training frameworks, against which onnxcam's gradients are held.

`recipe` and `rebuild` need numpy and onnx only: the default tests replay the recordings with them.
Everything else here runs where a framework is installed; see README.md for the commands.
"""
