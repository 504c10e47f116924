"""Who may see whom, told by integers."""

from __future__ import annotations

import pytest
import torch

from streamsep.paper.arrangement import Arrangement

FRAMES, BOOKS, STEPS = 5, 3, 8


def sees(order: str, who: tuple[int, int], whom: tuple[int, int]) -> bool:
    plan = Arrangement.make(order, FRAMES, BOOKS)
    row, column = (FRAMES + int(plan.place[each]) for each in (who, whom))
    return bool(plan.bias[row, column] == 0)


@pytest.mark.parametrize(("order", "steps"), [("sequential", 4 * STEPS), ("wavefront", STEPS + 3), ("parallel", STEPS)])
def test_every_position_is_emitted_once_in_dependent_steps(order: str, steps: int) -> None:
    plan = Arrangement.make(order, FRAMES, BOOKS)
    assert len(plan.cuts) == steps
    assert [first for first, _ in plan.cuts[1:]] == [last for _, last in plan.cuts[:-1]]
    assert sorted(plan.place.flatten().tolist()) == list(range(4 * STEPS))
    # Nobody sees a later step, everybody the mixture, and the mixture no token.
    for first, last in plan.cuts:
        assert (plan.bias[FRAMES + first : FRAMES + last, FRAMES + last :] == -torch.inf).all()
    assert (plan.bias[:, :FRAMES] == 0).all()
    assert (plan.bias[:FRAMES, FRAMES:] == -torch.inf).all()


@pytest.mark.parametrize("order", ["sequential", "wavefront", "parallel"])
def test_a_stem_sees_its_own_past(order: str) -> None:
    assert sees(order, (2, 4), (2, 4)) and sees(order, (2, 4), (2, 0))
    assert not sees(order, (2, 4), (2, 5))


def test_the_orders_differ_in_what_is_seen_of_other_stems() -> None:
    assert sees("sequential", (1, 0), (0, STEPS - 1)) and not sees("sequential", (0, STEPS - 1), (1, 0))
    # What stem 0 wrote at step 3 is fed to its position 4: the wavefront sees so far and no further.
    assert sees("wavefront", (1, 3), (0, 4)) and not sees("wavefront", (1, 3), (0, 5))
    assert sees("wavefront", (2, 3), (0, 5)) and not sees("wavefront", (0, 3), (1, 3))
    assert not any(sees("parallel", (1, u), (0, v)) for u in range(STEPS) for v in range(STEPS))


def test_codes_are_delayed_by_their_codebook_and_come_back() -> None:
    plan = Arrangement.make("sequential", FRAMES, BOOKS)
    codes = torch.arange(FRAMES * 4 * BOOKS).view(1, FRAMES, 4, BOOKS)
    fed = plan.fed(codes)
    for stem in range(4):
        assert (fed[0, plan.place[stem, 0]] == -1).all()
        assert fed[0, plan.place[stem, 1]].tolist() == [codes[0, 0, stem, 0], -1, -1]
        assert fed[0, plan.place[stem, 4]].tolist() == [codes[0, 3 - q, stem, q] for q in range(3)]
        assert fed[0, plan.place[stem, STEPS - 1]].tolist() == [-1, -1, codes[0, 4, stem, 2]]
    written = plan.written()
    assert (plan.step[written[2, 1]] == torch.tensor([2, 3, 4])).all() and (plan.stem[written[2, 1]] == 1).all()


def test_an_unknown_order_is_refused() -> None:
    with pytest.raises(ValueError, match="sequential, wavefront, parallel"):
        Arrangement.make("random", FRAMES, BOOKS)
