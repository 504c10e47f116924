"""Streams over the model: any rate, any block size, aligned to the sample."""
