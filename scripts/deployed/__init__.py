"""Models as they are deployed: `variants` writes what optimisers and quantisers make of a model,
`table` says what onnxcam makes of the files.
"""
