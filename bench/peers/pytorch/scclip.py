"""SC-CLIP's patch features (arXiv:2411.15869) of windows, one after the other, every step on its own.

Each window keeps its whole [N, N] matrices; blocks are counted from 1, numbers are those of ViT-B/16.
"""

import torch
import torch.nn.functional as F

MIDDLE, EARLY, FIRST, LAST = 9, 4, 4, 10
CLASS_WEIGHT, THRESHOLD, GAIN = 0.3, 0.4, 3
NEIGHBOURS, SHARE = 30, 0.05


def anomalous(x):
    """Indices of tokens with a high local outlier factor; x [N, D]."""
    distance = torch.cdist(x, x).square()
    near, index = distance.topk(NEIGHBOURS + 1, largest=False)
    near, index = near[:, 1:], index[:, 1:]
    density = NEIGHBOURS / near[:, -1:].expand_as(near).sum(dim=1)
    score = density[index].mean(dim=1) / density
    return (score > torch.quantile(score, 1 - SHARE)).nonzero().flatten().tolist()


def repaired(x, positions, height, width):
    """Each of the positions becomes the mean of its neighbours that are none of them."""
    out, bad = x.clone(), set(positions)
    for i in positions:
        row, column = divmod(i, width)
        around = [
            y * width + z
            for y in range(max(row - 1, 0), min(row + 2, height))
            for z in range(max(column - 1, 0), min(column + 2, width))
            if y * width + z not in bad
        ]
        if around:
            out[i] = x[around].mean(dim=0)
    return out


def similarity(x):
    unit = F.normalize(x, dim=-1)
    return unit @ unit.T


def averaged(x, weights):
    weights = torch.where(weights < THRESHOLD, torch.zeros_like(weights), weights)
    return weights / (weights.sum(dim=-1, keepdim=True) + 1e-6) @ x


def last_attention(model, x, cls, similar):
    block = model.blocks[-1]
    shifted = GAIN * (similar - similar.mean())
    shifted[shifted < 0] = float("-inf")
    _, k, v = model.qkv(model.norm(x[None], block + ".ln_1"), block, model.heads)
    own = (k * k.shape[-1] ** -0.5 @ k.transpose(-1, -2)).softmax(dim=-1)
    weights = (shifted.softmax(dim=-1) + own) / 2
    return model.out(weights @ v, block)[0] + CLASS_WEIGHT * cls


def encode_window(model, image):
    """[1, 3, H, W] -> [E, h, w], of unit length."""
    height, width = (side // model.patch for side in image.shape[-2:])
    x = model.embed(image)
    kept = {}
    for number, block in enumerate(model.blocks[:-1], start=1):
        x = model.block(x, block, model.heads)
        kept[number] = x[0]
    cls, tokens = x[0, 0], x[0, 1:]
    positions = anomalous(tokens.float())
    middle = similarity(repaired(kept[MIDDLE][1:], positions, height, width))
    early = similarity(kept[EARLY][1:])
    tokens = averaged(repaired(tokens, positions, height, width), middle)
    first = averaged(last_attention(model, tokens, cls, middle), early)
    fused = torch.stack([kept[i] for i in range(FIRST, LAST + 1)]).sum(dim=0)
    second = averaged(last_attention(model, fused[1:], fused[0], middle), early)
    out = F.normalize(model.finish((first + second)[None])[0].float(), dim=-1)
    return out.T.unflatten(1, (height, width))


def encode(model, images):
    """[B, 3, H, W] -> [B, h, w, E]."""
    return torch.stack([encode_window(model, one[None]).permute(1, 2, 0) for one in images])
