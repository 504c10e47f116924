"""The token language model: condition and guide of a frame → codes of all stems. Knows nothing of sound."""

from streamsep.lm.corrupt import Corruption, corrupt_history
from streamsep.lm.generate import generate
from streamsep.lm.lookahead import history, targets
from streamsep.lm.model import LanguageModel, LMLogits, LMOutput
from streamsep.lm.sampling import GREEDY, LIVE, Decoding

__all__ = [
    "GREEDY",
    "LIVE",
    "Corruption",
    "Decoding",
    "LMLogits",
    "LMOutput",
    "LanguageModel",
    "corrupt_history",
    "generate",
    "history",
    "targets",
]
