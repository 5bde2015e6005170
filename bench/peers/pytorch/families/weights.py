"""Random weights that make every part of a network count, and files of them."""

import json
import math
import re
from pathlib import Path

from libraries import torch
from safetensors.torch import save_file

#: A factor per channel on a branch, by the names of timm, transformers and the authors.
LAYER_SCALE = re.compile(r"(gamma(_[12])?|lambda1)$")
#: Tables that are added to tokens as they are.
ADDED = re.compile(r"(pos_embed|position\w*_embeddings?|cls_token|class_embedding|reg\w*_tokens?)(\.weight)?$")
#: Learned queries of a pooling head.
QUERY = re.compile(r"(probe|latent)$")
#: Scalars with a meaning of their own.
KEPT = re.compile(r"(logit_scale|logit_bias|temperature)$")


@torch.no_grad()
def randomise(model, seed):
    """Draws all parameters anew: norms around 1, biases and LayerScale not small, products of about
    unit size. They are exact in float16, so that files in either format hold the same numbers.

    Published initialisations would hide mistakes: their biases are 0, their norms 1, LayerScale 1e-5.
    """
    random = torch.Generator().manual_seed(seed)

    def normal(parameter, mean, deviation):
        parameter.normal_(mean, deviation, generator=random)

    norms = {
        f"{name}.{part}": part
        for name, module in model.named_modules()
        if "Norm" in type(module).__name__
        for part, _ in module.named_parameters(recurse=False)
    }
    for name, parameter in model.named_parameters():
        if KEPT.search(name):
            pass
        elif LAYER_SCALE.search(name):
            normal(parameter, 0.8, 0.2)
        elif norms.get(name) == "weight":
            normal(parameter, 1.0, 0.2)
        elif norms.get(name) == "bias" or (parameter.ndim == 1 and name.endswith("bias")):
            normal(parameter, 0.0, 0.2)
        elif ADDED.search(name):
            normal(parameter, 0.0, 0.5)
        elif QUERY.search(name):
            normal(parameter, 0.0, 1.0)
        elif "token_embedding" in name:
            normal(parameter, 0.0, 0.5)
        elif parameter.ndim >= 2:
            normal(parameter, 0.0, 1.2 / math.sqrt(parameter[0].numel()))
        else:
            normal(parameter, 0.0, 0.2)
        parameter.copy_(parameter.half().float())
    return model.eval()


def save_tensors(tensors, path, dtype):
    """A safetensors file with floats in `dtype`."""
    stored = {
        name: tensor.detach().to(dtype if tensor.is_floating_point() else tensor.dtype).clone().contiguous()
        for name, tensor in tensors.items()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(stored, str(path), metadata={"format": "pt"})


def save_json(value, path):
    Path(path).write_text(json.dumps(value, indent=2) + "\n")
