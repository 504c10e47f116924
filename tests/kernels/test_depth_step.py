"""The compiled depth step against its reference: at most twice the error of plain torch in the same precision."""

import pytest
import torch

from kernels.numba.depth_step import depth_step as numba_depth_step
from kernels.reference import DepthHeads, DepthWeights, LayerWeights, depth_step
from kernels.registry import IMPLEMENTATIONS, resolve

D, HEADS, M, K, C, F, LAYERS = 48, 4, 80, 37, 16, 20, 2
FULL, TIED = 3, 2


def _weights() -> DepthWeights:
    generator = torch.Generator().manual_seed(0)

    def rand(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator) / shape[-1] ** 0.5

    layers = tuple(
        LayerWeights(1 + rand(D), rand(3 * D, D), rand(D, D), 1 + rand(D), rand(2 * M, D), rand(D, M))
        for _ in range(LAYERS)
    )
    heads = DepthHeads(
        1 + rand(D), rand(FULL, K, D), rand(TIED, C, D), rand(TIED, K, C), torch.tensor([1.7]), rand(FULL + TIED, K)
    )
    return DepthWeights(rand(FULL + TIED, D, F), layers, heads)


def _double(weights: DepthWeights) -> DepthWeights:
    layers = tuple(LayerWeights(*(w.double() for w in layer)) for layer in weights.layers)
    return DepthWeights(weights.feed.double(), layers, DepthHeads(*(w.double() for w in weights.heads)))


def _inputs(frames: int, places: int, filled: int) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(frames * 100 + places)
    x = torch.randn(frames, places, D, generator=generator)
    fed = torch.randn(frames, places, F, generator=generator)
    past = torch.full((LAYERS, 2, frames, filled + places + 3, HEADS, D // HEADS), torch.nan)
    past[:, :, :, :filled] = torch.randn(past[:, :, :, :filled].shape, generator=generator)
    bias = torch.zeros(places, filled + places)
    if filled:
        bias[0, 0] = -torch.inf
    return x, fed, past, bias


@pytest.mark.parametrize("frames", [1, 2, 5])
@pytest.mark.parametrize(("books", "filled"), [((0,), 0), ((1, 2, 3), 6), ((2, 3, 4), 4), ((4,), 9), ((1, 1, 1, 1), 4)])
def test_error_is_at_most_twice_that_of_torch(frames: int, books: tuple[int, ...], filled: int) -> None:
    weights = _weights()
    x, fed, past, bias = _inputs(frames, len(books), filled)
    exact_past, numba_past, torch_past = past.double(), past.clone(), past.clone()
    exact = depth_step(_double(weights), x.double(), fed.double(), books, exact_past, filled, bias.double())
    plain = depth_step(weights, x, fed, books, torch_past, filled, bias)
    fast = numba_depth_step(weights, x, fed, books, numba_past, filled, bias)
    assert fast.shape == exact.shape == (frames, len(books), K)
    assert exact.std() > 0.3
    floor = torch.finfo(torch.float32).eps * exact.abs().max()
    assert (fast - exact).abs().max() <= 2 * (plain - exact).abs().max() + floor
    end = filled + len(books)
    torch.testing.assert_close(numba_past[..., :end, :, :], torch_past[..., :end, :, :], atol=1e-5, rtol=1e-5)
    assert numba_past[:, :, :, end:].isnan().all()


def test_masked_places_do_not_matter_even_as_huge_numbers() -> None:
    weights = _weights()
    x, fed, past, bias = _inputs(2, 2, 3)
    bias[:, 0] = -torch.inf
    expected = numba_depth_step(weights, x, fed, (0, 1), past.clone(), 3, bias)
    past[:, :, :, 0] = 1e6
    torch.testing.assert_close(numba_depth_step(weights, x, fed, (0, 1), past, 3, bias), expected, atol=0, rtol=0)


def test_a_poisoned_frame_stays_alone() -> None:
    weights = _weights()
    x, fed, past, bias = _inputs(3, 3, 2)
    expected = numba_depth_step(weights, x, fed, (0, 1, 2), past.clone(), 2, bias)
    x[1] = torch.nan
    poisoned = numba_depth_step(weights, x, fed, (0, 1, 2), past, 2, bias)
    assert poisoned[1].isnan().all()
    torch.testing.assert_close(poisoned[[0, 2]], expected[[0, 2]], atol=1e-6, rtol=1e-6)


def test_inputs_are_left_as_they_were() -> None:
    weights = _weights()
    x, fed, past, bias = _inputs(1, 2, 0)
    before = x.clone(), fed.clone()
    numba_depth_step(weights, x, fed, (0, 1), past, 0, bias)
    assert torch.equal(x, before[0]) and torch.equal(fed, before[1])


def test_other_precisions_are_refused() -> None:
    x, fed, past, bias = _inputs(1, 1, 0)
    with pytest.raises(TypeError, match="float32"):
        numba_depth_step(_weights(), x.double(), fed, (0,), past, 0, bias)


def test_registry_prefers_numba_on_the_cpu_and_obeys_an_explicit_choice() -> None:
    assert str(resolve("depth_step", "cpu")) == "depth_step: numba"
    assert resolve("depth_step", "cpu").function is numba_depth_step
    assert resolve("depth_step", "cpu", "reference").function is depth_step
    assert resolve("depth_step", "cuda").implementation.backend == "reference"


@pytest.mark.parametrize(
    ("op", "device", "backend"), [("depth_step", "cuda", "numba"), ("depth_step", "cpu", "magic"), ("x", "cpu", "auto")]
)
def test_registry_never_falls_back_from_an_impossible_choice(op: str, device: str, backend: str) -> None:
    with pytest.raises(ValueError, match="implementation"):
        resolve(op, device, backend)


@pytest.mark.parametrize("known", IMPLEMENTATIONS, ids=lambda known: f"{known.op}-{known.backend}")
def test_every_registered_implementation_loads(known) -> None:  # noqa: ANN001
    assert callable(resolve(known.op, known.devices[0], known.backend).function)
