"""Architectures of Paddle's model libraries that paddle.vision lacks, written from the papers."""
