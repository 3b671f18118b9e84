"""Maps from the activations alone: principal components, unusual activity, baselines."""
