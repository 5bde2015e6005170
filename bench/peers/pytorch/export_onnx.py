"""Writes the image tower of a checkpoint as an ONNX file with a free batch size.

    python export_onnx.py CHECKPOINT.safetensors HEADS OUT.onnx
"""

import os
import sys

import torch
from clip import Clip


class ImageTower(torch.nn.Module):
    def __init__(self, path, heads):
        super().__init__()
        self.clip = Clip(path, torch.float32, heads, text_heads=0)

    def forward(self, images):
        return self.clip.encode_image(images)


checkpoint, heads, out = sys.argv[1:]
with torch.no_grad():
    torch.onnx.export(
        ImageTower(checkpoint, int(heads)).eval(),
        (torch.zeros(2, 3, 224, 224),),
        out + ".part",
        dynamo=False,
        opset_version=18,
        input_names=["images"],
        output_names=["features"],
        dynamic_axes={"images": {0: "batch"}, "features": {0: "batch"}},
    )
os.replace(out + ".part", out)
