"""Hot operations: one contract each, several backends. Imports torch, numpy, numba, triton; never streamsep."""
