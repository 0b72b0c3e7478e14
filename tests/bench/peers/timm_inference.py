"""What timm's inference script does on a CPU, which its package does not carry: a folder in, a CSV out.

Batches of 256, two processes that load, the best label of each: its defaults. Weights are random ones, which
takes as long.

    python timm_inference.py FOLDER OUT.csv
"""

import csv
import sys

import timm
import torch
from timm.data import ImageNetInfo, create_dataset, create_loader, resolve_data_config

MODEL = "mobilenetv2_100"


def main(folder: str, out: str) -> None:
    torch.manual_seed(0)
    model = timm.create_model(MODEL).eval()
    dataset = create_dataset("", root=folder)
    loader = create_loader(
        dataset,
        batch_size=256,
        num_workers=2,
        device=torch.device("cpu"),
        **resolve_data_config(model=model),
    )
    labels = ImageNetInfo()
    rows = []
    with torch.inference_mode():
        for pictures, _ in loader:
            scores, classes = model(pictures).softmax(-1).topk(1)
            rows += zip(classes[:, 0].tolist(), scores[:, 0].tolist(), strict=True)
    with open(out, "w", newline="", encoding="utf-8") as file:  # noqa: PTH123
        writer = csv.writer(file)
        writer.writerow(("filename", "label", "prob"))
        for name, (number, score) in zip(dataset.filenames(basename=True), rows, strict=True):
            writer.writerow((name, labels.index_to_description(number), score))


if __name__ == "__main__":
    main(*sys.argv[1:])
