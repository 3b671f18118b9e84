"""Methods that explain the picture itself, pixel by pixel."""
