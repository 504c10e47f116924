"""State: named tensors, slot first, that a ``step`` reads and advances in place."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor


class State:
    """A tree of named tensors whose first axis is the slot.

    One slot can be reset, copied or masked without touching its neighbours. Tensors are updated in place, so that a
    captured graph keeps its addresses. ``fresh`` holds the value a reset returns to: a scalar for every tensor.
    """

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self._tensors: dict[str, Tensor] = {}
        self._fresh: dict[str, float] = {}
        self._children: dict[str, State] = {}

    def add(
        self,
        name: str,
        *shape: int,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
        fresh: float = 0,
    ) -> Tensor:
        """Create tensor ``name`` of shape ``[slots, *shape]`` filled with ``fresh``."""
        self._tensors[name] = torch.full((self.slots, *shape), fresh, dtype=dtype, device=device)
        self._fresh[name] = fresh
        return self._tensors[name]

    def nest(self, name: str, child: State) -> State:
        """Hang ``child`` below this state under ``name``."""
        if child.slots != self.slots:
            raise ValueError(f"state '{name}' has {child.slots} slots, its parent has {self.slots}")
        self._children[name] = child
        return child

    def __getitem__(self, name: str) -> Tensor:
        return self._tensors[name]

    def child(self, name: str) -> State:
        return self._children[name]

    def put(self, name: str, value: Tensor, active: Tensor | None = None) -> None:
        """Overwrite ``name`` with ``value`` [slots, ...] where ``active`` [slots] bool is true (all when None).

        Gradients end here. Raises RuntimeError for a shape that does not fit, or a value in the same memory as other
        places of ``name``.
        """
        old, value = self._tensors[name], value.detach()
        if active is None:
            old.copy_(value)
        else:
            torch.where(active.view(-1, *([1] * (old.dim() - 1))), value.to(old.dtype), old, out=old)

    def named_tensors(self, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
        """Yield ``(dotted name, tensor)`` over the whole tree, in a fixed order."""
        for name, tensor in self._tensors.items():
            yield prefix + name, tensor
        for name, child in self._children.items():
            yield from child.named_tensors(f"{prefix}{name}.")

    def reset(self, mask: Tensor | None = None) -> None:
        """Return the slots where ``mask`` [slots] bool is true (all when None) to their first value."""
        for name, tensor in self._tensors.items():
            if mask is None:
                tensor.fill_(self._fresh[name])
            else:
                tensor[mask] = self._fresh[name]
        for child in self._children.values():
            child.reset(mask)

    def narrow(self, start: int, stop: int) -> State:
        """The slots ``start`` … ``stop - 1`` as a state of their own over the same memory."""
        if (start, stop) == (0, self.slots):
            return self
        return self._narrowed(State(stop - start), start, stop)

    def save(self, slot: int) -> dict[str, Tensor]:
        """Copy one slot out, dotted name → tensor."""
        saved = {name: tensor[slot].clone() for name, tensor in self._tensors.items()}
        for child_name, child in self._children.items():
            saved.update({f"{child_name}.{name}": tensor for name, tensor in child.save(slot).items()})
        return saved

    def load(self, slot: int, saved: dict[str, Tensor]) -> None:
        """Copy a saved slot back in. Raises KeyError when a name is missing."""
        for name, tensor in self._tensors.items():
            tensor[slot] = saved[name]
        for child_name, child in self._children.items():
            start = f"{child_name}."
            child.load(slot, {name.removeprefix(start): x for name, x in saved.items() if name.startswith(start)})

    def _narrowed(self, part: State, start: int, stop: int) -> State:
        part._tensors = {name: tensor[start:stop] for name, tensor in self._tensors.items()}
        part._fresh = self._fresh
        part._children = {name: child.narrow(start, stop) for name, child in self._children.items()}
        return part
