"""Training in several processes: each takes a part of every batch, all make the same step.

On a CPU that others use too, two processes of one thread each get twice the work done of one process with two
threads, whose threads wait for each other at every operation.
"""

from __future__ import annotations

import signal
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import nn


@dataclass(frozen=True)
class Team:
    """This process's place among `size`; the first one writes."""

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this process keeps the average, writes and measures."""
        return self.rank == 0

    def agree(self, net: nn.Module, stop: bool) -> bool:
        """Average the gradients over the team; returns whether any member wants to stop."""
        if self.size == 1:
            return stop
        grads = [p.grad for p in net.parameters() if p.grad is not None]
        flat = torch.cat([g.flatten() for g in grads] + [torch.tensor([float(stop)])])
        dist.all_reduce(flat)
        flat /= self.size
        start = 0
        for g in grads:
            g.copy_(flat[start : start + g.numel()].view(g.shape))
            start += g.numel()
        return bool(flat[-1] > 0)


def run(size: int, work: Callable[[Any, Team], None], args: Any) -> None:
    """Do `work(args, team)` in `size` processes; SIGTERM and Ctrl-C reach all of them."""
    if size == 1:
        work(args, Team())
        return
    with tempfile.TemporaryDirectory() as folder:
        context = torch.multiprocessing.get_context("spawn")
        members = [
            context.Process(target=_member, args=(rank, size, work, args, Path(folder) / "meet"))
            for rank in range(size)
        ]
        for member in members:
            member.start()

        def pass_on(number: int, frame: Any) -> None:
            for member in members:
                member.terminate()

        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, pass_on)
        for member in members:
            member.join()
    if any(member.exitcode for member in members):
        raise SystemExit(1)


def _member(rank: int, size: int, work: Callable[[Any, Team], None], args: Any, meet: Path) -> None:
    torch.set_num_threads(args.threads)
    dist.init_process_group("gloo", init_method=f"file://{meet}", rank=rank, world_size=size)
    work(args, Team(rank, size))
    dist.destroy_process_group()
