"""GPU kernels in Triton: same names and contracts as `kernels.reference`; float32, float16 and bfloat16.

They also run on a CPU under ``TRITON_INTERPRET=1``, slowly: that is how they are tested where there is no GPU.
"""
