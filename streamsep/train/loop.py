"""The training loop: steps, averages, checkpoints, log. Knows stages by their protocol; knows nothing of music."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter

from streamsep.errors import OptionError, OutputError
from streamsep.train.checkpoint import load_checkpoint, save_checkpoint, save_weights
from streamsep.train.ema import EMA
from streamsep.train.muon import Muon, split_parameters
from streamsep.train.precision import training_dtype
from streamsep.train.recipe import StageConfig
from streamsep.train.stage import Stage

Log = Callable[[str], None]
LAST, BEST = "last.pt", "best.safetensors"
NOTABLE = 0.1  # share of the time that is waited for data, from which on the log says so
RANK_SEED = 104_729  # times a process's number: what it draws is not what another draws


@dataclass(frozen=True)
class Outcome:
    """Where a run ended: its best score, and the losses that were logged, by step."""

    step: int
    best: float
    losses: dict[int, float]


def learning_rate(step: int, config: StageConfig) -> float:
    """Share of the full rate at ``step``: warm-up, constant, linear to zero."""
    left = (config.steps - step) / max(1.0, config.decay * config.steps)
    return max(0.0, min(1.0, (step + 1) / max(1, config.warmup), left))


def rate_groups(module: nn.Module, params: list[nn.Parameter], rates: dict[str, float]) -> list[dict[str, Any]]:
    """Groups of ``params`` for an optimizer, ``times`` in each: how many times as fast it learns.

    ``rates``: how a parameter's name begins → times. A part of few numbers, each of which must go far, needs it: Adam
    moves none of them by more than the sum of the rates.
    """
    chosen = {id(p) for p in params}
    groups: dict[float, list[nn.Parameter]] = {}
    for name, p in module.named_parameters():
        if id(p) in chosen:
            times = next((rates[part] for part in rates if name.startswith(f"{part}.")), 1.0)
            groups.setdefault(times, []).append(p)
    return [{"params": found, "times": times} for times, found in groups.items()]


class Trainer:
    """Trains one stage in ``folder``; goes on from ``last.pt`` when that is there.

    Step ``n`` depends on the weights, the seed and ``n`` alone, so a run that was killed goes on as if it had not been.
    Started by ``accelerate launch`` or ``torchrun``, several processes take each step together: every one has batches
    of its own, the gradients are averaged, the first one writes.
    """

    def __init__(self, stage: Stage, config: StageConfig, folder: Path, log: Log = print, judge: str = "") -> None:
        """``judge``: what scores are measured on; those of another judge are not compared with."""
        self.stage, self.config, self.folder, self.log, self.judge = stage, config, folder, log, judge
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"'{folder}' cannot be made: {error.strerror}; choose another --out.") from error
        self.accelerator = Accelerator()
        self.device = self.accelerator.device
        self.rank, self.leads = self.accelerator.process_index, self.accelerator.is_main_process
        self.ema = EMA(stage.module.to(self.device), config.ema)
        self.optimizers = self._optimizers()
        self.step, self.best = 0, -float("inf")
        self.waited = 0.0  # seconds, for data
        self.losses: dict[int, float] = {}
        if (folder / LAST).is_file():
            self._resume(load_checkpoint(folder / LAST))

    def run(self, batches: Callable[[int], Iterator[Tensor]]) -> Outcome:
        """Train to the end. ``batches(step)`` yields the waves of step, step + 1, …"""
        config, writer = self.config, SummaryWriter(self.folder / "log") if self.leads else None
        began, first = time.monotonic(), self.step
        source = batches(self.step)
        while self.step < config.steps:
            asked = time.monotonic()
            waves = next(source)
            self.waited += time.monotonic() - asked
            parts = self._train_step(waves)
            self.step += 1
            if writer is not None:
                self._record(parts, writer, began, first)
            if self._due(config.score_every):
                self.accelerator.wait_for_everyone()  # scoring takes longer than the others may wait for a gradient
        if writer is not None:
            writer.close()
        return Outcome(self.step, self.best, self.losses)

    def _record(self, parts: dict[str, float], writer: SummaryWriter, began: float, first: int) -> None:
        """What is written after a step: log, scores and checkpoints, each as often as it is asked for."""
        if self.step % self.config.log_every == 0:
            self._report(parts, writer, began, first)
        if self._due(self.config.score_every):
            self._score(writer)
        if self._due(self.config.save_every):
            save_checkpoint(self.folder / LAST, self._state())

    def _due(self, every: int) -> bool:
        """Whether what is done every so many steps, and at the end, is due."""
        return self.step % every == 0 or self.step == self.config.steps

    def _train_step(self, waves: Tensor) -> dict[str, float]:
        seed = 1_000_003 * self.config.seed + self.step + RANK_SEED * self.rank
        torch.manual_seed(seed)
        generator = torch.Generator().manual_seed(seed)
        self.stage.module.train()
        moved = waves.to(self.device, non_blocking=True).float()
        loss, parts = self.stage.loss(moved, generator, self.step / self.config.steps)
        self.accelerator.backward(loss)
        trained = [p for p in self.stage.module.parameters() if p.requires_grad]
        if self.accelerator.num_processes > 1:
            self._average(trained)
        norm = float(torch.nn.utils.clip_grad_norm_(trained, self.config.clip))
        scale = learning_rate(self.step, self.config)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = scale * self.config.lr * group.get("times", 1.0)
            if math.isfinite(norm):
                optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        if not math.isfinite(norm):
            self.log(f"step {self.step + 1}: the gradient is {norm}, so nothing was learnt in this step")
        if self.accelerator.num_processes > 1:
            for buffer in self.stage.module.buffers():
                broadcast(buffer)  # code books follow what the first process saw
        self.ema.update(self.stage.module)
        return {"loss": float(loss.detach()), **parts, "grad": norm, "rate": scale * self.config.lr}

    def _average(self, trained: list[nn.Parameter]) -> None:
        """Gradients over all processes, in one piece: what one process has no gradient for, another may. What none has
        one for stays without, so that no optimizer moves it.
        """
        grads = [torch.zeros_like(p) if p.grad is None else p.grad for p in trained]
        told = torch.tensor([float(p.grad is not None) for p in trained], device=self.device)
        joined = self.accelerator.reduce(torch.cat([*(grad.flatten() for grad in grads), told]), "mean")
        assert isinstance(joined, Tensor)
        *means, told = joined.split([*(p.numel() for p in trained), len(trained)])
        for p, mean, any_ in zip(trained, means, told.tolist(), strict=True):
            p.grad = mean.view_as(p) if any_ else None

    def _report(self, parts: dict[str, float], writer: SummaryWriter, began: float, first: int) -> None:
        spent = time.monotonic() - began
        pace = spent / max(1, self.step - first)
        left = pace * (self.config.steps - self.step)
        self.losses[self.step] = parts["loss"]
        for name, value in parts.items():
            writer.add_scalar(f"train/{name}", value, self.step)
        text = "  ".join(f"{name} {value:.4g}" for name, value in parts.items())
        # A pool larger than the memory that is free makes every step wait for the disk, unnoticed.
        waited = f", {self.waited / spent:.0%} waiting for data" if self.waited > NOTABLE * spent else ""
        self.log(f"step {self.step}/{self.config.steps}  {text}  {pace:.2f} s/step{waited}, {left / 60:.0f} min left")

    def _score(self, writer: SummaryWriter) -> None:
        module = self.stage.module
        self.ema.swap(module)
        module.eval()
        # Songs have other lengths than batches: to compile for each of them takes longer than to run it.
        with torch.no_grad(), torch.compiler.set_stance("force_eager"):
            scores = self.stage.score()
            self.stage.picture(self.folder / f"step{self.step:06d}.png")
            self.stage.sample(self.folder / f"step{self.step:06d}.flac")
        for name, value in scores.items():
            writer.add_scalar(f"valid/{name}", value, self.step)
        chosen = scores["score"] >= self.best
        if chosen:
            self.best = scores["score"]
            save_weights(self.folder / BEST, module)
        self.ema.swap(module)
        text = "  ".join(f"{name} {value:.3f}" for name, value in scores.items())
        self.log(f"valid {self.step}/{self.config.steps}  {text}{'  (best so far)' if chosen else ''}")

    def _optimizers(self) -> list[torch.optim.Optimizer]:
        c = self.config
        module = self.stage.module.to(self.device)
        for part in c.rates:
            if not any(name.startswith(f"{part}.") for name, _ in module.named_parameters()):
                raise OptionError(f"no part of the net is called '{part}', as the recipe's rates say; leave it out.")
        matrices, others = (
            split_parameters(module) if c.muon else ([], [p for p in module.parameters() if p.requires_grad])
        )
        found: list[torch.optim.Optimizer] = []
        if matrices:
            dtype = training_dtype(c.precision, self.device)
            groups = rate_groups(module, matrices, c.rates)
            found.append(Muon(groups, c.lr, weight_decay=c.weight_decay, dtype=dtype))
        if others:
            groups = rate_groups(module, others, c.rates)
            found.append(torch.optim.AdamW(groups, c.lr, betas=(0.9, 0.98), weight_decay=c.weight_decay, fused=True))
        return found

    def _state(self) -> dict[str, Any]:
        return {
            "step": self.step,
            "best": self.best,
            "judge": self.judge,
            "losses": self.losses,
            "module": self.stage.module.state_dict(),
            "ema": self.ema.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
        }

    def _resume(self, state: dict[str, Any]) -> None:
        try:
            self.stage.module.load_state_dict(state["module"])
            self.ema.load_state_dict(state["ema"])
            for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
                optimizer.load_state_dict(saved)
        except (RuntimeError, ValueError, KeyError) as error:
            raise OptionError(
                f"'{self.folder / LAST}' is of another recipe; give another --out, or delete it to begin anew."
            ) from error
        self.step, self.best, self.losses = state["step"], state["best"], state["losses"]
        self.log(f"going on from step {self.step}, best score {self.best:.3f}")
        if (before := state.get("judge", self.judge)) != self.judge:
            self.log(f"scores were of {before or 'no songs'}, from here on of {self.judge or 'none'}: the best is open")
            self.best = -float("inf")
