"""A loaded model and what it offers: whole songs and streams. Knows names and options; the stream does the work."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kernels.registry import KernelError
from streamsep.audio.files import MAX_RATE, MIN_RATE
from streamsep.choices import DECODES, FUSED, MASK, RENDERS, check_choice, check_lookahead
from streamsep.config import SHIPPED_MODELS, STEMS
from streamsep.engine.device import check_device
from streamsep.engine.settings import Settings
from streamsep.engine.slots import is_seed
from streamsep.engine.stream import Stream
from streamsep.engine.threads import use_threads
from streamsep.engine.warm import warm_up
from streamsep.errors import AudioError, OptionError, StreamsepError
from streamsep.model.checkpoint import WEIGHTS, load_model
from streamsep.model.net import Net

Sound = NDArray[np.float32]

_BLOCK_SECONDS = 10


class Separator:
    """A model, ready to separate. Streams made from it are independent of one another."""

    stems: tuple[str, ...] = STEMS

    def __init__(self, net: Net, render: str = MASK, decode: str = FUSED) -> None:
        check_choice("render", render, RENDERS)
        check_choice("decode", decode, DECODES)
        self.net, self.render, self.decode = net, render, decode

    def stream(
        self,
        rate: int,
        channels: int,
        lookahead: int = 0,
        seed: int | None = None,
        align: bool = True,
        keep_codes: bool = False,
    ) -> Stream:
        """A new stream.

        Args:
            rate: of the sound pushed and returned, 8,000 to 192,000 Hz.
            channels: 1 or 2.
            lookahead: frames of 40 ms heard ahead: -1, 0, 1 or 2.
            seed: draw tokens at random, repeatably; the likeliest when None.
            align: see ``Stream.push``.
            keep_codes: collect the tokens in ``Stream.codes``.

        Raises OptionError for a value that is not among these.
        """
        settings = Settings(self.render, (self.decode,), tokens=keep_codes)
        _check_stream(rate, channels, lookahead, seed)
        return Stream(self.net, settings, int(rate), channels, lookahead, seed, align)

    def separate(self, audio: Sound, rate: int, lookahead: int = 0, seed: int | None = None) -> dict[str, Sound]:
        """Separate a whole song.

        ``audio`` [channels, samples] float32, channels 1 or 2 → stem → [channels, samples], aligned. The same samples
        that a stream would give. Raises AudioError for another shape, OptionError for an unknown rate or lookahead.
        """
        settings = Settings(self.render, (self.decode,))
        return self._separate(audio, rate, settings, lookahead, seed)[self.decode]

    def separate_all(
        self, audio: Sound, rate: int, lookahead: int = 0, seed: int | None = None
    ) -> dict[str, dict[str, Sound]]:
        """``separate`` with every way of decoding, mask render, in one pass through the net.

        Returns ``{"hard": stems, "soft": stems, "guide": stems, "fused": stems}``.
        """
        return self._separate(audio, rate, Settings(MASK, DECODES), lookahead, seed)

    def _separate(
        self, audio: Sound, rate: int, settings: Settings, lookahead: int, seed: int | None
    ) -> dict[str, dict[str, Sound]]:
        audio = np.asarray(audio, np.float32)
        if audio.ndim != 2 or audio.shape[0] not in (1, 2):
            raise AudioError(f"audio of shape {list(audio.shape)} is not [channels, samples] with 1 or 2 channels.")
        _check_stream(rate, audio.shape[0], lookahead, seed)
        stream = Stream(self.net, settings, int(rate), audio.shape[0], lookahead, seed)
        out = {name: {stem: np.empty_like(audio) for stem in STEMS} for name in settings.decodes}
        done = 0

        def keep(parts: dict[str, dict[str, Sound]]) -> None:
            nonlocal done
            count = 0
            for name, stems in parts.items():
                for stem, sound in stems.items():
                    count = sound.shape[1]
                    out[name][stem][:, done : done + count] = sound
            done += count

        step = _BLOCK_SECONDS * int(rate)
        for start in range(0, audio.shape[1], step):
            keep(stream.push_all(audio[:, start : start + step]))
        keep(stream.flush_all())
        return out


def load(
    model: str | Path = "tiny",
    device: str = "cpu",
    render: str = MASK,
    decode: str = FUSED,
    threads: int | None = None,
) -> Separator:
    """Load a model.

    Args:
        model: name of a shipped model, or the path of a model folder.
        device: ``cpu`` or ``cuda``.
        render: ``mask`` (stems sum to the mixture) or ``codec`` (the decoder's own sound).
        decode: what makes the masks: ``fused``, ``soft``, ``hard`` or ``guide``.
        threads: of the whole process, see ``streamsep.engine.threads``. One when None.

    Raises StreamsepError when one of them is unknown, missing or damaged.
    """
    check_choice("render", render, RENDERS)
    check_choice("decode", decode, DECODES)
    check_device(device)
    folder = find_model(model)
    use_threads(1 if threads is None else threads)
    net = load_model(folder, device)
    try:
        net.select_kernels(device)
    except KernelError as error:
        raise OptionError(str(error)) from error
    separator = Separator(net, render, decode)
    warm_up(net, render, decode)
    return separator


def find_model(model: str | Path, shipped: Path = SHIPPED_MODELS) -> Path:
    """The folder of a shipped model, or the path given. Raises StreamsepError when there is no such model."""
    text = str(model)
    for folder in (shipped / text, Path(model)):
        if (folder / WEIGHTS).is_file():
            return folder
    if Path(model).is_dir():
        raise StreamsepError(f"'{text}' is no model: the folder has no {WEIGHTS}.")
    if (shipped / text).is_dir():
        raise StreamsepError(f"the weights of '{text}' are missing in '{shipped / text}'; install streamsep again.")
    names = sorted(path.parent.name for path in shipped.glob(f"*/{WEIGHTS}"))
    known = f"choose {', '.join(names)} or " if names else ""
    raise StreamsepError(f"unknown model '{text}'; {known}give the path of a model's folder.")


def _check_stream(rate: int, channels: int, lookahead: int, seed: int | None) -> None:
    if not MIN_RATE <= rate <= MAX_RATE or int(rate) != rate:
        raise OptionError(f"a rate of {rate} Hz is outside {MIN_RATE} to {MAX_RATE} Hz.")
    if channels not in (1, 2):
        raise OptionError(f"a stream has 1 or 2 channels, not {channels}; separate more than two in pairs.")
    check_lookahead(lookahead)
    if not is_seed(seed):
        raise OptionError(f"the seed {seed} is no 64-bit number; give a smaller one.")
