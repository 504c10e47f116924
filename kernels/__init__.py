"""Hot operations: one contract each, several backends. Imports torch, numpy, numba; never streamsep."""
