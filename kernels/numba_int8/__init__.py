"""CPU kernels whose weights are int8, a scale a row; all else is float32 and computed by `kernels.numba`.

Chosen by name only, all four or some of them, because they change the result::

    STREAMSEP_KERNELS=conformer_step:numba_int8,temporal_step:numba_int8,paged_step:numba_int8,depth_decode:numba_int8

Norms, biases, code vectors, tied heads and what is fed back stay float32.

Measured on two songs of 15 s, one core of an EPYC with AVX-512, the two streams frame by frame in turn
(`python -m tests.soak int8 songs/ --limit 2 --seconds 15`):

    median of a frame                 float32 8.8 ms, int8 7.3 ms

and on ten songs of 20 s (`--seconds 20`), where 80,000 tokens are compared:

    tokens that are the same          98.9 %
    SI-SDR, mean over stems           float32 1.800 dB, int8 1.799 dB; no stem moves by more than 0.007 dB

The gain is that of reading fewer bytes: weights of a single stream come from beyond the second cache. With 64 streams,
where a weight is used 64 times, it is within the noise (`python -m kernels.bench --op paged_step`). There is no bf16
variant: products of torch in bf16 took 1.2 to 4 times as long as numba's in float32 on the shapes of one stream.
"""
