import pytest

from streamsep.lm.order import ORDERS, Place, schedule, visible


@pytest.mark.parametrize(
    ("order", "codebooks", "steps"),
    [("wavefront", 4, 7), ("wavefront", 8, 11), ("sequential", 4, 16), ("sequential", 8, 32), ("parallel", 4, 4)],
)
def test_number_of_dependent_steps(order: str, codebooks: int, steps: int) -> None:
    assert len(schedule(order, 4, 4, codebooks)) == steps


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("codebooks", [4, 8])
def test_every_place_is_emitted_once_and_codebooks_rise_within_a_step(order: str, codebooks: int) -> None:
    steps = schedule(order, 4, 4, codebooks)
    places = [place for step in steps for place in step]
    assert sorted((p.stem, p.codebook) for p in places) == [(s, q) for s in range(4) for q in range(codebooks)]
    for step in steps:
        books = [p.codebook for p in step]
        assert books == list(range(books[0], books[0] + len(books))) or len(set(books)) == 1


def test_wavefront_is_the_picture_in_the_docstring() -> None:
    steps = schedule("wavefront", 3, 3, 3)
    assert steps[2] == [Place(2, 0), Place(1, 1), Place(0, 2)]
    assert steps[4] == [Place(2, 2)]


@pytest.mark.parametrize("order", ORDERS)
def test_what_semantic_places_see_does_not_depend_on_acoustic_codebooks(order: str) -> None:
    few, all_ = visible(order, 4, 4, 4), visible(order, 4, 4, 8)
    for s in range(4):
        for q in range(4):
            row = [all_[s * 8 + q][t * 8 + r] for t in range(4) for r in range(4)]
            assert row == few[s * 4 + q]
            assert not any(all_[s * 8 + q][t * 8 + r] for t in range(4) for r in range(4, 8))


def test_unknown_order_is_refused() -> None:
    with pytest.raises(ValueError, match="wavefront, sequential, parallel"):
        schedule("diagonal", 4, 4, 4)
