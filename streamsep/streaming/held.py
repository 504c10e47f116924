"""A module's tensors in the group that a kernel takes. Knows modules and their parts; knows no kernel."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

from torch import nn

Group = TypeVar("Group")


class Held(Generic[Group]):
    """What ``gather`` says of ``module``, asked once, and again after a parameter, buffer or submodule was replaced.

    ``gather`` gives the tensors themselves or views that share their memory: what changes in place is seen anyway.
    """

    def __init__(self, module: nn.Module, gather: Callable[[], Group]) -> None:
        self._module, self._gather = module, gather
        self._group: Group | None = None
        self._found: list[tuple[dict[str, Any], str, Any]] = []

    def __call__(self) -> Group:
        group = self._group
        if group is None or any(own.get(name) is not part for own, name, part in self._found):
            self._found = list(_parts(self._module))
            self._group = group = self._gather()
        return group


def _parts(module: nn.Module) -> Iterator[tuple[dict[str, Any], str, Any]]:
    """Everything below, each with the dictionary that has it: to look it up by its name takes ten times as long."""
    for each in module.modules():
        for kind in ("_parameters", "_buffers", "_modules"):
            own: dict[str, Any] = vars(each)[kind]
            yield from ((own, name, part) for name, part in own.items())
