"""Training: it learns, a resumed run is the run, what is exported is what was trained."""

import argparse
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from visioncli.models.mini_net import MiniNet, Unit, folded_state, load_mini
from visioncli.registry.header import metadata
from visioncli.train.mini.export import LIMIT, chosen, export
from visioncli.train.mini.start import fresh
from visioncli.train.mini.train import Run, batches, parser, train


def options(packed: Path, out: Path, **more: object) -> argparse.Namespace:
    args = parser().parse_args([])
    args.folder, args.out, args.scratch, args.workers, args.threads = packed, out, True, 0, 1
    args.size, args.batch, args.crops, args.warm, args.show, args.save_every = 96, 2, 1, 4, 2, 1e9
    args.steps, args.fall = 4, 0.0
    vars(args).update(more)
    args.stop = getattr(args, "stop", args.steps)
    return args


def test_outputs_of_each_task_and_of_all() -> None:
    x = torch.rand(1, 3, 64, 96)
    net = MiniNet().eval()
    shapes = {"classify": [(1, 1000)], "detect": [(1, 64, 126), (1, 80, 126)], "segment": [(1, 21, 16, 24)]}
    with torch.inference_mode():
        everything = net(x)
        assert [tuple(o.shape) for o in everything] == [s for shape in shapes.values() for s in shape]
        for task, want in shapes.items():
            one = MiniNet((task,)).eval()
            one.load_state_dict({k: v for k, v in net.state_dict().items() if k in one.state_dict()})
            assert [tuple(o.shape) for o in one(x)] == want
            assert any(torch.equal(one(x)[0], o) for o in everything)


def test_no_or_unknown_tasks_are_refused() -> None:
    for tasks in ((), ("fly",)):
        with pytest.raises(ValueError, match="tasks"):
            MiniNet(tasks)


def test_folding_and_freezing_change_nothing() -> None:
    net = fresh(None).eval()
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.uniform_(-0.2, 0.2)
            module.running_var.uniform_(0.5, 2)
    x = torch.rand(1, 3, 64, 64)
    folded = MiniNet().eval()
    folded.load_state_dict(folded_state(net))
    with torch.inference_mode():
        want = net(x)
        for a, b in zip(want, folded(x), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-3)
        for module in net.modules():
            if isinstance(module, Unit):
                module.frozen = True
        for a, b in zip(want, net(x), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-3)


def test_a_resumed_run_is_the_run(packed: Path, tmp_path: Path) -> None:
    whole = options(packed, tmp_path / "whole")
    train(whole)
    train(options(packed, tmp_path / "half", stop=2))
    train(options(packed, tmp_path / "half"))
    a, b = (torch.load(tmp_path / n / "last.pt", weights_only=True) for n in ("whole", "half"))
    assert a["step"] == b["step"] == 4
    for part in ("net", "average"):
        for k, v in a[part].items():
            torch.testing.assert_close(v, b[part][k], rtol=0, atol=0, msg=k)


def test_export_is_the_average(packed: Path, tmp_path: Path) -> None:
    run = Run(options(packed, tmp_path))
    run.prepare()
    run.train_step(next(iter(batches(run.args, 0))))
    run.save(tmp_path / "last.pt")
    x = torch.rand(1, 3, 64, 64)
    for norms in (False, True):
        size = export(tmp_path / "last.pt", tmp_path / "mini.safetensors", norms=norms)
        assert size == (tmp_path / "mini.safetensors").stat().st_size <= LIMIT
        with torch.inference_mode():
            for a, b in zip(run.averaged()(x), load_mini(tmp_path / "mini.safetensors")(x), strict=True):
                assert float((a - b).abs().max()) < 0.02 * float(a.abs().max()) + 0.02
    again = Run(options(packed, tmp_path))
    again.begin(tmp_path / "mini.safetensors")  # the one with norms
    for name, value in run.average.state.items():
        torch.testing.assert_close(again.net.state_dict()[name], value, rtol=1e-3, atol=1e-3)
        torch.testing.assert_close(again.average.state[name], value, rtol=1e-3, atol=1e-3)
    export(tmp_path / "last.pt", tmp_path / "folded.safetensors")
    with pytest.raises(ValueError, match="norms"):
        again.begin(tmp_path / "folded.safetensors")


def test_export_says_what_it_answers(packed: Path, tmp_path: Path) -> None:
    """What it says is in the file, and what was exported can be made to say something else."""
    run = Run(options(packed, tmp_path))
    run.save(tmp_path / "last.pt")
    first, second = tmp_path / "first.safetensors", tmp_path / "second.safetensors"
    export(tmp_path / "last.pt", first, norms=True, answers={"detects": chosen(" car,person", "coco")})
    export(first, second, answers={"segments": "__background__,cat"})
    assert metadata(first) == {"network": "mini", "step": "0", "detects": "person,car"}
    assert metadata(second) == {**metadata(first), "segments": "__background__,cat"}
    x = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        for a, b in zip(load_mini(first)(x), load_mini(second)(x), strict=True):
            torch.testing.assert_close(a, b, rtol=0.02, atol=0.02)
    with pytest.raises(ValueError, match="not a label of coco: cra"):
        chosen("person,cra", "coco")


def test_export_refuses_what_half_precision_cannot_hold(packed: Path, tmp_path: Path) -> None:
    run = Run(options(packed, tmp_path))
    run.average.state["classify.last.bias"].fill_(1e6)
    run.save(tmp_path / "last.pt")
    with pytest.raises(ValueError, match="half precision"):
        export(tmp_path / "last.pt", tmp_path / "mini.safetensors")
    assert not (tmp_path / "mini.safetensors").exists()


def test_held_stages_stay(packed: Path, tmp_path: Path) -> None:
    run = Run(options(packed, tmp_path, hold=2))
    run.prepare()
    before = {k: v.clone() for k, v in run.net.state_dict().items()}
    run.train_step(next(iter(batches(run.args, 0))))
    changed = {k for k, v in run.net.state_dict().items() if not torch.equal(v, before[k])}
    assert not any(k.startswith(("body.stem", "body.stages.0.", "body.stages.1.")) for k in changed)
    assert any(k.startswith("body.stages.2.") for k in changed) and any(
        k.startswith("detect") for k in changed
    )
    assert not any("running" in k for k in changed if k.startswith("body"))


def test_options_may_change_from_run_to_run(packed: Path, tmp_path: Path) -> None:
    Run(options(packed, tmp_path, body_lr=0.5)).save(tmp_path / "last.pt")
    run = Run(options(packed, tmp_path, body_lr=0.1))
    run.load(tmp_path / "last.pt")
    assert {g["share"] for g in run.optimiser.param_groups} == {0.1, 1.0}


def test_pull_moves_body_and_average_towards_the_start(
    packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(options(packed, tmp_path))
    start = {"body.stem.conv.weight": torch.ones(32, 3, 3, 3)}
    monkeypatch.setattr("visioncli.train.mini.train.load_start", lambda folder: start)
    before = run.net.body.stem.conv.weight.detach().clone()
    neck = run.net.neck.lateral[0].conv.weight.detach().clone()
    run.pull(0.25)
    want = before * 0.75 + 0.25
    torch.testing.assert_close(run.net.body.stem.conv.weight.detach(), want)
    torch.testing.assert_close(run.average.state["body.stem.conv.weight"], want)
    assert torch.equal(run.net.neck.lateral[0].conv.weight, neck)


@pytest.mark.slow
def test_it_learns_two_pictures(packed: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    run = Run(options(packed, tmp_path, steps=60, lr=2e-3, body_lr=1.0))
    run.prepare()
    batch = next(iter(batches(run.args, 0)))
    losses = [sum(run.train_step(batch).values()) for _ in range(60)]
    assert np.mean(losses[-5:]) < 0.5 * np.mean(losses[:5])


@pytest.mark.slow
def test_a_team_stops_together_and_goes_on(packed: Path, tmp_path: Path) -> None:
    out = tmp_path / "team"
    command = [sys.executable, "-m", "visioncli.train.mini.train", "--folder", str(packed), "--out", str(out)]
    command += [
        "--size=96",
        "--batch=2",
        "--crops=2",
        "--workers=0",
        "--threads=1",
        "--processes=2",
        "--show=1",
    ]
    command += ["--scratch", "--passes=1000", "--show=1"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("step 3/"):
            break
    process.terminate()
    rest, _ = process.communicate(timeout=60)
    assert process.returncode == 0 and "stopped at step" in rest
    step = torch.load(out / "last.pt", weights_only=True)["step"]
    assert step >= 3
    command += ["--until", str((step + 2) / 18)]  # a pass is twelve photographs, shown three times, in twos
    again = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert again.returncode == 0 and f"from step {step}" in again.stdout
    assert torch.load(out / "last.pt", weights_only=True)["step"] > step
