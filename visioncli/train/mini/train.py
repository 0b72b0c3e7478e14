"""Step 5: train. Stops and goes on at any time; checkpoints hold everything that the next step depends on.

    python -m visioncli.train.mini.train --out build/mini/run --passes 40

Learning rates warm up, stay, and fall to nothing over the last `--fall` of the steps (so a run can be
lengthened as long as it has not begun to fall). The moving average of the weights is what is evaluated and
shipped.
"""

from __future__ import annotations

import argparse
import csv
import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.utils.data import DataLoader

from visioncli.models.mini_net import MiniNet, Unit, load_state
from visioncli.train.mini.data import Batch, Batches, Recipe, Source
from visioncli.train.mini.depthwise import depthwise
from visioncli.train.mini.losses import answer_loss, detection_loss, mask_loss
from visioncli.train.mini.start import fresh, load_start
from visioncli.train.mini.team import Team
from visioncli.train.mini.team import run as run_team

ALONE = Team()
PARTS = ("box", "cls", "dfl", "mask", "answer")


class Average:
    """The moving average of a network's state; its memory grows with the run's age up to `decay`."""

    def __init__(self, net: nn.Module, decay: float) -> None:
        self.decay = decay
        self.state = {k: v.detach().clone() for k, v in net.state_dict().items()}

    def update(self, net: nn.Module, step: int) -> None:
        """Take in the network after step `step`."""
        d = min(self.decay, (1 + step) / (20 + step))
        with torch.no_grad():
            for k, v in net.state_dict().items():
                if v.is_floating_point():
                    self.state[k].lerp_(v, 1 - d)
                else:
                    self.state[k].copy_(v)


class Run:
    """Network, average and optimiser, and one step of training."""

    def __init__(self, args: argparse.Namespace, team: Team = ALONE) -> None:
        self.args, self.team, self.stopped = args, team, False
        self.device = torch.device(args.device)
        self.net = (
            fresh(None if args.scratch else args.packages, seed=args.seed)
            .to(self.device)
            .to(memory_format=torch.channels_last)
        )
        self.step = 0
        self.optimiser = torch.optim.AdamW(self._groups(), lr=args.lr, betas=(0.9, 0.99))
        self.average = Average(self.net, args.decay)

    def _groups(self) -> list[dict[str, Any]]:
        """Body and ImageNet head learn more slowly than what starts from nothing; norms do not decay."""
        groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
        for name, p in self.net.named_parameters():
            groups.setdefault((name.startswith(("body", "classify")), p.ndim > 1), []).append(p)
        return [
            {
                "params": params,
                "share": self.args.body_lr if slow else 1.0,
                "weight_decay": self.args.weight_decay if decays else 0.0,
            }
            for (slow, decays), params in groups.items()
        ]

    def prepare(self) -> None:
        """Training mode: the body's norms keep their statistics, its first stages are left as they are."""
        self.net.train()
        for module in [*self.net.body.modules(), *self.net.classify.modules()]:
            if isinstance(module, Unit):
                module.frozen = True
        held = [self.net.body.stem, *self.net.body.stages[: self.args.hold]] if self.args.hold >= 0 else []
        for p in self.net.parameters():
            p.requires_grad = True
        for module in held:
            for p in module.parameters():
                p.requires_grad = False
        for module in self.net.modules():
            if isinstance(module, Unit):
                module.depthwise = depthwise if self.device.type == "cpu" else None

    def rate(self) -> float:
        """This step's share of the learning rate."""
        steps: int = self.args.steps
        warm: int = self.args.warm
        fall: int = max(1, round(self.args.fall * steps))
        return min(1.0, (self.step + 1) / warm, max(0.0, (steps - self.step) / fall))

    def train_step(self, batch: Batch, stop: bool = False) -> dict[str, float]:
        """One step; returns the parts of the loss. `stop`, here or in the team, sets `stopped`."""
        args, device = self.args, self.device
        for group in self.optimiser.param_groups:
            group["lr"] = args.lr * group["share"] * self.rate()
        x = _pixels(batch.pictures, device)
        parts: dict[str, Tensor] = {}
        with torch.autocast(device.type, torch.bfloat16):
            taps = self.net.body(x)
            maps = self.net.neck(taps[1:])
            sides, logits = self.net.detect(maps)
            mask = self.net.segment(taps[0], maps)
        boxes, ignore = ([r.to(device) for r in rows] for rows in (batch.boxes, batch.ignore))
        parts |= detection_loss(sides, logits, boxes, ignore, (x.shape[2], x.shape[3]))
        parts["mask"] = args.mask_weight * mask_loss(mask, batch.masks.to(device))
        if len(batch.crops):
            with torch.autocast(device.type, torch.bfloat16):
                answers = self.net.classify(self.net.body(_pixels(batch.crops, device))[3])
            parts["answer"] = args.answer_weight * answer_loss(answers, batch.answers.to(device))
        loss = torch.stack(list(parts.values())).sum()
        if not torch.isfinite(loss):
            raise FloatingPointError(f"step {self.step}: the loss is {loss.item()}")
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.stopped = self.team.agree(self.net, stop)
        nn.utils.clip_grad_norm_(self.net.parameters(), args.clip)
        self.optimiser.step()
        if self.team.first:
            self.average.update(self.net, self.step)
        self.step += 1
        return {k: float(v.detach()) for k, v in parts.items()}

    def save(self, path: Path) -> None:
        """Write the checkpoint in one piece."""
        temporary = path.with_suffix(".part")
        torch.save(
            {
                "step": self.step,
                "net": self.net.state_dict(),
                "average": self.average.state,
                "optimiser": self.optimiser.state_dict(),
                "rng": torch.get_rng_state(),
                "args": {k: str(v) if isinstance(v, Path) else v for k, v in vars(self.args).items()},
            },
            temporary,
        )
        temporary.replace(path)

    def load(self, path: Path) -> None:
        """Go on from a checkpoint."""
        state = torch.load(path, map_location=self.device, weights_only=True)
        self.step = state["step"]
        self.net.load_state_dict(state["net"])
        self.average.state = state["average"]
        settings = [{k: v for k, v in g.items() if k != "params"} for g in self.optimiser.param_groups]
        self.optimiser.load_state_dict(state["optimiser"])
        for group, now in zip(self.optimiser.param_groups, settings, strict=True):
            group.update(now)  # the options of this run, not of the one before
        torch.set_rng_state(state["rng"].cpu())

    def begin(self, path: Path) -> None:
        """Start from an export that kept its norms."""
        state = {k: v.float() if v.is_floating_point() else v for k, v in load_file(path).items()}
        for target in (self.net.state_dict(), self.average.state):
            if target.keys() != state.keys():
                raise ValueError(f"{path}: not an export with norms (export --norms)")
            for name, value in state.items():
                target[name].copy_(value)

    def pull(self, share: float) -> None:
        """Move body and ImageNet head `share` of the way back to their start (Wortsman et al. 2022)."""
        start = load_start(self.args.packages)
        for state in (self.net.state_dict(), self.average.state):
            for name, value in start.items():
                if value.is_floating_point():
                    state[name].lerp_(value.to(state[name].device), share)

    def averaged(self) -> MiniNet:
        """The average as a folded network on the CPU, in evaluation mode."""
        net = load_state({k: v.cpu() for k, v in self.average.state.items()})
        return net.to(memory_format=torch.channels_last)


def _pixels(x: Tensor, device: torch.device) -> Tensor:
    from visioncli.models.mini_net import MEAN, STD

    x = x.to(device).contiguous(memory_format=torch.channels_last).float()
    return (x / 255 - MEAN) / STD


def batches(args: argparse.Namespace, step: int, team: Team = ALONE) -> Iterable[Batch]:
    """This member's part of the batches from `step` on, made in `--workers` other processes (0: here)."""
    data = Batches(
        args.folder,
        size=args.size,
        batch=args.batch,
        crops=args.crops,
        step=step,
        steps=args.stop,
        seed=args.seed,
        recipe=Recipe(mosaic=args.mosaic, repeat=args.repeat),
        part=slice(team.rank, None, team.size),
    )
    return DataLoader(
        data, batch_size=None, num_workers=args.workers, prefetch_factor=3 if args.workers else None
    )


def evaluate(run: Run, data: Path, size: int) -> dict[str, float]:
    """The figures of the average on the test data, in bf16."""
    from visioncli.train.mini.evaluate import figures

    with torch.autocast("cpu", torch.bfloat16):
        result = figures(run.averaged(), data, size)
    return {k: v for k, v in result.items() if isinstance(v, float)}


def _log(path: Path, row: dict[str, Any]) -> None:
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, list(row))
        if new:
            writer.writeheader()
        writer.writerow(row)


class Progress:
    """Means of the losses and the speed, a line every `args.show` steps."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.since = self.now = time.monotonic()
        self.sums, self.count, self.wait = dict.fromkeys(PARTS, 0.0), 0, 0.0

    def waited(self) -> None:
        """The next batch is here."""
        self.wait += time.monotonic() - self.now

    def take(self, step: int, parts: dict[str, float], last: bool) -> None:
        """A step is done."""
        self.count += 1
        for k, v in parts.items():
            self.sums[k] += v
        self.now = time.monotonic()
        if self.count < self.args.show and not last:
            return
        means = {k: v / self.count for k, v in self.sums.items()}
        passed = self.now - self.since
        speed = f"{self.count * self.args.batch / passed:.1f} pictures/s, {self.wait / passed:.0%} waiting"
        line = " ".join(f"{k} {v:.3f}" for k, v in means.items())
        print(f"step {step}/{self.args.steps} {line} | {speed}", flush=True)
        _log(self.args.out / "loss.csv", {"step": step, **{k: round(v, 4) for k, v in means.items()}})
        self.since = self.now
        self.sums, self.count, self.wait = dict.fromkeys(PARTS, 0.0), 0, 0.0


def train(args: argparse.Namespace, team: Team = ALONE) -> None:
    """Train until `args.stop`, SIGTERM or Ctrl-C; always leaves a checkpoint."""
    args.out.mkdir(parents=True, exist_ok=True)
    checkpoint = args.out / "last.pt"
    run = Run(args, team)
    if checkpoint.exists():
        run.load(checkpoint)
    elif args.begin:
        run.begin(args.begin)
    if args.pull:
        run.pull(args.pull)
    run.prepare()
    if team.first:
        print(f"from step {run.step} of {args.steps}", flush=True)
    stop: list[int] = []
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda number, _: stop.append(number))
    progress = Progress(args)
    saved = time.monotonic()
    for batch in batches(args, run.step, team):
        progress.waited()
        parts = run.train_step(batch, bool(stop))
        if not team.first:
            if run.stopped:
                return
            continue
        last = run.step == args.stop
        progress.take(run.step, parts, last)
        if last or run.stopped or time.monotonic() - saved > args.save_every:
            run.save(checkpoint)
            saved = time.monotonic()
        if run.stopped:
            print(f"stopped at step {run.step}", flush=True)
            return
        if args.data and (last or run.step % args.check == 0):
            row = evaluate(run, args.data, args.check_size)
            print(f"step {run.step} " + " ".join(f"{k} {v:.3f}" for k, v in row.items()), flush=True)
            _log(args.out / "figures.csv", {"step": run.step, **{k: round(v, 4) for k, v in row.items()}})


def parser() -> argparse.ArgumentParser:
    """The options of training, with the recipe's values."""
    p = argparse.ArgumentParser(description="train mini")
    p.add_argument("--folder", type=Path, default=Path("build/mini"), help="what the steps before wrote")
    p.add_argument("--packages", type=Path, default=Path("build/mini/pkgs"), help="of the start weights")
    p.add_argument("--begin", type=Path, help="begin with an export that kept its norms")
    p.add_argument("--scratch", action="store_true", help="start from random numbers only")
    p.add_argument("--out", type=Path, default=Path("build/mini/run"))
    p.add_argument("--data", type=Path, help="evaluate on this folder of test data every --check steps")
    p.add_argument("--device", default="cpu")
    p.add_argument("--processes", type=int, default=1, help="share each batch out (CPU)")
    p.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="of each process")
    p.add_argument("--workers", type=int, default=1, help="processes of each that make pictures")
    p.add_argument("--passes", type=float, default=40, help="the whole run, for the learning rate")
    p.add_argument("--until", type=float, help="stop after so many passes of it")
    p.add_argument("--size", type=int, default=320, help="long side")
    p.add_argument("--batch", type=int, default=16)
    p.add_argument("--crops", type=int, default=4, help="crops a step that keep the ImageNet head true")
    p.add_argument(
        "--hold", type=int, default=-1, help="leave the stem and this many stages as they are (-1: none)"
    )
    p.add_argument("--lr", type=float, default=1.5e-3)
    p.add_argument(
        "--body-lr", type=float, default=0.05, help="share of the rate for what was trained before"
    )
    p.add_argument("--pull", type=float, default=0.0, help="first move the body so far back to its start")
    p.add_argument("--weight-decay", type=float, default=0.02)
    p.add_argument("--clip", type=float, default=10.0)
    p.add_argument("--warm", type=int, default=200, help="steps")
    p.add_argument("--fall", type=float, default=0.3, help="share of the steps over which the rate falls")
    p.add_argument("--decay", type=float, default=0.998, help="of the moving average")
    p.add_argument("--mosaic", type=float, default=0.4)
    p.add_argument("--repeat", type=int, default=3, help="shows of completely labelled photographs a pass")
    p.add_argument("--mask-weight", type=float, default=1.5)
    p.add_argument("--answer-weight", type=float, default=4.0)
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--show", type=int, default=20)
    p.add_argument("--check", type=int, default=250)
    p.add_argument("--check-size", type=int, default=320)
    p.add_argument("--save-every", type=float, default=240, help="seconds")
    return p


def main() -> None:
    """Command line of this step."""
    args = parser().parse_args()
    torch.set_num_threads(args.threads)
    photos = len(Source(args.folder).rows(args.repeat))
    args.steps = round(args.passes * photos / args.batch)
    args.stop = min(args.steps, round((args.until or args.passes) * photos / args.batch))
    run_team(args.processes, train, args)


if __name__ == "__main__":
    main()
