"""`python -m onnxcam`, for where the command is not on the path."""

from onnxcam.cli import main

if __name__ == "__main__":
    main(prog_name="onnxcam")
