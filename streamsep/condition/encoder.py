"""Mixture spectrum → band tokens for the guide head, and one vector a frame for the language model."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kernels.reference.band_embedding import BandWeights, band_embedding
from kernels.reference.group_linear import GroupWeights, group_linear
from streamsep.condition.bands import GroupLinear
from streamsep.condition.conformer import Conformer
from streamsep.condition.features import BandEmbedding, spectral_features
from streamsep.condition.zoom import Zoom
from streamsep.config import LOOKAHEADS, TRUNK_BANDS, ConditionConfig, trunk_edges
from streamsep.streaming import State, StreamModule

MAX_LOOKAHEAD = max(LOOKAHEADS)


def lookahead_frames(index: Tensor) -> Tensor:
    """Index into ``LOOKAHEADS`` → frames."""
    return index + min(LOOKAHEADS)


def shift_frames(x: Tensor, frames: Tensor) -> Tensor:
    """Delay ``x`` [B, N, T, D] by ``frames`` [B] along T (zeros come in; a negative delay gives zeros throughout).

    A negative delay would need frames that have not been heard, so those items get none at all.
    """
    t = torch.arange(x.shape[2], device=x.device)[None] - frames[:, None]  # [B, T]
    index = t.clamp(0, x.shape[2] - 1)[:, None, :, None].expand_as(x)
    known = (t >= 0) & (frames >= 0)[:, None]
    return torch.gather(x, 2, index) * known[:, None, :, None].to(x.dtype)


class ConditionEncoder(StreamModule):
    """Features → 30 embedded bands → a few tokens of neighbouring bands, + lookahead embedding → Conformer.

    A token for every band would cost five times as much to train and to run: measured on two cores, six wider tokens
    learn faster by the hour.

    At time t the encoder works on behalf of frame t-k: the embedding of k tells it so, and ``target`` hands the heads
    the embedded bands of that frame (zeros for k = -1, which has not been heard yet).
    """

    group_of_token: Tensor

    def __init__(self, cfg: ConditionConfig) -> None:
        super().__init__()
        self.cfg = cfg
        self.embed = BandEmbedding(cfg.band_dim)
        self.zoom = Zoom(cfg.zoom, cfg.band_dim) if cfg.zoom else None
        self.merge = GroupLinear(cfg.tokens, TRUNK_BANDS // len(cfg.per_group) * cfg.band_dim, cfg.dim)
        self.position = nn.Parameter(torch.randn(cfg.tokens, cfg.dim) * 0.5)
        self.register_buffer("group_of_token", torch.tensor(cfg.group_of_token), persistent=False)
        self.lookahead = nn.Embedding(len(LOOKAHEADS), cfg.dim)
        self.conformer = Conformer(cfg)
        self.band_embedding: Callable[..., Tensor] = band_embedding  # another implementation may be put in its place
        self.group_linear: Callable[..., Tensor] = group_linear  # this one's, too
        self._edges = trunk_edges()
        zoom = () if self.zoom is None else (self.zoom.project.weights, self.zoom.project)
        self._sources = (self.embed.project.weights, self.embed.project, self.embed.norm, self.embed, *zoom)
        self._gathered: tuple[object, BandWeights, Sequence[Tensor]] | None = None

    def init_state(self, slots: int, device: torch.device | str = "cpu") -> State:
        state = State(slots)
        state.add("recent", MAX_LOOKAHEAD, TRUNK_BANDS, self.cfg.band_dim, device=device)
        if self.zoom is not None:
            state.nest("zoom", self.zoom.init_state(slots, device))
        state.nest("conformer", self.conformer.init_state(slots, device))
        return state

    def forward(self, spectrum: Tensor, level: Tensor, lookahead: Tensor) -> tuple[Tensor, Tensor]:
        """Whole sequences.

        Args:
            spectrum: [B, T, 2, 2, 961] complex: mid/side, subframe, bin.
            level: [B, T] mean square from the level tracker.
            lookahead: [B] int64 index into ``LOOKAHEADS``.

        Returns:
            ``tokens`` [B, N, T, dim] and ``target`` [B, 30, T, band_dim].
        """
        b, t = level.shape
        features = spectral_features(spectrum.flatten(0, 1), level.flatten())
        zoomed = None if self.zoom is None else self.zoom(spectrum, level)
        x = self.embed(features, zoomed).unflatten(0, (b, t)).transpose(1, 2)
        tokens = self.conformer(
            self._merged(x.transpose(1, 2)).transpose(1, 2) + self.lookahead(lookahead)[:, None, None]
        )
        return tokens, shift_frames(x, lookahead_frames(lookahead))

    def step(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, spectrum: Tensor, level: Tensor, lookahead: Tensor, state: State, active: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """One frame.

        ``spectrum`` [B, 2, 2, 961], ``level`` [B] → ``tokens`` [B, N, dim], ``target`` [B, 30, band_dim].
        """
        past = None if self.zoom is None else state.child("zoom")["past"]
        x = self.band_embedding(self.weights(), self._edges, spectrum, level, past, active)
        history = torch.cat([x[:, None], state["recent"]], 1)  # [B, 1 + MAX, N, D], newest first
        frames = lookahead_frames(lookahead)
        slot = torch.arange(x.shape[0], device=x.device)
        target = history[slot, frames.clamp(min=0)] * (frames >= 0)[:, None, None].to(x.dtype)
        state.put("recent", history[:, :-1], active)
        entering = self._merged_step(x) + self.lookahead(lookahead)[:, None]
        return self.conformer.step(entering, state.child("conformer"), active), target

    def weights(self) -> BandWeights:
        """The embedding's and the zoom's weights as ``band_embedding`` wants them.

        Gathered once, and again after one has changed or was replaced; in training every time, since a fused optimizer
        changes weights without counting it.
        """
        if self.training:
            self._gathered = None
            return self._gather()
        # The modules' own dictionaries: to walk through ``parameters()`` takes three times as long.
        held = [x for source in self._sources for x in source._parameters.values() if x is not None]  # pyright: ignore[reportPrivateUsage]
        stamp = [(x.data_ptr(), -1 if x.is_inference() else x._version) for x in held]
        if self._gathered is None or self._gathered[0] != stamp:
            with torch.inference_mode(False), torch.no_grad():
                self._gathered = stamp, self._gather(), held  # kept, lest others come to lie where they were
        return self._gathered[1]

    def _gather(self) -> BandWeights:
        embed, zoom = self.embed, self.zoom
        features, bias, norm = embed.project.rows(), embed.project.bias, embed.norm.weight
        if zoom is None:
            return BandWeights(features, features[:0], bias, norm, embed.position, features.new_empty(0, 8))
        bias = bias + F.pad(zoom.project.bias, (0, 0, 0, len(bias) - len(zoom.project.bias)))
        return BandWeights(features, zoom.project.rows(), bias, norm, embed.position, zoom.filters)

    def _merged(self, x: Tensor) -> Tensor:
        """Bands [..., 30, band_dim] → tokens [..., N, dim]."""
        groups = x.unflatten(-2, (len(self.cfg.per_group), -1)).flatten(-2)
        heard = groups[..., self.group_of_token, :] if self.cfg.shared else groups
        return self.merge(heard) + self.position

    def _merged_step(self, x: Tensor) -> Tensor:
        """``_merged`` for [B, 30, band_dim]."""
        weights = GroupWeights(self.merge.weight, self.merge.bias, self.group_of_token)
        return self.group_linear(weights, x.reshape(len(x), len(self.cfg.per_group), -1), self.position)


class ConditionPool(nn.Module):
    """Tokens of a frame → the vector ``c_t``: [..., N, dim] → [..., out_dim]."""

    def __init__(self, cfg: ConditionConfig, width: int = 40) -> None:
        super().__init__()
        self.narrow = GroupLinear(cfg.tokens, cfg.dim, width)
        self.out = nn.Linear(cfg.tokens * width, cfg.out_dim)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.out(self.narrow(tokens).flatten(-2))
