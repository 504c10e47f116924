"""Judges that stand in for listeners: ViSQOL, DNSMOS and NISQA. Knows the libraries; knows nothing of songs or models.

All are optional (``pip install 'streamsep[evaluate]'``); a judge that is not here is named in one line and left out.
They hear mono, and only the loudest seconds of a stem: whole songs would take minutes each.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from streamsep.audio.resample import resample
from streamsep.config import SAMPLE_RATE, STEMS
from streamsep.errors import OptionError
from streamsep.evaluate.metrics import Sound

VOCALS = STEMS[0]
VISQOL_SECONDS, SPEECH_SECONDS = 5, 10
_DNSMOS_RATE = 16_000


class Judge(Protocol):
    """``stems`` it is made for, ``seconds`` it hears."""

    stems: tuple[str, ...]
    seconds: int

    def __call__(self, estimate: Sound, reference: Sound) -> Mapping[str, float]:
        """[channels, n] at 48 kHz twice → a score a name, 1 (bad) to 5 (excellent)."""
        ...


class Visqol:
    """ViSQOL 3 in audio mode at 48 kHz: how close an estimate sounds to the true stem (MOS-LQO)."""

    stems: tuple[str, ...] = STEMS
    seconds = VISQOL_SECONDS

    def __init__(self) -> None:
        from visqol import VisqolApi

        self._api = VisqolApi()
        self._api.create(mode="audio", disable_global_alignment=True)  # stems are aligned to the sample

    def __call__(self, estimate: Sound, reference: Sound) -> dict[str, float]:
        found = self._api.measure_from_arrays(_mono(reference), _mono(estimate), SAMPLE_RATE)
        return {"visqol": float(found.moslqo)}


class Dnsmos:
    """DNSMOS P.835 on vocals: quality of the voice (SIG), of what is behind it (BAK) and of both (OVRL)."""

    stems: tuple[str, ...] = (VOCALS,)
    seconds = SPEECH_SECONDS

    def __init__(self) -> None:
        import onnxruntime
        from speechmos import dnsmos

        folder = Path(dnsmos.__file__).parent / "dnsmos_models"
        paths = str(folder / "sig_bak_ovr.onnx"), str(folder / "model_v8.onnx")
        # Its own sessions take every core; the suite gives each process one thread.
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._model = dnsmos.DNSMOS(*paths)
        self._model.onnx_sess = onnxruntime.InferenceSession(paths[0], options)
        self._model.p808_onnx_sess = onnxruntime.InferenceSession(paths[1], options)

    def __call__(self, estimate: Sound, reference: Sound) -> dict[str, float]:
        sound = resample(_mono(estimate)[None].astype(np.float32), SAMPLE_RATE, _DNSMOS_RATE)[0].clip(-1, 1)
        found = self._model(sound, _DNSMOS_RATE, False)
        return {f"dnsmos_{name}": float(found[f"{name}_mos"]) for name in ("sig", "bak", "ovrl")}


class Nisqa:
    """NISQA 2 on vocals, from ``nisqa.tar`` on this machine; its licence (CC BY-NC-SA 4.0) lets no one ship it."""

    stems: tuple[str, ...] = (VOCALS,)
    seconds = SPEECH_SECONDS

    def __init__(self, weights: Path) -> None:
        """Raises OptionError when ``weights`` is not such a file."""
        from torchmetrics.functional.audio import nisqa

        if not weights.is_file() or weights.name != "nisqa.tar":
            raise OptionError(f"'{weights}' is not the file nisqa.tar of NISQA 2; give its path, or leave --nisqa out.")
        nisqa.NISQA_DIR = str(weights.resolve().parent)
        nisqa._load_nisqa_model.cache_clear()
        self._judge = nisqa.non_intrusive_speech_quality_assessment
        try:
            self(np.zeros((1, SAMPLE_RATE), np.float32), np.zeros((1, SAMPLE_RATE), np.float32))
        except Exception as error:
            raise OptionError(f"'{weights}' holds no weights of NISQA 2; fetch it again.") from error

    def __call__(self, estimate: Sound, reference: Sound) -> dict[str, float]:
        import torch

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of librosa, about empty mel filters of short windows
            mos, noisiness, _, coloration, _ = self._judge(
                torch.from_numpy(_mono(estimate).astype(np.float32)), SAMPLE_RATE
            ).tolist()
        return {"nisqa_mos": mos, "nisqa_noisiness": noisiness, "nisqa_coloration": coloration}


def find_judges(nisqa: Path | None = None) -> tuple[list[Judge], list[str]]:
    """The judges that can be had here, and a sentence for each that cannot. Raises OptionError for a bad ``nisqa``."""
    judges: list[Judge] = []
    notes: list[str] = []
    wanted: tuple[tuple[str, tuple[str, ...], Any], ...] = (
        ("ViSQOL", ("visqol",), Visqol),
        ("DNSMOS", ("speechmos", "onnxruntime", "librosa"), Dnsmos),
        ("NISQA", ("torchmetrics", "librosa", "requests"), None if nisqa is None else lambda: Nisqa(nisqa)),
    )
    for name, packages, make in wanted:
        missing = [package for package in packages if importlib.util.find_spec(package) is None]
        if make is None:
            notes.append("NISQA is left out: it needs --nisqa with the path of nisqa.tar, which is not free to ship.")
        elif missing:
            notes.append(f"{name} is left out: {', '.join(missing)} is missing; pip install 'streamsep[evaluate]'.")
        else:
            judges.append(make())
    return judges, notes


def loudest(reference: Sound, seconds: int) -> slice:
    """Where the ``seconds`` with the most energy of [channels, n] lie, to a tenth of a second."""
    size, step = seconds * SAMPLE_RATE, SAMPLE_RATE // 10
    if reference.shape[1] <= size:
        return slice(0, reference.shape[1])
    energy = np.concatenate([[0.0], np.cumsum(np.sum(reference.astype(np.float64) ** 2, axis=0))])
    starts = np.arange(0, reference.shape[1] - size + 1, step)
    start = int(starts[np.argmax(energy[starts + size] - energy[starts])])
    return slice(start, start + size)


def _mono(sound: Sound) -> Any:
    return sound.mean(0, dtype=np.float64)
