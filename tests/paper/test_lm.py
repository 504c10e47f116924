"""Teacher forcing against writing step by step, and what each order lets a code depend on."""

from __future__ import annotations

import pytest
import torch

from streamsep.lm.sampling import GREEDY, Decoding
from streamsep.paper.condition import mel_matrix
from streamsep.paper.generate import SAMPLED, Draw, generate
from tests.paper.conftest import MakeNet

ORDERS = ["sequential", "wavefront", "parallel"]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("aligned", [False, True])
def test_written_step_by_step_it_is_what_teacher_forcing_says(make_net: MakeNet, order: str, aligned: bool) -> None:
    net = make_net(order=order, aligned=aligned)
    mixture = torch.randn(3, 6, 24)
    found = generate(net.lm, mixture)
    with torch.no_grad():
        logits = net.lm(mixture, found.codes)
    torch.testing.assert_close(logits.argmax(-1), found.codes)
    torch.testing.assert_close(net.means(logits), found.means, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("order", ORDERS)
def test_a_code_depends_on_nothing_that_is_written_later(make_net: MakeNet, order: str) -> None:
    net = make_net(order=order)
    plan = net.lm.arrangement(6, torch.device("cpu"))
    when = torch.zeros(len(plan.stem), dtype=torch.int64)
    for moment, (first, last) in enumerate(plan.cuts):
        when[first:last] = moment
    moment = when[plan.written()]  # [T, S, Q]
    mixture, codes = torch.randn(1, 6, 24), torch.randint(24, (1, 6, 4, 4))
    with torch.no_grad():
        before = net.lm(mixture, codes)
        for t, s, q in ((2, 1, 1), (0, 0, 0), (5, 2, 3)):
            other = codes.clone()
            other[0, t, s, q] = (other[0, t, s, q] + 7) % 24
            changed = (net.lm(mixture, other) - before).abs().amax(-1)[0] > 1e-6
            assert not (changed & (moment <= moment[t, s, q])).any()
            elsewhere = changed.any(0).any(-1)  # [S]
            assert elsewhere[s] or (t, q) == (5, 3)
            if order == "parallel":
                assert not elsewhere[torch.arange(4) != s].any()
            elif s < 3:
                assert elsewhere[s + 1]


def test_the_whole_mixture_is_heard_from_the_first_code_on(make_net: MakeNet) -> None:
    net = make_net()
    spectrum = torch.randn(1, 6, 2, 2, 961, dtype=torch.complex64)
    other = spectrum.clone()
    other[:, -1] *= 2
    with torch.no_grad():
        one, two = (net.embedding(each, torch.ones(1, 6)) for each in (spectrum, other))
    assert (one[:, 0] - two[:, 0]).abs().max() > 1e-4
    linear = make_net(encoder="linear")
    with torch.no_grad():
        one, two = (linear.embedding(each, torch.ones(1, 6)) for each in (spectrum, other))
    torch.testing.assert_close(one[:, :-1], two[:, :-1])


def test_a_draw_is_that_of_its_seed_and_frame_whatever_the_batch(make_net: MakeNet) -> None:
    net = make_net()
    mixture = torch.randn(2, 6, 24)
    draw = Draw(torch.tensor([5, 5]), torch.tensor([0, 4]))
    both = generate(net.lm, mixture, SAMPLED, draw).codes
    alone = generate(net.lm, mixture[1:], SAMPLED, Draw(draw.seed[1:], draw.first[1:])).codes
    assert (both[1:] == alone).all()
    assert (both != generate(net.lm, mixture, SAMPLED, Draw(draw.seed + 1, draw.first)).codes).any()
    assert (both != generate(net.lm, mixture).codes).any()


def test_a_cold_draw_is_greedy(make_net: MakeNet) -> None:
    net = make_net()
    mixture = torch.randn(1, 6, 24)
    draw = Draw(torch.tensor([1]), torch.tensor([0]))
    cold = generate(net.lm, mixture, Decoding(temperature=1e-6), draw)
    assert (cold.codes == generate(net.lm, mixture, GREEDY).codes).all()


def test_unknown_codes_say_nothing(make_net: MakeNet) -> None:
    net = make_net()
    mixture, codes = torch.randn(1, 6, 24), torch.full((1, 6, 4, 4), -1)
    with torch.no_grad():
        before = net.lm(mixture, codes)
        net.lm.tables += 1.0
        torch.testing.assert_close(net.lm(mixture, codes), before)


def test_every_mel_band_hears_something() -> None:
    matrix = mel_matrix(80)
    assert matrix.shape == (961, 80)
    assert (matrix.sum(0) > 0.3).all()
    assert (matrix >= 0).all() and (matrix.argmax(0).diff() >= 0).all()
