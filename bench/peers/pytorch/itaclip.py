"""ITACLIP on one photograph (arXiv:2411.12044), step by step as its paper's code runs it.

One pass through the tower per view of a window; the logits of every window are upsampled and added up
in the picture's size; PAMR unfolds all planes.
"""

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from pixels import pamr, slide, upsample

MEAN = torch.tensor([122.771, 116.746, 104.094]).view(1, 3, 1, 1)
STD = torch.tensor([68.501, 66.632, 70.323]).view(1, 3, 1, 1)
MIDDLE_BLOCKS = (7, 8, 10)  # counted from 1


def preprocess(pixels, short_side):
    """uint8 RGB [H, W, 3] -> normalised [1, 3, H', W']."""
    height, width = pixels.shape[:2]
    factor = min(2048 / max(height, width), short_side / min(height, width))
    size = int(width * factor + 0.5), int(height * factor + 0.5)
    resized = cv2.resize(pixels, size, interpolation=cv2.INTER_LINEAR)
    return (torch.from_numpy(resized).permute(2, 0, 1)[None].float() - MEAN) / STD


def self_attention(model, x, block):
    """softmax(q q') + softmax(k k') of a block and its values."""
    q, k, v = model.qkv(model.norm(x, block + ".ln_1"), block, model.heads)
    scale = q.shape[-1] ** -0.5
    weights = (q * scale @ q.transpose(-1, -2)).softmax(dim=-1)
    return weights + (k * scale @ k.transpose(-1, -2)).softmax(dim=-1), v


def encode_patches(model, x):
    """Unit patch features [B, N, E]: middle blocks lend their maps to the last one."""
    x = model.embed(x)
    saved = []
    for number, block in enumerate(model.blocks[:-1], start=1):
        if number in MIDDLE_BLOCKS:
            saved.append(self_attention(model, x, block)[0])
        x = model.block(x, block, model.heads)
    weights, v = self_attention(model, x, model.blocks[-1])
    weights = 0.5 * weights + 0.5 * torch.stack(saved).mean(dim=0)
    x = x + model.out(weights @ v, model.blocks[-1])
    return F.normalize(model.finish(x)[:, 1:].float(), dim=-1)


def blur(x):
    i = torch.arange(-5, 6, dtype=x.dtype)
    taps = torch.exp(-0.5 * (i / 5) ** 2)
    taps = taps / taps.sum()
    kernel = torch.outer(taps, taps).expand(3, 1, 11, 11)
    return F.conv2d(F.pad(x, [5] * 4, mode="reflect"), kernel, groups=3)


def grey(x):
    weights = torch.tensor([0.2989, 0.587, 0.114], dtype=x.dtype).view(1, 3, 1, 1)
    return (x * weights).sum(dim=1, keepdim=True).expand_as(x)


def window_logits(model, x, text, share):
    """[1, Q, H, W] of one window."""
    size = x.shape[-2:]
    grid = [side // model.patch for side in size]

    def logits(features):
        return upsample((features @ text.T).transpose(1, 2).unflatten(2, grid), size)

    upright = torch.stack([encode_patches(model, view) for view in (x, grey(x), blur(x))])
    vertical = logits(encode_patches(model, x.flip(2))).flip(2)
    horizontal = logits(encode_patches(model, x.flip(3))).flip(3)
    return share * logits(upright.mean(dim=0)) + (1 - share) * (vertical + horizontal) / 2


def label(logits, word_class, options):
    """Softmax over words, maximum over synonyms, thresholds, closing; class 0 is the background."""
    p = (logits * options["scale"]).softmax(dim=0)
    index = torch.tensor(word_class)
    p = torch.stack([p[index == c].amax(dim=0) for c in range(max(word_class) + 1)])
    areas = torch.bincount(p.argmax(dim=0).flatten(), minlength=len(p))
    areas[0] = 0
    keep = areas > options["areaThreshold"] * areas.sum()
    keep[0] = True
    best, labels = (p * keep.view(-1, 1, 1)).max(dim=0)
    labels[best < options["probThreshold"]] = 0
    kernel = np.ones((3, 3), np.uint8)
    closed = cv2.morphologyEx(labels.to(torch.uint8).numpy(), cv2.MORPH_CLOSE, kernel)
    return torch.from_numpy(closed)


def segment(model, pixels, text, word_class, options):
    """pixels uint8 RGB [H, W, 3], text [Q, E] -> labels uint8 [H, W]."""
    image = preprocess(pixels, options["shortSide"])
    logits = slide(
        image.shape[-2:],
        options["window"],
        options["stride"],
        len(text),
        lambda y1, x1, y2, x2: window_logits(
            model, image[:, :, y1:y2, x1:x2], text, options["augmentWeight"]
        ),
    )
    size = pixels.shape[:2]
    pamr_options = options["pamr"]
    planes = pamr(
        upsample(image, size),
        upsample(logits, size),
        pamr_options["iterations"],
        pamr_options["dilations"],
    )
    return label(planes[0], word_class, options)
