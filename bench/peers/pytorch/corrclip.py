"""CorrCLIP on one photograph with given regions (arXiv:2411.10086), step by step as its paper's code runs it.

One window at a time goes through DINO and CLIP; the copies of the class token stand in CLIP's sequence, under a
mask; attention is a matrix; the vote goes over the regions one by one.
"""

import torch
import torch.nn.functional as F
from itaclip import MEAN, STD, preprocess
from pixels import slide, upsample

CLIP_MEAN = torch.tensor([0.48145466, 0.4578275, 0.40821073]).view(1, 3, 1, 1)
CLIP_STD = torch.tensor([0.26862954, 0.26130258, 0.27577711]).view(1, 3, 1, 1)
IMAGENET_MEAN = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
IMAGENET_STD = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
BORDER = 10000  # the region of padding
SPATIAL, GAIN, DISTANCE, WEIGHTS = 5, 4, 0.2, (1.0, 0.5)


class Dino:
    """DINO's vision transformer, up to q and k of its last block."""

    def __init__(self, weights, dtype, heads):
        self.w = {name: tensor.to(dtype) for name, tensor in weights.items()}
        self.dtype, self.heads = dtype, heads
        self.depth = 1 + max(int(k.split(".")[1]) for k in self.w if k.startswith("blocks."))
        self.patch = self.w["patch_embed.proj.weight"].shape[-1]

    def linear(self, x, name):
        return F.linear(x, self.w[name + ".weight"], self.w[name + ".bias"])

    def norm(self, x, name):
        weight = self.w[name + ".weight"]
        return F.layer_norm(x, weight.shape, weight, self.w[name + ".bias"], 1e-6)

    def embed(self, image):
        weight, bias = self.w["patch_embed.proj.weight"], self.w["patch_embed.proj.bias"]
        x = F.conv2d(image.to(self.dtype), weight, bias, stride=self.patch)
        h, w = x.shape[-2:]
        x = x.flatten(2).transpose(1, 2)
        table = self.w["pos_embed"]
        side = int((table.shape[1] - 1) ** 0.5)
        grid = table[:, 1:].float().reshape(1, side, side, -1).permute(0, 3, 1, 2)
        factors = ((h + 0.1) / side, (w + 0.1) / side)
        grid = F.interpolate(grid, scale_factor=factors, mode="bicubic")
        grid = grid.flatten(2).transpose(1, 2).to(self.dtype)
        x = torch.cat([self.w["cls_token"].expand(len(x), -1, -1), x], dim=1)
        return x + torch.cat([table[:, :1], grid], dim=1)

    def query_plus_key(self, image):
        """[N, C]; the last block runs whole, as there."""
        x = self.embed(image)
        for i in range(self.depth):
            block = f"blocks.{i}"
            qkv = self.linear(self.norm(x, block + ".norm1"), block + ".attn.qkv")
            q, k, v = (t.unflatten(2, (self.heads, -1)).transpose(1, 2) for t in qkv.chunk(3, -1))
            weights = (q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5).softmax(dim=-1)
            y = (weights @ v).transpose(1, 2).flatten(2)
            x = x + self.linear(y, block + ".attn.proj")
            y = F.gelu(self.linear(self.norm(x, block + ".norm2"), block + ".mlp.fc1"))
            x = x + self.linear(y, block + ".mlp.fc2")
        q, k, _ = qkv.chunk(3, -1)
        return (q + k)[0, 1:].float()


def merge(regions, features):
    """Connected regions of the graph of small distances; regions [M]."""
    values = regions.unique()
    if len(values) <= 2:
        return regions
    means = F.normalize(torch.stack([features[regions == v].mean(0) for v in values[1:]]), dim=-1)
    products = means @ means.T
    near = products.max() - products <= DISTANCE
    cluster = torch.arange(len(near))
    for _ in range(len(near)):
        cluster = torch.where(near, cluster, len(near)).amin(dim=1)
    merged = regions.clone()
    for value, number in zip(values[1:], cluster.unique(return_inverse=True)[1]):
        merged[regions == value] = BORDER + number
    return merged


def nearest(regions, size):
    return F.interpolate(regions[None, None].float(), size=size, mode="nearest")[0, 0].long()


def embed(model, image):
    """As Clip.embed(), with positions of any grid."""
    x = F.conv2d(image.to(model.dtype), model.w["visual.conv1.weight"], stride=model.patch)
    h, w = x.shape[-2:]
    x = x.flatten(2).transpose(1, 2)
    table = model.w["visual.positional_embedding"]
    side = int((len(table) - 1) ** 0.5)
    grid = table[1:].float().T.reshape(1, -1, side, side)
    factors = ((h + 0.1) / side, (w + 0.1) / side)
    grid = F.interpolate(grid, scale_factor=factors, mode="bicubic")
    positions = torch.cat([table[:1], grid[0].flatten(1).T.to(model.dtype)])
    cls = model.w["visual.class_embedding"].expand(1, 1, -1)
    return model.norm(torch.cat([cls, x], dim=1) + positions, "visual.ln_pre")


def masked_block(model, x, block, mask):
    q, k, v = model.qkv(model.norm(x, block + ".ln_1"), block, model.heads)
    scores = q * q.shape[-1] ** -0.5 @ k.transpose(-2, -1) + mask
    x = x + model.out(scores.softmax(dim=-1) @ v, block)
    return x + model.mlp(model.norm(x, block + ".ln_2"), block)


def encode_patches(model, dino, image, regions):
    """Unit features [E, h, w] on DINO's grid."""
    pixels = (image * CLIP_STD + CLIP_MEAN - IMAGENET_MEAN) / IMAGENET_STD
    grid = [side // dino.patch for side in image.shape[-2:]]
    features = F.normalize(dino.query_plus_key(pixels), dim=-1)
    similar = features @ features.T
    merged = merge(nearest(regions, grid).flatten(), features)
    smallest = merged.min()
    row, column = merged[:, None], merged[None]
    same = (row == column) & (row != smallest)
    open_pair = ((row == smallest) | (column == smallest)) & (similar > similar.mean())
    scores = (GAIN * similar).masked_fill(~(same | open_pair), float("-inf"))
    weights = scores.softmax(dim=-1).to(model.dtype)

    own = [side // model.patch for side in image.shape[-2:]]
    tokens = nearest(merged.view(*grid), own)
    values = tokens.unique()
    x = embed(model, image)
    length = len(values) + x.shape[1]
    hidden = torch.zeros(length, length, dtype=torch.bool)
    hidden[:, : len(values)] = True
    hidden[: len(values), len(values) + 1 :] = values[:, None] != tokens.flatten()[None]
    mask = torch.zeros(length, length, dtype=model.dtype).masked_fill(hidden, float("-inf"))
    x = torch.cat([x[:, :1].expand(-1, len(values), -1), x], dim=1)
    streams = []
    for name in model.blocks[:-1]:
        x = masked_block(model, x, name, mask)
        streams.append(x)
    last = model.blocks[-1]

    def attended(stream):
        v = model.qkv(model.norm(stream, last + ".ln_1"), last, model.heads)[2]
        v = v.transpose(1, 2).flatten(2)[:, len(values) + 1 :]
        fine = upsample(v.transpose(1, 2).unflatten(2, own), grid).flatten(2).transpose(1, 2)
        fine = fine.unflatten(2, (model.heads, -1)).transpose(1, 2)
        return model.out(weights.expand(model.heads, -1, -1) @ fine, last)

    main = attended(x)
    spatial = attended(torch.stack(streams[-1 - SPATIAL : -1]).mean(dim=0))
    copies = masked_block(model, x, last, mask)[0, : len(values)]
    of_cell = nearest(tokens, grid).flatten()
    semantic = copies[torch.searchsorted(values, of_cell)]
    total = model.norm(main, "visual.ln_post")
    total = total + WEIGHTS[0] * model.norm(spatial, "visual.ln_post")
    total = total + WEIGHTS[1] * model.norm(semantic[None], "visual.ln_post")
    out = F.normalize((total @ model.w["visual.proj"])[0].float(), dim=-1)
    return out.T.unflatten(1, grid)


def segment(model, dino, pixels, regions, text, options):
    """pixels uint8 RGB [H, W, 3], regions int [H, W], text [Q, E] -> labels uint8 [H, W]."""
    image = preprocess(pixels, options["shortSide"])
    image = ((image * STD + MEAN) / 255 - CLIP_MEAN) / CLIP_STD
    resized = nearest(regions, image.shape[-2:])

    def logits_of(y1, x1, y2, x2):
        window = image[:, :, y1:y2, x1:x2]
        features = encode_patches(model, dino, window, resized[y1:y2, x1:x2])
        logits = torch.einsum("qe,ehw->qhw", text, features)[None]
        return upsample(logits, window.shape[-2:])

    size, stride = options["window"], options["stride"]
    logits = slide(image.shape[-2:], size, stride, len(text), logits_of)
    logits = upsample(logits, pixels.shape[:2])[0]
    labels = (logits * options["logitScale"]).softmax(dim=0).argmax(dim=0)
    for value in regions.unique()[1:]:
        inside = regions == value
        labels[inside] = torch.bincount(labels[inside], minlength=len(text)).argmax()
    return labels.to(torch.uint8)
