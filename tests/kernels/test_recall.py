"""A frame some frames back: every backend moves the same bits as the reference, and only those of active slots."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.kernels.backends import load, names, to

ACTIVE = torch.tensor([True, False, True, True, False])
STRIDED = torch.stack((ACTIVE, ~ACTIVE), 1)[:, 0]
BACKENDS = ["reference", *names("recall")]


def _inputs(frames: int, shape: tuple[int, ...]) -> tuple[Tensor, Tensor, Tensor, int, Tensor, Tensor]:
    """Of five slots, whose wanted frames are the newest to the oldest that is kept."""
    generator = torch.Generator().manual_seed(frames)

    def rand(*lead: int) -> Tensor:
        return torch.view_as_complex(torch.randn(*lead, *shape, 2, generator=generator))

    index = torch.arange(5) % (frames + 2)  # a lookahead's, -1 first
    return rand(5), torch.rand(5), index, -1, rand(5, frames), torch.rand(5, frames)


@pytest.mark.parametrize("active", [None, ACTIVE, STRIDED], ids=["all", "some", "strided"])
@pytest.mark.parametrize("frames", [1, 2, 3])
@pytest.mark.parametrize("shape", [(1,), (2, 1, 131), (2, 2, 83)], ids=str)
@pytest.mark.parametrize("backend", BACKENDS)
def test_the_wanted_frame_comes_back_and_the_newest_is_kept(
    backend: str, shape: tuple[int, ...], frames: int, active: Tensor | None
) -> None:
    new, level, index, first, spectra, levels = inputs = _inputs(frames, shape)
    own = to(inputs, torch.float32, backend)
    then, loud = load("recall", backend)(*own, *to([active], torch.float32, backend))
    moves = torch.ones(5, dtype=torch.bool) if active is None else active
    for fresh, kept, out, moved in ((new, spectra, then, own[4]), (level, levels, loud, own[5])):
        for b in range(5):
            history = [fresh[b], *kept[b]]
            assert torch.equal(out[b].cpu(), history[max(int(index[b]) + first, 0)])
            assert torch.equal(moved[b].cpu(), torch.stack(history[:-1]) if moves[b] else kept[b])


@pytest.mark.parametrize("backend", BACKENDS)
def test_frames_come_back_in_their_order_and_a_poisoned_slot_stays_alone(backend: str) -> None:
    call = load("recall", backend)
    spectra, levels = to((torch.zeros(2, 2, 3, dtype=torch.complex64), torch.zeros(2, 2)), torch.float32, backend)
    index = to([torch.tensor([3, 0])], torch.float32, backend)[0]
    for t in range(1, 6):
        new = torch.full((2, 3), t, dtype=torch.complex64, device=levels.device)
        level = torch.full((2,), float(t), device=levels.device)
        new[1], level[1] = torch.nan, torch.nan
        then, loud = call(new, level, index, -1, spectra, levels)
        assert (then[0] == max(t - 2, 0)).all() and loud[0] == max(t - 2, 0)
        assert then[1].isnan().all() and loud[1].isnan()


@pytest.mark.parametrize("backend", names("recall"))
def test_what_is_kept_must_be_of_one_piece(backend: str) -> None:
    inputs = to(_inputs(2, (3,)), torch.float32, backend)
    inputs[4] = torch.stack((inputs[4], inputs[4]), 2)[:, :, 0]
    with pytest.raises(ValueError, match="contiguous"):
        load("recall", backend)(*inputs)
