"""Pixel work as PyTorch programs do it: whole planes, one operator after the other."""

import torch
import torch.nn.functional as F


def upsample(x, size):
    return F.interpolate(x, size=size, mode="bilinear", align_corners=False)


def aggregate(x, gain):
    """Rows [M, C] attend to all rows that are like them, by all M x M similarities at once."""
    unit = F.normalize(x, dim=-1)
    scores = unit @ unit.T
    scores = (scores - scores.mean()) * gain
    scores[scores < 0] = float("-inf")
    return torch.softmax(scores, dim=-1) @ x


def windows(height, width, crop, stride):
    """y1, x1, y2, x2 of every window, row by row; the last ones end with the picture."""
    rows = max(height - crop + stride - 1, 0) // stride + 1
    columns = max(width - crop + stride - 1, 0) // stride + 1
    for i in range(rows):
        for j in range(columns):
            y2, x2 = min(i * stride + crop, height), min(j * stride + crop, width)
            yield max(y2 - crop, 0), max(x2 - crop, 0), y2, x2


def slide(size, crop, stride, channels, logits_of):
    """Mean over the windows at every pixel, [1, channels, height, width]."""
    total = torch.zeros(1, channels, *size)
    count = torch.zeros(1, 1, *size)
    for y1, x1, y2, x2 in windows(*size, crop, stride):
        total[:, :, y1:y2, x1:x2] += logits_of(y1, x1, y2, x2)
        count[:, :, y1:y2, x1:x2] += 1
    return total / count


def label_windows(maps, size, crop, stride, scale):
    """maps [windows, words, h, w] -> the most probable word of every pixel."""
    order = iter(maps)
    logits = slide(
        size,
        crop,
        stride,
        maps.shape[1],
        lambda y1, x1, y2, x2: upsample(next(order)[None], (y2 - y1, x2 - x1)),
    )
    return (logits[0] * scale).softmax(dim=0).argmax(dim=0).to(torch.uint8)


def neighbours(x, dilations):
    """[B, C, H, W] -> [B, C, 8 per dilation, H, W]: shifted copies, edges repeated."""
    planes = []
    height, width = x.shape[-2:]
    for d in dilations:
        padded = F.pad(x, [d] * 4, mode="replicate")
        for dy in (0, d, 2 * d):
            for dx in (0, d, 2 * d):
                if (dy, dx) != (d, d):
                    planes.append(padded[..., dy : dy + height, dx : dx + width])
    return torch.stack(planes, dim=2)


def pamr(image, masks, iterations, dilations):
    """Pixel-adaptive mask refinement, arXiv:2005.08104; image [1, 3, H, W], masks [1, Q, H, W]."""
    centre = image.unsqueeze(2)
    around = neighbours(image, dilations)
    std = torch.cat([around] + [centre] * len(dilations), dim=2).std(dim=2, keepdim=True)
    kappa = -((centre - around).abs() / (1e-8 + 0.1 * std)).mean(dim=1, keepdim=True)
    weights = kappa.softmax(dim=2)
    for _ in range(iterations):
        masks = (neighbours(masks, dilations) * weights).sum(dim=2)
    return masks
