"""A recipe: every number of a model and of its training, in one TOML file. Knows names and types; trains nothing."""

from __future__ import annotations

import tomllib
from dataclasses import MISSING, Field, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, TypeVar

from streamsep.config import CodecConfig, ConditionConfig, LMConfig, ModelConfig
from streamsep.data.mixing import MixingConfig
from streamsep.errors import OptionError
from streamsep.paper.config import PaperConfig, PaperModelConfig

RECIPES = Path(__file__).with_name("recipes")
# Every stage, and what is known to it alone.
OPTIONS: dict[str, tuple[str, ...]] = {
    "guide": ("share", "colour_db"),
    "codec": ("semantic_share", "mask", "share"),
    "lm": ("share", "mask", "joint", "drop", "span", "acoustic_share", "own"),
    "paper": ("replace", "drop", "drop_stem", "mask"),
}
STAGES: tuple[str, ...] = tuple(OPTIONS)
_COUNTS = ("steps", "batch", "frames", "log_every", "save_every", "score_every", "valid_songs")
T = TypeVar("T")


@dataclass(frozen=True)
class StageConfig:
    """One stage of training.

    ``schedule``: warm-up over ``warmup`` steps, then constant, then down to zero over the last ``decay`` share of all,
    in which mixtures are mostly whole songs; in the last ``settle`` share, where that is given.
    ``lookahead_odds``: how often lookahead -1, 0, 1 and 2 are trained.
    """

    steps: int = 1_000
    batch: int = 8
    frames: int = 75
    lr: float = 1e-3
    weight_decay: float = 0.01
    warmup: int = 50
    decay: float = 0.3
    settle: float | None = None
    clip: float = 1.0
    ema: float = 0.998
    muon: bool = True
    rates: dict[str, float] = field(default_factory=dict)  # part of the net → how many times as fast it learns
    seed: int = 1
    log_every: int = 10
    save_every: int = 100
    score_every: int = 200
    valid_songs: int = 12  # of the validation pool, the first ones
    lookahead_odds: tuple[float, float, float, float] = (0.2, 0.4, 0.2, 0.2)
    precision: str = "auto"  # of matrix products: float32, bfloat16, or what the hardware multiplies faster
    compile: bool = False  # the trunk by torch.compile: a minute at the start, shorter steps; guide and lm
    mixing: MixingConfig = MixingConfig()
    options: dict[str, float] = field(default_factory=dict)  # what only this stage knows

    @property
    def settled(self) -> float:
        """The last share of all steps, in which mixtures are mostly whole songs."""
        return self.decay if self.settle is None else self.settle


@dataclass(frozen=True)
class Recipe:
    """A model and the stages that make its weights.

    ``own``: the stages that it speaks of, in their order. ``after``: the recipe whose model it goes on from, none if
    empty. ``int8``: parts whose matrices are stored in bytes.
    """

    model: ModelConfig
    stages: dict[str, StageConfig]
    own: tuple[str, ...] = ()
    after: str = ""
    paper: PaperConfig = field(default_factory=PaperConfig)
    int8: tuple[str, ...] = ()

    @property
    def paper_model(self) -> PaperModelConfig:
        """The paper's arrangement on this model's codec."""
        return PaperModelConfig(self.model.codec, self.paper)


def load_recipe(name: str) -> Recipe:
    """Read a shipped recipe by name, or a TOML file by path.

    Raises OptionError when there is none or it does not hold what it should.
    """
    path = RECIPES / f"{name}.toml"
    if not path.is_file():
        path = Path(name)
    if not path.is_file():
        known = ", ".join(sorted(each.stem for each in RECIPES.glob("*.toml")))
        raise OptionError(f"unknown recipe '{name}'; choose one of {known}, or give the path of a TOML file.")
    try:
        raw: dict[str, Any] = tomllib.loads(path.read_text("utf-8"))
        model = _table("model", raw.get("model", {}))
        return Recipe(
            ModelConfig(
                name=str(model.get("name", path.stem)),
                codec=_fill(CodecConfig, model.get("codec", {})),
                condition=_fill(ConditionConfig, model.get("condition", {})),
                lm=_fill(LMConfig, model.get("lm", {})),
            ),
            {stage: _stage(stage, raw.get(stage, {})) for stage in STAGES},
            tuple(stage for stage in STAGES if stage in raw),
            _name("after", raw.get("after", "")),
            _fill(PaperConfig, model.get("paper", {})),
            tuple(map(str, _table("export", raw.get("export", {})).get("int8", ()))),
        )
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, TypeError, ValueError) as error:
        raise OptionError(f"the recipe '{path}' cannot be read: {error}.") from error


def _stage(stage: str, raw: Any) -> StageConfig:
    raw = _table(stage, raw)
    config = _fill(StageConfig, {name: value for name, value in raw.items() if name != "mixing"})
    for name in _COUNTS:
        if getattr(config, name) < 1:
            raise ValueError(f"{name} of the stage {stage} is {getattr(config, name)}; give 1 or more")
    for name in config.options:
        if name not in OPTIONS[stage]:
            raise ValueError(f"the stage {stage} has no option '{name}'; it has {', '.join(OPTIONS[stage])}")
    return replace(config, mixing=_fill(MixingConfig, raw.get("mixing", {})))


def _name(name: str, raw: Any) -> str:
    if not isinstance(raw, str):
        raise ValueError(f"'{name}' is {raw!r} where the name of a recipe is wanted")
    return raw


def _table(name: str, raw: Any) -> dict[str, Any]:
    if not isinstance(raw, dict):
        raise ValueError(f"'{name}' is {raw!r} where a table is wanted")
    return raw


def _fill(kind: type[T], raw: Any) -> T:
    known = {each.name: each for each in fields(kind)}  # pyright: ignore[reportArgumentType]
    found: dict[str, Any] = {}
    for name, value in _table(kind.__name__, raw).items():
        if name not in known:
            raise ValueError(f"unknown entry '{name}'; there are {', '.join(sorted(known))}")
        found[name] = tuple(value) if isinstance(value, list) else value
        _check(name, found[name], known[name])
    return kind(**found)


def _check(name: str, value: Any, known: Field[Any]) -> None:
    """Whether ``value`` is of the kind of what stands there by default."""
    default = known.default if known.default_factory is MISSING else known.default_factory()
    if default is None or isinstance(default, float):
        right, wanted = isinstance(value, int | float) and not isinstance(value, bool), "a number"
    elif isinstance(default, tuple):
        right = isinstance(value, tuple) and len(value) == (len(default) or len(value))
        right, wanted = right and all(isinstance(each, int | float) for each in value), "a list of numbers"
        wanted = f"a list of {len(default)} numbers" if default else wanted
    else:
        names = {bool: "true or false", int: "a whole number", str: "a text", dict: "a table of numbers"}
        right, wanted = type(value) is type(default), names.get(type(default), type(default).__name__)
        right = right and (not isinstance(value, dict) or all(isinstance(each, int | float) for each in value.values()))
    if not right:
        shown = list(value) if isinstance(value, tuple) else value
        raise ValueError(f"'{name}' is {shown!r} where {wanted} is wanted")
