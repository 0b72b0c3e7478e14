"""The exact names that a checkpoint may mention, and nothing else (see `checkpoints`)."""

from __future__ import annotations

# Found by building and pickling every YAML of ultralytics 8.4, but for open-vocabulary networks and
# `TorchVision`, which fetches from the network; and what older releases and training leave in a file.
_LISTED = """
torch.nn.modules.activation: GELU Hardswish LeakyReLU MultiheadAttention ReLU ReLU6 SiLU Sigmoid Tanh
torch.nn.modules.batchnorm: BatchNorm1d BatchNorm2d
torch.nn.modules.container: ModuleDict ModuleList Sequential
torch.nn.modules.conv: Conv1d Conv2d ConvTranspose2d
torch.nn.modules.dropout: Dropout Dropout2d
torch.nn.modules.flatten: Flatten
torch.nn.modules.linear: Identity Linear NonDynamicallyQuantizableLinear
torch.nn.modules.loss: BCEWithLogitsLoss CrossEntropyLoss
torch.nn.modules.normalization: GroupNorm LayerNorm
torch.nn.modules.padding: ZeroPad2d
torch.nn.modules.pooling: AdaptiveAvgPool2d AvgPool2d MaxPool2d
torch.nn.modules.sparse: Embedding
torch.nn.modules.upsampling: Upsample
ultralytics.nn.modules.block: A2C2f AAttn ABlock AConv ADown Attention Bottleneck BottleneckCSP C1 C2 C2PSA
ultralytics.nn.modules.block: C2f C2fCIB C2fPSA C3 C3Ghost C3k C3k2 C3x CBFuse CBLinear CIB DFL ELAN1
ultralytics.nn.modules.block: GhostBottleneck HGBlock HGStem PSA PSABlock Proto Proto26 RealNVP
ultralytics.nn.modules.block: RepBottleneck RepC3 RepCSP RepNCSPELAN4 RepVGGDW ResNetBlock ResNetLayer SCDown
ultralytics.nn.modules.block: SPP SPPELAN
ultralytics.nn.modules.block: SPPF
ultralytics.nn.modules.conv: CBAM ChannelAttention Concat Conv Conv2 ConvTranspose DWConv DWConvTranspose2d
ultralytics.nn.modules.conv: Focus GhostConv LightConv RepConv SpatialAttention
ultralytics.nn.modules.head: Classify Depth Detect OBB OBB26 Pose Pose26 RTDETRDecoder Segment Segment26
ultralytics.nn.modules.head: SemanticSegment v10Detect
ultralytics.nn.modules.transformer: AIFI DeformableTransformerDecoder DeformableTransformerDecoderLayer
ultralytics.nn.modules.transformer: LayerNorm2d MLP MLPBlock MSDeformAttn TransformerBlock
ultralytics.nn.modules.transformer: TransformerEncoderLayer TransformerLayer
ultralytics.nn.tasks: ClassificationModel DepthModel DetectionModel OBBModel PoseModel RTDETRDetectionModel
ultralytics.nn.tasks: SegmentationModel SemanticSegmentationModel
ultralytics.utils: IterableSimpleNamespace
ultralytics.utils.loss: BCEDiceLoss BboxLoss DFLoss E2EDetectLoss E2ELoss MultiChannelDiceLoss SegmentLoss26
ultralytics.utils.loss: v8ClassificationLoss v8DetectionLoss v8SegmentationLoss
ultralytics.utils.tal: SegTaskAlignedAssigner TaskAlignedAssigner
"""
_DTYPES = "bfloat16 bool float16 float32 float64 int8 int16 int32 int64 uint8"
_STORAGES = "BFloat16 Bool Byte Char Double Float Half Int Long Short"
_NUMPY = "Bool Float16 Float32 Float64 Int8 Int16 Int32 Int64 UInt8"


def _classes() -> dict[str, str]:
    classes: dict[str, str] = {}
    for line in _LISTED.strip().splitlines():
        module, _, names = line.partition(": ")
        classes |= {f"{module}.{name}": f"{module}.{name}" for name in names.split()}
    one_file = {  # until 8.0.105 one file held all modules
        f"ultralytics.nn.modules.{name.rpartition('.')[2]}": name
        for name in classes
        if name.startswith("ultralytics.nn.modules.")
    }
    return {
        **classes,
        **one_file,
        "ultralytics.nn.modules.block.Silence": "torch.nn.modules.linear.Identity",
        "ultralytics.nn.tasks.YOLOv10DetectionModel": "ultralytics.nn.tasks.DetectionModel",
        "ultralytics.utils.loss.v10DetectLoss": "ultralytics.utils.loss.E2EDetectLoss",
        "ultralytics.yolo.utils.IterableSimpleNamespace": "ultralytics.utils.IterableSimpleNamespace",
        "ultralytics.yolo.utils.loss.v8DetectionLoss": "ultralytics.utils.loss.v8DetectionLoss",
    }


CLASSES = _classes()
"""The name in the file -> where the class is now. Only empty instances of these are made."""

PLAIN = frozenset(
    [f"torch.{name}Storage" for name in _STORAGES.split()]
    + [f"torch.{name}" for name in _DTYPES.split()]
    + [f"torch._utils._rebuild_{kind}" for kind in ("parameter", "tensor", "tensor_v2")]
    + ["torch.Size", "torch.Tensor", "torch.device", "torch.nn.parameter.Parameter"]
    + ["torch.storage.UntypedStorage", "collections.OrderedDict"]
    + ["builtins.set", "builtins.dict"]
)
"""What torch's own interpreter makes by itself: tensors, their parts, plain containers."""

TRANSFORMS = (
    "torchvision.transforms.functional.InterpolationMode",
    "torchvision.transforms.transforms.CenterCrop",
    "torchvision.transforms.transforms.Compose",
    "torchvision.transforms.transforms.Normalize",
    "torchvision.transforms.transforms.Resize",
    "torchvision.transforms.transforms.ToTensor",
)
"""How a classifier was fed in training: kept as plain objects that remember their numbers."""

GETATTR = "builtins.getattr"
"""How pickles spell `Detect.forward` and `InterpolationMode.BILINEAR`: only such are given."""

SCALARS = ("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar")
DTYPES = ("numpy.dtype", *(f"numpy.dtypes.{name}DType" for name in _NUMPY.split()))
PATHS = tuple(f"{m}.{kind}Path" for m in ("pathlib", "pathlib._local") for kind in ("", "Posix", "Windows"))
"""Figures and paths that training records beside the network."""
