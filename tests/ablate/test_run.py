"""The whole of an ablation in small, and what its parts promise."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from streamsep.ablate.measure import SongMeter
from streamsep.ablate.run import AblateOptions, ablate
from streamsep.ablate.stage import AblationNets, AblationStage
from streamsep.ablate.training import train_variants
from streamsep.codec.model import Codec
from streamsep.errors import OptionError
from streamsep.evaluate.songs import TrueStems
from streamsep.train.paper import PaperStage
from streamsep.train.recipe import load_recipe
from streamsep.train.run import TrainOptions
from tests.cli.conftest import Run
from tests.sounds import tune


def nets_of(recipe: Path) -> AblationNets:
    torch.manual_seed(0)
    loaded = load_recipe(str(recipe))
    return AblationNets(loaded, Codec(loaded.model.codec), 4)


def test_variants_differ_in_one_thing_and_begin_alike(small_recipe: Path) -> None:
    nets = nets_of(small_recipe)
    base = nets.net("paper")
    for name, changed in (
        ("wavefront", "order"),
        ("parallel", "order"),
        ("linear", "encoder"),
        ("acoustic", "streams"),
    ):
        one, two = vars(base.config.paper), vars(nets.net(name).config.paper)
        assert [key for key in one if one[key] != two[key]] == [changed]
    for name in ("wavefront", "parallel"):
        for key, value in base.state_dict().items():
            assert torch.equal(value, nets.net(name).state_dict()[key])


def test_side_by_side_is_as_good_as_alone(small_recipe: Path) -> None:
    """The gradient of a net is the same whether the others are trained beside it or not."""
    config = load_recipe(str(small_recipe)).stages["paper"]
    nets = nets_of(small_recipe)
    waves = 0.1 * torch.randn(2, 4, 2, 10 * 1_920)
    AblationStage(nets, config, None).loss(waves, torch.Generator().manual_seed(1))[0].backward()
    alone = nets_of(small_recipe).net("linear")
    stage = PaperStage(alone, config, None)
    beside = AblationStage(nets_of(small_recipe), config, None).stages["paper"].hear(waves)
    seed = int(torch.randint(1 << 40, (), generator=torch.Generator().manual_seed(1)))
    stage.loss_on(beside, seed)[0].backward()
    for (name, one), two in zip(alone.named_parameters(), nets.net("linear").parameters(), strict=True):
        if one.requires_grad:
            torch.testing.assert_close(one.grad, two.grad, msg=name)


def test_true_tokens_are_told_right_by_who_writes_them(small_recipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nets = nets_of(small_recipe).eval()
    base = nets.net("paper")
    stems = np.stack([tune(0.9, 48_000, seed=seed) for seed in range(4)])
    stems[2] = 0  # no bass
    song = TrueStems("song", stems, stems.sum(0))
    meter = SongMeter(base)
    (found,) = meter([song], {"paper": base, "acoustic": nets.net("acoustic")})
    assert found["paper"].improvement["bass"] is None and found["paper"].improvement["mean"] is not None
    assert found["acoustic"].accuracy["semantic"] is None and found["acoustic"].nll["semantic"] is None
    for value in (found["paper"].accuracy["semantic"], found["acoustic"].accuracy["acoustic"]):
        assert value is not None and 0 <= value < 1

    codes = meter._hear(song).codes

    def tell(mixture: Tensor) -> tuple[Tensor, Tensor, None]:
        return codes, base.vectors(codes), None

    monkeypatch.setattr(base, "separate", tell)
    right = meter([song], {"paper": base})[0]["paper"]
    assert right.accuracy == {"semantic": 1.0, "acoustic": 1.0}
    assert right.improvement == right.ceiling


def test_songs_measured_together_are_as_alone(small_recipe: Path) -> None:
    net = nets_of(small_recipe).eval().net("paper")
    songs = []
    for seed, seconds in ((1, 1.0), (2, 1.7)):
        stems = np.stack([tune(seconds, 48_000, seed=seed + stem) for stem in range(4)])
        songs.append(TrueStems(f"song {seed}", stems, stems.sum(0)))
    meter = SongMeter(net)
    together = meter(songs, {"paper": net})
    for song, found in zip(songs, together, strict=True):
        (alone,) = meter([song], {"paper": net})
        assert found["paper"].improvement == pytest.approx(alone["paper"].improvement, abs=0.01)
        assert found["paper"].nll == pytest.approx(alone["paper"].nll, abs=1e-3)


def test_an_ablation_from_pool_to_table(
    run: Run,
    small_recipe: Path,
    songs: Path,
    runs: Path,
) -> None:
    arguments = ("ablate", songs / "pool", "--test", songs / "test", "--recipe", small_recipe, "--out", runs)
    result = run(*arguments, "--threads", 1, "--json")
    assert result.code == 0, result.err
    report = json.loads(result.out)
    assert (report["songs"], [row["variant"] for row in report["variants"]]) == (
        2,
        ["paper", "linear", "wavefront", "parallel", "acoustic"],
    )
    base, linear = report["variants"][:2]
    assert base["difference"] == {} and set(linear["difference"]) >= {"mean", "accuracy"}
    assert linear["difference"]["mean"]["adjusted"] >= linear["difference"]["mean"]["p"]
    gap = linear["improvement"]["mean"]["mean"] - base["improvement"]["mean"]["mean"]
    assert linear["difference"]["mean"]["mean"] == pytest.approx(gap)
    again = run(*arguments)
    assert again.code == 0 and "step 12/12" not in again.err and "going on from step 12" in again.err
    assert "linear adapter" in again.out


def test_an_ablation_that_was_stopped_goes_on(small_recipe: Path, songs: Path, runs: Path) -> None:
    options = TrainOptions(str(small_recipe), (songs / "pool",), None, runs, 12, 1, workers=0)
    whole = train_variants(options, lambda _: None)
    log: list[str] = []

    def stop(text: str) -> None:
        log.append(text)
        if text.startswith("step 7/"):
            raise KeyboardInterrupt

    (runs / "two").mkdir()
    (runs / "codec").rename(runs / "two" / "codec")
    options = TrainOptions(str(small_recipe), (songs / "pool",), None, runs / "two", 12, 1, workers=0)
    with pytest.raises(KeyboardInterrupt):
        train_variants(options, stop)
    again = train_variants(options, log.append)
    assert "going on from step 5" in " ".join(log)
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(value, again.state_dict()[name], rtol=1e-3, atol=1e-5)


def test_bad_options_are_named(small_recipe: Path, songs: Path, tmp_path: Path) -> None:
    options = TrainOptions(str(small_recipe), (songs / "pool",), None, tmp_path)
    with pytest.raises(OptionError, match="train that stage first"):
        ablate(AblateOptions(options, songs / "test"))
    with pytest.raises(OptionError, match="does not exist"):
        ablate(AblateOptions(options, tmp_path / "none"))
    for bad in ({"seconds": 0.5}, {"limit": 0}):
        with pytest.raises(OptionError):
            AblateOptions(options, songs / "test", **bad)
