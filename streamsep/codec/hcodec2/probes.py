"""Look at what modules put out while a net runs. Knows names of modules; changes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from torch import Tensor, nn


@contextmanager
def watch(model: nn.Module, modules: Mapping[str, str], seen: dict[str, Tensor]) -> Iterator[None]:
    """Inside, each run of module ``modules[name]`` puts its output into ``seen[name]``.

    Raises AttributeError for a module that ``model`` does not have.
    """

    def keep(name: str) -> object:
        def hook(module: nn.Module, given: tuple[Tensor, ...], output: Tensor) -> None:
            seen[name] = output

        return model.get_submodule(modules[name]).register_forward_hook(hook)

    handles = [keep(name) for name in modules]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()  # pyright: ignore[reportAttributeAccessIssue]
