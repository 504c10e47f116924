"""A model written over another one: whatever goes wrong on the way, what loads is one of the two, whole."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from streamsep.errors import OutputError, StreamsepError
from streamsep.model.checkpoint import CONFIG, WEIGHTS, load_model, save_model
from streamsep.model.net import Net
from tests.model.small import SMALL, small_net


def other_net() -> Net:
    """Of the same shapes, so that its description would fit the other's weights."""
    net = Net(replace(SMALL, name="other")).eval()
    with torch.no_grad():
        net.fuse.trust.fill_(2.0)
    return net


def found(folder: Path) -> tuple[str, bool] | None:
    """Name of the model in ``folder`` and whether its weights are those of ``other_net``; None when none loads."""
    try:
        net = load_model(folder)
    except StreamsepError:
        return None
    return net.config.name, bool((net.fuse.trust == 2.0).all())


@contextmanager
def full_disk(room: int) -> Iterator[None]:
    """No file may grow beyond ``room`` bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("room", [100, 20_000])
def test_a_full_disk_leaves_the_older_model(tmp_path: Path, room: int) -> None:
    save_model(tmp_path, small_net())
    with full_disk(room), pytest.raises(OutputError, match="cannot be written"):
        save_model(tmp_path, other_net())
    assert found(tmp_path) == ("small", False)
    assert {path.name for path in tmp_path.iterdir()} == {CONFIG, WEIGHTS}
    save_model(tmp_path, other_net())
    assert found(tmp_path) == ("other", True)


def test_an_end_between_any_two_steps_mixes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = {name: getattr(Path, name) for name in ("replace", "unlink")}
    for steps in range(10):
        save_model(tmp_path, small_net())
        left = steps

        def step(name: str, path: Path, *arguments: object, **options: object) -> object:
            nonlocal left
            left -= 1
            if left < 0:
                raise KeyboardInterrupt
            return real[name](path, *arguments, **options)

        with monkeypatch.context() as patch:
            for name in real:
                patch.setattr(Path, name, lambda path, *a, name=name, **o: step(name, path, *a, **o))
            try:
                save_model(tmp_path, other_net())
                break
            except KeyboardInterrupt:
                pass
        assert found(tmp_path) in (("small", False), ("other", True), None)
    assert 3 <= steps < 9 and found(tmp_path) == ("other", True)


def test_new_weights_under_the_same_description_are_never_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_model(tmp_path, small_net())
    real, seen = Path.replace, []

    def moved(path: Path, target: Path) -> Path:
        seen.append(found(tmp_path))
        return real(path, target)

    monkeypatch.setattr(Path, "replace", moved)
    net = small_net()
    with torch.no_grad():
        net.fuse.trust.fill_(2.0)
    save_model(tmp_path, net)
    assert seen == [("small", False), ("small", True)]


@pytest.mark.parametrize("int8", [(), ("lm.", "codec.")])
def test_a_net_without_acoustic_codebooks_comes_back(tmp_path: Path, int8: tuple[str, ...]) -> None:
    net = Net(replace(SMALL, codec=replace(SMALL.codec, acoustic_codebooks=0)))
    save_model(tmp_path, net, torch.float16, int8)
    again = load_model(tmp_path)
    assert again.config == net.config
    assert {name: x.shape for name, x in again.state_dict().items()} == {
        name: x.shape for name, x in net.state_dict().items()
    }
