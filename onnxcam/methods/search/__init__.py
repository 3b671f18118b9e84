"""Methods that run the model many times, on changed activations or pictures."""
