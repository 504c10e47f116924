"""Ops as torch's own library calls (SDPA, addmm, convolution): same names and contracts as `kernels.reference`."""
