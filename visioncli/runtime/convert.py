"""From a torch module to OpenVINO's own form, once; checked against torch before it is kept."""

from __future__ import annotations

import io
import re
import tempfile
import warnings
import xml.etree.ElementTree as ET
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from visioncli.models import Array, Network, Origin
from visioncli.runtime._openvino import core, openvino
from visioncli.runtime.openvino_runtime import UnfitError

# Traced on one picture, checked on another: a height or width that was baked in shows. Both are thin: that
# is quick, and keeps 640 pixels in one direction.
TRACED, CHECKED = (96, 320), (320, 128)
# Of the largest value of an output. 1e-5 is usual, but there are networks that magnify rounding; what is
# baked in makes for about all of it.
MOST_APART = 0.02


def convert(network: Network, origin: Origin) -> bytes:
    """The network in OpenVINO's form, of any batch size and, unless `fixed`, any height and width.

    An archive of `network.xml` and `network.bin`, fp32. Imports torch, unless the network has a `graph`.
    Raises UnfitError.
    """
    if network.graph is not None:
        return _packed(network.graph(), network)
    import torch

    module = network.build()
    try:
        example = origin.example(_picture(*TRACED))
        with torch.inference_mode(False), torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what tracing would bake in is found by the check below
            traced = torch.jit.trace(  # type: ignore[no-untyped-call]
                module, tuple(map(torch.from_numpy, example)), check_trace=False, strict=False
            )
            model = _of_traced(traced, example, network)
        check = origin.example(_picture(*CHECKED))
        check = tuple(np.concatenate([a, a[:, ::-1]]) for a in check)  # two pictures, unlike each other
        with torch.inference_mode():
            wanted = [o.numpy() for o in module(*map(torch.from_numpy, check))]
        _compare(model, check, wanted, network.ranked)
    except UnfitError:
        raise
    except Exception as error:  # the converter raises nearly anything
        reason = [line for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
        raise UnfitError(f"this network does not convert: {reason[-1].strip()}") from error
    return _packed(model, network)


def _picture(height: int, width: int) -> Array:
    """(H, W, 3) patches of colour: nearer to what networks are used to than noise, where they explode."""
    patches = np.random.default_rng(0).integers(0, 256, (height // 32, width // 32, 3), np.uint8)
    return patches.repeat(32, 0).repeat(32, 1)


def _of_traced(traced: Any, example: Sequence[Array], network: Network) -> Any:
    """Through the front end itself: `convert_model` does the same, and would report that it did."""
    ov = openvino()
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    front_end = FrontEndManager().load_by_framework("pytorch")
    decoder = TorchScriptPythonDecoder(traced)  # must outlive the conversion
    model = front_end.convert(front_end.load(decoder))
    for parameter, array in zip(model.get_parameters(), example, strict=True):
        parameter.set_element_type(ov.Type(array.dtype))
        parameter.set_partial_shape(ov.PartialShape(_free(array.shape, network.fixed)))
    model.validate_nodes_and_infer_types()
    return model


def _free(shape: Sequence[int], fixed: bool) -> list[int]:
    """A shape with its batch size open and, unless `fixed`, what is neither that nor the 3 channels."""
    return [-1 if i == 0 or not (fixed or side == 3) else side for i, side in enumerate(shape)]


def _compare(model: Any, inputs: Sequence[Array], wanted: Sequence[Array], ranked: bool) -> None:
    compiled = core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    got = list(compiled(list(inputs)).values())
    for one, other in zip(got, wanted, strict=True):
        if one.shape != other.shape:
            raise UnfitError(f"this network does not convert: {one.shape} comes out, not {other.shape}")
        apart = float(np.abs(one.astype(np.float64) - other).max(initial=0))
        if not apart <= MOST_APART * max(float(np.abs(other).max(initial=0)), 1):
            raise UnfitError(f"this network does not convert: its outputs are {apart:.2g} off")
        if ranked:  # the others say what is at each rank, and where scores are equal chance decides
            return


def _packed(model: Any, network: Network) -> bytes:
    with tempfile.TemporaryDirectory(prefix="vision-") as folder:
        xml = Path(folder) / "network.xml"
        openvino().save_model(model, xml, compress_to_fp16=False)
        if network.precise:
            _mark(xml, network.precise)
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as archive:  # stored, not compressed
            archive.write(xml, "network.xml")
            archive.write(xml.with_suffix(".bin"), "network.bin")
        return out.getvalue()


def _mark(xml: Path, pattern: str) -> None:
    """Have the layers whose module's name fits `pattern` computed in fp32 whatever the rest is computed in.

    By an attribute that the CPU plugin heeds; from Python it can be set in the file only.
    """
    tree = ET.parse(xml)
    layers = tree.find("layers")
    assert layers is not None
    for layer in layers:
        if re.search(pattern, layer.get("name", "")) and layer.get("type") not in ("Const", "Parameter"):
            info = layer.find("rt_info")
            if info is None:
                info = ET.Element("rt_info")
                layer.insert(0, info)
            ET.SubElement(info, "attribute", name="precise", version="0")
    tree.write(xml)


def unpacked(archive: bytes) -> tuple[bytes, bytes]:
    """What `convert` made, as `Core.read_model` takes it: the XML and the weights."""
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        return opened.read("network.xml"), opened.read("network.bin")
