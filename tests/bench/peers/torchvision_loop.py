"""The loop of torchvision's documentation: a picture at a time through MobileNetV2.

python torchvision_loop.py CHECKPOINT PICTURE_OR_FOLDER...
"""

import sys
from pathlib import Path

import torch
import torchvision
from PIL import Image

weights = torchvision.models.get_model_weights("mobilenet_v2").DEFAULT
model = torchvision.models.mobilenet_v2().eval()
model.load_state_dict(torch.load(sys.argv[1], weights_only=True))
transform = weights.transforms()
with torch.inference_mode():
    for name in map(Path, sys.argv[2:]):
        for path in sorted(name.iterdir()) if name.is_dir() else [name]:
            scores = model(transform(Image.open(path).convert("RGB"))[None]).softmax(1)[0]
            print(path, weights.meta["categories"][int(scores.argmax())])
