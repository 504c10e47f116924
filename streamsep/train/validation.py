"""Held-out songs while a net is trained: SI-SDR of masks, a picture, a sound. Knows masks, not who made them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from streamsep.audio.writer import AudioWriter
from streamsep.codec.stft import ISTFT, STFT
from streamsep.condition.features import mid_side
from streamsep.config import FRAME, HOP, SAMPLE_RATE, STEMS
from streamsep.data.pool import PoolSong, open_pool
from streamsep.evaluate.metrics import Sound
from streamsep.evaluate.scores import Row, SongScorer, total_summary
from streamsep.evaluate.songs import TrueStems
from streamsep.render.mask import to_bins
from streamsep.train.batches import Spectra, spectra

EDGE = 3  # frames at either end that some lookahead does not cover


class ValidationSongs:
    """The first ``seconds`` of up to ``limit`` songs of a pool."""

    def __init__(
        self, folder: Path, seconds: float = 12.0, limit: int = 12, device: torch.device | str = "cpu"
    ) -> None:
        self.songs: list[PoolSong] = open_pool([folder])[:limit]
        self.frames = int(seconds * SAMPLE_RATE) // FRAME
        self.device = device
        self.stft, self.istft = STFT().to(device), ISTFT().to(device)

    def waves(self, index: int) -> Tensor:
        """Stems of a song, [1, 4, 2, n]."""
        stems = self.songs[index].stems
        frames = min(self.frames, stems.shape[2] // FRAME)
        return torch.from_numpy(stems[:, :, : frames * FRAME].astype(np.float32) / 32_768)[None].to(self.device)

    def __iter__(self) -> Iterator[Spectra]:
        """Spectra of each song, a batch of one."""
        for index in range(len(self.songs)):
            yield spectra(self.waves(index), self.stft)

    def render(self, waves: Tensor, masks: Tensor) -> Tensor:
        """True stems and masks by frame [1, T, S, 2, 2, 120] → estimated stems [4, 2, n - 960]."""
        mixture = spectra(waves, self.stft).mixture
        found = to_bins(masks) * mixture.unsqueeze(2)  # [1, T, S, 2, 2, 961]
        columns = found.permute(0, 2, 3, 1, 4, 5).flatten(3, 4)
        return mid_side(self.istft(columns), 2)[0, ..., HOP:]

    def improvement(self, masks: Iterable[Tensor]) -> dict[str, float]:
        """Median SI-SDR improvement over active seconds, a stem, and ``mean`` over the stems.

        ``masks``: of each song in turn, by frame, [1, T, S, 2, 2, 120].
        """
        scores = []
        cut = EDGE * FRAME
        for index, found in enumerate(masks):
            waves = self.waves(index)
            estimate = self.render(waves, found)[..., cut:-cut].cpu().numpy()
            true: Sound = waves[0, ..., :-HOP][..., cut:-cut].cpu().numpy()
            scorer = SongScorer(TrueStems(self.songs[index].name, true, true.sum(0)))
            scorer.add(Row("model", 0), dict(zip(STEMS, estimate, strict=True)))
            scores.append(scorer.scores)
        row = next(row for row in total_summary(scores) if row["estimate"] == "model")
        return {stem: float(value) for stem, value in row["improvement"].items() if value is not None}

    def picture(self, path: Path, masks: Tensor) -> None:
        """Spectrograms of the first song: true stems above, estimated below."""
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        waves = self.waves(0)
        estimate = self.render(waves, masks)
        figure = Figure((16, 6), layout="constrained")
        axes = figure.subplots(2, len(STEMS))
        for line, (title, sound) in enumerate((("true", waves[0]), ("estimated", estimate))):
            frames = sound.shape[-1] // FRAME * FRAME
            columns = self.stft(sound[:, :, :frames].mean(1)).abs().clamp_min(1e-5).log10().cpu().numpy()
            for axis, stem, picture in zip(axes[line], STEMS, columns, strict=True):
                axis.imshow(20 * picture.T[:400], origin="lower", aspect="auto", vmin=-50, vmax=40, cmap="magma")
                axis.set_title(f"{stem}, {title}", fontsize=9)
                axis.set_axis_off()
        FigureCanvasAgg(figure).print_figure(path, dpi=70)

    def sample(self, path: Path, masks: Tensor) -> None:
        """The first song's estimated stems, one after the other."""
        sound = torch.cat(list(self.render(self.waves(0), masks)), -1).cpu().numpy()
        with AudioWriter(path, SAMPLE_RATE, 2, format="flac", bits="16", overwrite=True) as writer:
            writer.write(sound)
