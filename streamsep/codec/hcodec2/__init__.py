"""H-Codec-2.0, the published 48 kHz codec of arXiv 2604.09371: 12.5 tokens a second, two streams of 16 × 1024 entries.

Written from its published sizes, names and behaviour, so that the published weights fit. It is no streaming codec:
group norms and attention run over the whole utterance, paddings are symmetric, the LSTM before attention has no bounded
memory, and HuBERT hears everything at once. ``streamsep.codec.model`` is the causal member of the same family.
"""

from streamsep.codec.hcodec2.config import PUBLISHED, HCodec2Config
from streamsep.codec.hcodec2.model import HCodec2

__all__ = ["PUBLISHED", "HCodec2", "HCodec2Config"]
