"""Class activation maps weighted by the gradient of the score."""
