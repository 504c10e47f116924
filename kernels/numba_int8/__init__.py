"""CPU kernels whose weights are int8, a scale a row; all else is float32 and computed by `kernels.numba`.

Chosen by name only, as in ``STREAMSEP_KERNELS=depth_decode:numba_int8``. Norms, biases, code vectors and what is fed
back stay float32.
"""
