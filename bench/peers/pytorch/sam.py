"""Segment Anything's automatic masks on one photograph (arXiv:2304.02643), as its authors' program runs.

Every batch of points goes through the whole decoder, all its masks are enlarged to the photograph's size,
and only then filtered; masks that stay are kept as booleans until their boxes were compared.
"""

import numpy as np
import torch
import torch.nn.functional as F
from clip import read_safetensors
from PIL import Image

MEAN = torch.tensor([123.675, 116.28, 103.53]).view(1, 3, 1, 1)
STD = torch.tensor([58.395, 57.12, 57.375]).view(1, 3, 1, 1)
HEADS = 8


class Sam:
    def __init__(self, path, dtype, heads, side, window):
        self.w = {name: tensor.to(dtype) for name, tensor in read_safetensors(path).items()}
        self.heads, self.side, self.window = heads, side, window
        self.grid = side // 16

    # layers

    def linear(self, x, name):
        return F.linear(x, self.w[name + ".weight"], self.w[name + ".bias"])

    def norm(self, x, name, eps):
        weight = self.w[name + ".weight"]
        return F.layer_norm(x, weight.shape, weight, self.w[name + ".bias"], eps)

    def norm2d(self, x, name):
        mean = x.mean(1, keepdim=True)
        x = (x - mean) / torch.sqrt((x - mean).pow(2).mean(1, keepdim=True) + 1e-6)
        return self.w[name + ".weight"][:, None, None] * x + self.w[name + ".bias"][:, None, None]

    # image encoder

    def relative(self, q, table, side):
        """[B, h, w, heads, d] and [2 side - 1, d] -> rows of positions [side, side, d]."""
        at = torch.arange(side)[:, None] - torch.arange(side)[None, :] + side - 1
        return table[at]

    def attention(self, x, block):
        count, h, w, _ = x.shape
        qkv = self.linear(x, block + ".attn.qkv").reshape(count, h * w, 3, self.heads, -1)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).flatten(1, 2)
        attn = q * q.shape[-1] ** -0.5 @ k.transpose(-1, -2)
        r = q.reshape(-1, h, w, q.shape[-1])
        rows = self.relative(q, self.w[block + ".attn.rel_pos_h"], h)
        columns = self.relative(q, self.w[block + ".attn.rel_pos_w"], w)
        attn = attn.view(-1, h, w, h, w)
        attn = attn + torch.einsum("bhwc,hkc->bhwk", r, rows)[..., None]
        attn = attn + torch.einsum("bhwc,wkc->bhwk", r, columns)[..., None, :]
        x = attn.view(-1, h * w, h * w).softmax(-1) @ v
        x = x.view(count, self.heads, h, w, -1).permute(0, 2, 3, 1, 4).flatten(3)
        return self.linear(x, block + ".attn.proj")

    def windowed(self, x, block):
        _, h, w, c = x.shape
        n = self.window
        pad = (n - h % n) % n
        x = F.pad(x, (0, 0, 0, pad, 0, pad))
        rows = (h + pad) // n
        x = x.view(rows, n, rows, n, c).transpose(1, 2).reshape(-1, n, n, c)
        x = self.attention(x, block)
        x = x.view(rows, rows, n, n, c).transpose(1, 2).reshape(1, h + pad, w + pad, c)
        return x[:, :h, :w]

    def encode(self, pixels):
        """uint8 [H, W, 3] -> embedding [1, C, G, G] and the size within the square."""
        height, width = pixels.shape[:2]
        scale = self.side / max(height, width)
        h, w = int(height * scale + 0.5), int(width * scale + 0.5)
        resized = np.array(Image.fromarray(pixels).resize((w, h), Image.BILINEAR))
        x = (torch.from_numpy(resized).permute(2, 0, 1)[None].float() - MEAN) / STD
        x = F.pad(x, (0, self.side - w, 0, self.side - h))
        e = "image_encoder."
        x = F.conv2d(x, self.w[e + "patch_embed.proj.weight"], self.w[e + "patch_embed.proj.bias"], 16)
        x = x.permute(0, 2, 3, 1) + self.w[e + "pos_embed"]
        blocks = len({k.split(".")[2] for k in self.w if k.startswith(e + "blocks.")})
        for i in range(blocks):
            block = f"{e}blocks.{i}"
            y = self.norm(x, block + ".norm1", 1e-6)
            whole = self.w[block + ".attn.rel_pos_h"].shape[0] == 2 * self.grid - 1
            x = x + (self.attention(y, block) if whole else self.windowed(y, block))
            y = F.gelu(self.linear(self.norm(x, block + ".norm2", 1e-6), block + ".mlp.lin1"))
            x = x + self.linear(y, block + ".mlp.lin2")
        x = self.norm2d(F.conv2d(x.permute(0, 3, 1, 2), self.w[e + "neck.0.weight"]), e + "neck.1")
        x = self.norm2d(F.conv2d(x, self.w[e + "neck.2.weight"], padding=1), e + "neck.3")
        return x, (h, w)

    # prompts and masks

    def code(self, u):
        matrix = self.w["prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"]
        x = 2 * torch.pi * ((2 * u - 1).float() @ matrix)
        return torch.cat([x.sin(), x.cos()], -1)

    def attend(self, q, k, v, name):
        t = "mask_decoder.transformer." + name
        q, k, v = (self.linear(x, f"{t}.{n}_proj") for x, n in [(q, "q"), (k, "k"), (v, "v")])
        q, k, v = (x.unflatten(2, (HEADS, -1)).transpose(1, 2) for x in (q, k, v))
        x = (q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5).softmax(-1) @ v
        return self.linear(x.transpose(1, 2).flatten(2), t + ".out_proj")

    def mlp(self, x, name):
        for i in range(3):
            x = self.linear(x, f"{name}.layers.{i}")
            x = F.relu(x) if i < 2 else x
        return x

    def decode(self, embedding, points):
        """points [B, 2] in pixels of the square -> masks [B, 3, 4G, 4G], IoU [B, 3]."""
        w, d = self.w, "mask_decoder."
        count = len(points)
        sparse = self.code((points + 0.5) / self.side) + w["prompt_encoder.point_embeddings.1.weight"]
        padding = w["prompt_encoder.not_a_point_embed.weight"].expand(count, -1)
        tokens = torch.cat([w[d + "iou_token.weight"], w[d + "mask_tokens.weight"]])
        t0 = torch.cat([tokens.expand(count, -1, -1), sparse[:, None], padding[:, None]], 1)
        at = (torch.arange(self.grid) + 0.5) / self.grid
        grid = torch.stack([at.expand(self.grid, -1), at[:, None].expand(-1, self.grid)], -1)
        e = self.code(grid).flatten(0, 1)
        image = embedding + w["prompt_encoder.no_mask_embed.weight"].view(1, -1, 1, 1)
        k = image.flatten(2).transpose(1, 2).repeat(count, 1, 1)
        e = e.expand(count, -1, -1)
        q = t0
        for i in range(2):
            layer = f"layers.{i}"
            n = d + f"transformer.{layer}.norm"
            if i == 0:
                q = self.attend(q, q, q, layer + ".self_attn")
            else:
                q = q + self.attend(q + t0, q + t0, q, layer + ".self_attn")
            q = self.norm(q, n + "1", 1e-5)
            q = self.norm(
                q + self.attend(q + t0, k + e, k, layer + ".cross_attn_token_to_image"), n + "2", 1e-5
            )
            m = d + f"transformer.{layer}.mlp"
            q = self.norm(q + self.linear(F.relu(self.linear(q, m + ".lin1")), m + ".lin2"), n + "3", 1e-5)
            k = self.norm(
                k + self.attend(k + e, q + t0, q, layer + ".cross_attn_image_to_token"), n + "4", 1e-5
            )
        q = q + self.attend(q + t0, k + e, k, "final_attn_token_to_image")
        q = self.norm(q, d + "transformer.norm_final_attn", 1e-5)
        u = k.transpose(1, 2).reshape(count, -1, self.grid, self.grid)
        up = d + "output_upscaling."
        u = F.conv_transpose2d(u, w[up + "0.weight"], w[up + "0.bias"], 2)
        u = F.gelu(self.norm2d(u, up + "1"))
        u = F.gelu(F.conv_transpose2d(u, w[up + "3.weight"], w[up + "3.bias"], 2))
        y = torch.stack(
            [self.mlp(q[:, 1 + i], f"{d}output_hypernetworks_mlps.{i}") for i in range(4)], 1
        )
        masks = (y @ u.flatten(2)).view(count, 4, *u.shape[2:])
        return masks[:, 1:], self.mlp(q[:, 0], d + "iou_prediction_head")[:, 1:]


def click(model, seen, size, point):
    """A point in pixels of an encoded picture: how many of its masks cover each pixel, uint8 [H, W]."""
    embedding, (h, w) = seen
    height, width = size
    points = torch.tensor([[point[0] * w / width, point[1] * h / height]])
    low, _ = model.decode(embedding, points)
    square = F.interpolate(low, (model.side, model.side), mode="bilinear")
    z = F.interpolate(square[:, :, :h, :w], (height, width), mode="bilinear")
    return (z[0] > 0).sum(0).to(torch.uint8)


def boxes_of(masks):
    """bool [K, H, W] -> smallest and largest column and row."""
    rows, columns = masks.any(2), masks.any(1)
    out = []
    for row, column in zip(rows, columns):
        ys, xs = row.nonzero().flatten(), column.nonzero().flatten()
        out.append([xs[0], ys[0], xs[-1], ys[-1]] if len(xs) else [0, 0, 0, 0])
    return torch.tensor(out, dtype=torch.float32).view(-1, 4)


def without_doubles(boxes, scores, threshold):
    order = scores.sort(stable=True, descending=True).indices
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    kept = []
    while len(order):
        first, order = order[0], order[1:]
        kept.append(first)
        low = torch.maximum(boxes[first, :2], boxes[order, :2])
        high = torch.minimum(boxes[first, 2:], boxes[order, 2:])
        side = (high - low).clamp(min=0)
        both = side[:, 0] * side[:, 1]
        iou = both / (area[first] + area[order] - both)
        order = order[~(iou > threshold)]
    return torch.stack(kept) if kept else torch.zeros(0, dtype=torch.long)


def run_lengths(mask):
    """bool [H, W] -> counts down the columns."""
    flat = mask.t().flatten()
    change = (flat[1:] != flat[:-1]).nonzero().flatten() + 1
    edges = torch.cat([torch.tensor([0]), change, torch.tensor([len(flat)])])
    counts = (edges[1:] - edges[:-1]).tolist()
    return [0] * int(flat[0]) + counts


def generate(model, pixels, options):
    """How many of the masks cover each pixel, uint8 [H, W]."""
    height, width = pixels.shape[:2]
    embedding, (h, w) = model.encode(pixels)
    n = options["pointsPerSide"]
    at = (torch.arange(n, dtype=torch.float64) + 0.5) / n
    grid = torch.stack([at.expand(n, -1), at[:, None].expand(-1, n)], -1).view(-1, 2)
    grid = grid * torch.tensor([width, height])
    grid = grid * torch.tensor([w / width, h / height], dtype=torch.float64)
    found, offset = [], options["stabilityOffset"]
    for points in grid.split(options["pointsPerBatch"]):
        low, iou = model.decode(embedding, points)
        low, iou = low.flatten(0, 1), iou.flatten()
        square = F.interpolate(low[:, None], (model.side, model.side), mode="bilinear")[:, 0]
        z = F.interpolate(square[:, None, :h, :w], (height, width), mode="bilinear")[:, 0]
        keep = iou > options["predIouThreshold"]
        z, iou = z[keep], iou[keep]
        stability = (z > offset).sum((1, 2)) / (z > -offset).sum((1, 2))
        keep = stability >= options["stabilityThreshold"]
        z, iou = z[keep], iou[keep]
        masks = z > 0
        found.append((boxes_of(masks), iou, [run_lengths(mask) for mask in masks]))
    boxes = torch.cat([b for b, _, _ in found])
    iou = torch.cat([i for _, i, _ in found])
    runs = [counts for _, _, some in found for counts in some]
    cover = np.zeros(height * width, dtype=np.uint8)
    for k in without_doubles(boxes, iou, options["boxNmsThreshold"]).tolist():
        counts = np.array(runs[k])
        cover += np.repeat(np.arange(len(counts)) % 2, counts).astype(np.uint8)
    return torch.from_numpy(cover.reshape(width, height).T.copy())
