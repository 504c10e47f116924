"""Bins ↔ bands: how 961 STFT bins group into 30 trunk bands and 120 envelope bands."""

from __future__ import annotations

import functools

import torch
from torch import Tensor, nn

from streamsep.config import BINS, ENVELOPES, TRUNK_BANDS, envelope_edges, trunk_edges


@functools.lru_cache(maxsize=8)
def band_of_bin(device: torch.device | str = "cpu") -> Tensor:
    """[961] int64: the envelope band that each STFT bin belongs to. Made once a device: do not change it."""
    with torch.inference_mode(False):  # training may use it, too
        edges = torch.tensor(envelope_edges())
        return (torch.bucketize(torch.arange(BINS), edges, right=True) - 1).to(device)


@functools.lru_cache(maxsize=8)
def band_matrix(device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32) -> Tensor:
    """[961, 120] of zeros and ones: bin b belongs to band m. Made once a device and dtype: do not change it."""
    with torch.inference_mode(False):
        return torch.nn.functional.one_hot(band_of_bin(), ENVELOPES).to(device, dtype)


@functools.lru_cache(maxsize=8)
def band_widths(device: torch.device | str = "cpu") -> Tensor:
    """[120] float32: how many bins each envelope band has."""
    with torch.inference_mode(False):
        return band_matrix(device).sum(0)


@functools.lru_cache(maxsize=8)
def band_edges(device: torch.device | str = "cpu") -> Tensor:
    """[121] int64: where each envelope band begins, then the end. Made once a device: do not change it."""
    with torch.inference_mode(False):
        return torch.tensor(envelope_edges()).to(device)


def band_sum(power: Tensor) -> Tensor:
    """Sum bins into envelope bands: [..., 961] → [..., 120]. A matrix product: faster on a CPU than an indexed add."""
    return power @ band_matrix(power.device, power.dtype)


class GroupLinear(nn.Module):
    """A linear map for each of G groups: [..., G, inputs] → [..., G, outputs]."""

    def __init__(self, groups: int, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(groups, inputs, outputs) * inputs**-0.5)
        self.bias = nn.Parameter(torch.zeros(groups, outputs))

    def forward(self, x: Tensor) -> Tensor:
        rows = x.flatten(0, -3).transpose(0, 1)
        y = torch.baddbmm(self.bias.to(x.dtype)[:, None], rows, self.weight.to(x.dtype))
        return y.transpose(0, 1).unflatten(0, x.shape[:-2])


class BandLinear(nn.Module):
    """One linear map for each of the first ``bands`` trunk bands: the band's bins and channels in, ``dim`` out.

    Bands of equal width share one batched matrix product; the last two differ by one bin, which is padded with zeros.
    """

    def __init__(self, channels: int, dim: int, bands: int = TRUNK_BANDS) -> None:
        super().__init__()
        edges = trunk_edges()[: bands + 1]
        widths = [b - a for a, b in zip(edges, edges[1:], strict=False)]
        groups: list[tuple[int, int, int]] = []  # first bin, bands, width
        start = 0
        for width in dict.fromkeys(w if w < 200 else 200 for w in widths):
            same = [w for w in widths if w == width or (width == 200 and w >= 200)]
            groups.append((start, len(same), max(same)))
            start += sum(same)
        self.groups = groups
        self.weights = nn.ParameterList(
            nn.Parameter(torch.randn(count, width * channels, dim) * (width * channels) ** -0.5)
            for _, count, width in groups
        )
        self.bias = nn.Parameter(torch.zeros(len(widths), dim))

    def forward(self, x: Tensor) -> Tensor:
        """``x`` [M, bins, channels] → [M, bands, dim]: 961 bins of all 30 bands, or those of the first ones."""
        out: list[Tensor] = []
        for (start, bands, width), weight in zip(self.groups, self.weights, strict=True):
            part = x[:, start : start + bands * width]
            missing = bands * width - part.shape[1]
            if missing:
                half = part.shape[1] // bands  # the first band lacks the bin
                pad = part.new_zeros(part.shape[0], 1, part.shape[2])
                part = torch.cat([part[:, :half], pad, part[:, half:]], 1)
            rows = part.reshape(part.shape[0], bands, -1).transpose(0, 1)
            out.append(torch.bmm(rows, weight.to(rows.dtype)).transpose(0, 1))
        return torch.cat(out, 1) + self.bias

    def rows(self) -> Tensor:
        """[bins·channels, dim]: the weights bin by bin, without those that meet the padding."""
        edges, out = trunk_edges(), list[Tensor]()
        for (_, _, width), weight in zip(self.groups, self.weights, strict=True):
            for own in weight:
                band = len(out)
                out.append(own[: (edges[band + 1] - edges[band]) * (len(own) // width)])
        return torch.cat(out)
