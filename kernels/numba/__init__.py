"""CPU kernels compiled by numba: same names and contracts as `kernels.reference`, float32 only."""
