"""F-ViT as a PyTorch program (CLIPSelf, arXiv:2310.01403, section 4), from a state dict in mmdetection's naming.

Written as its authors' code computes: the EVA tower in eager mode with scaled_dot_product_attention, convolutions with
batch norms behind them, torchvision's RoIAlign and NMS. The last block is value-only.
"""

import math

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from clip import read_safetensors
from torchvision.ops import batched_nms, nms, roi_align

MEAN = np.array([123.675, 116.28, 103.53], np.float32)
STD = np.array([58.395, 57.12, 57.375], np.float32)
ROTARY_GRID = 16  # that EVA02-CLIP was trained with
BOX_DEVIATIONS = (0.1, 0.1, 0.2, 0.2)


class FVit:
    def __init__(self, path, dtype, heads, options):
        self.w = {name: tensor.to(dtype).clone() for name, tensor in read_safetensors(path).items()}
        self.dtype, self.heads, self.options = dtype, heads, options
        self.patch = self.w["backbone.visual.patch_embed.proj.weight"].shape[-1]
        self.depth = sum(name.endswith(".norm1.weight") for name in self.w)
        self.strides = [self.patch * factor for factor in (0.25, 0.5, 1, 2, 4)]

    # --- layers ---

    def linear(self, x, name):
        return F.linear(x, self.w[name + ".weight"], self.w.get(name + ".bias"))

    def norm(self, x, name):
        weight = self.w[name + ".weight"]
        return F.layer_norm(x, weight.shape, weight, self.w[name + ".bias"], 1e-6)

    def batch_norm(self, x, name):
        w = self.w
        return F.batch_norm(
            x,
            w[name + ".running_mean"],
            w[name + ".running_var"],
            w[name + ".weight"],
            w[name + ".bias"],
            eps=1e-5,
        )

    def conv(self, x, name):
        """mmcv's ConvModule without its activation."""
        weight = self.w[name + ".conv.weight"]
        y = F.conv2d(x, weight, self.w.get(name + ".conv.bias"), padding=weight.shape[-1] // 2)
        return self.batch_norm(y, name + ".bn") if name + ".bn.weight" in self.w else y

    def up(self, x, name):
        return F.conv_transpose2d(x, self.w[name + ".weight"], self.w[name + ".bias"], stride=2)

    # --- the tower ---

    def rotary(self, grid):
        """Cosines and sines [grid * grid, d]: half of the channels for rows, half for columns."""
        d = self.w["backbone.visual.norm.weight"].shape[0] // self.heads // 2
        frequencies = 10000 ** -(torch.arange(0, d, 2).float() / d)
        places = torch.arange(grid).float() / grid * ROTARY_GRID
        angles = (places[:, None] * frequencies).repeat_interleave(2, -1)  # [grid, d]
        rows = angles[:, None].expand(grid, grid, d)
        columns = angles[None].expand(grid, grid, d)
        angles = torch.cat([rows, columns], -1).flatten(0, 1)
        return angles.cos().to(self.dtype), angles.sin().to(self.dtype)

    def rotate(self, x, cosines, sines):
        """All tokens but the first."""
        tokens = x[:, :, 1:]
        pairs = tokens.unflatten(-1, (-1, 2))
        turned = torch.stack([-pairs[..., 1], pairs[..., 0]], -1).flatten(-2)
        return torch.cat([x[:, :, :1], tokens * cosines + turned * sines], 2)

    def attend(self, x, block, rotary, values_only):
        w, name = self.w, block + ".attn"

        def project(part, bias=None):
            return F.linear(x, w[f"{name}.{part}_proj.weight"], bias)

        values = project("v", w[name + ".v_bias"])
        if not values_only:

            def split(t):
                return t.unflatten(2, (self.heads, -1)).transpose(1, 2)

            q = self.rotate(split(project("q", w[name + ".q_bias"])), *rotary)
            k = self.rotate(split(project("k")), *rotary)
            values = F.scaled_dot_product_attention(q, k, split(values)).transpose(1, 2).flatten(2)
        return self.linear(self.norm(values, name + ".inner_attn_ln"), name + ".proj")

    def mlp(self, x, block):
        name = block + ".mlp"
        gated = F.silu(self.linear(x, name + ".w1")) * self.linear(x, name + ".w2")
        return self.linear(self.norm(gated, name + ".ffn_ln"), name + ".w3")

    def tower(self, image):
        """Maps of the taken blocks, and the words' map V, unit length."""
        visual = "backbone.visual"
        w = self.w
        x = F.conv2d(
            image,
            w[visual + ".patch_embed.proj.weight"],
            w[visual + ".patch_embed.proj.bias"],
            stride=self.patch,
        )
        grid = x.shape[-1]
        table = w[visual + ".pos_embed"]
        side = math.isqrt(table.shape[1] - 1)
        places = table[:, 1:].unflatten(1, (side, side)).permute(0, 3, 1, 2).float()
        places = F.interpolate(places, (grid, grid), mode="bicubic").to(self.dtype)
        x = torch.cat([w[visual + ".cls_token"], x.flatten(2).mT], 1)
        x = x + torch.cat([table[:, :1], places.flatten(2).mT], 1)
        rotary, maps = self.rotary(grid), []
        for i in range(self.depth):
            block = f"{visual}.blocks.{i}"
            last = i == self.depth - 1
            x = x + self.attend(self.norm(x, block + ".norm1"), block, rotary, last)
            x = x + self.mlp(self.norm(x, block + ".norm2"), block)
            if i in self.options["blocks"]:
                maps.append(x[:, 1:].mT.unflatten(2, (grid, grid)))
        dense = self.linear(self.norm(x[:, 1:], visual + ".norm"), visual + ".head")
        return maps, F.normalize(dense, dim=-1).mT.unflatten(2, (grid, grid))

    # --- up-sampling, pyramid, proposals ---

    def pyramid(self, maps):
        first = self.up(maps[0], "backbone.interpolate1.0")
        first = F.gelu(self.batch_norm(first, "backbone.interpolate1.1"))
        maps = [
            self.up(first, "backbone.interpolate1.3"),
            self.up(maps[1], "backbone.interpolate2.0"),
            maps[2],
            F.max_pool2d(maps[3], 2, 2),
        ]
        levels = [self.conv(m, f"neck.lateral_convs.{i}") for i, m in enumerate(maps)]
        for i in (3, 2, 1):
            levels[i - 1] = levels[i - 1] + F.interpolate(levels[i], levels[i - 1].shape[2:])
        levels = [self.conv(m, f"neck.fpn_convs.{i}") for i, m in enumerate(levels)]
        return [*levels, F.max_pool2d(levels[3], 1, 2)]

    def propose(self, levels, size):
        """Boxes [P, 4] in pixels of the input, best first."""
        options = self.options
        boxes, scores, ids = [], [], []
        for level, (x, stride) in enumerate(zip(levels, self.strides)):
            for i in (0, 1):
                x = F.relu(self.conv(x, f"rpn_head.rpn_conv.{i}"))
            logits = F.conv2d(x, self.w["rpn_head.rpn_cls.weight"], self.w["rpn_head.rpn_cls.bias"])
            deltas = F.conv2d(x, self.w["rpn_head.rpn_reg.weight"], self.w["rpn_head.rpn_reg.bias"])
            found = logits[0].permute(1, 2, 0).reshape(-1).float().sigmoid()
            deltas = deltas[0].permute(1, 2, 0).reshape(-1, 4).float()
            around = anchors(*x.shape[2:], stride)
            if len(found) > options["perLevel"]:
                found, best = found.sort(descending=True)
                best = best[: options["perLevel"]]
                found, deltas, around = found[: len(best)], deltas[best], around[best]
            decoded = decode(around, deltas, (1, 1, 1, 1), size)
            kept = ((decoded[:, 2:] - decoded[:, :2]) > 0).all(1)
            boxes.append(decoded[kept])
            scores.append(found[kept])
            ids.append(torch.full_like(found[kept], level, dtype=torch.long))
        boxes, scores, ids = torch.cat(boxes), torch.cat(scores), torch.cat(ids)
        shifted = boxes + (ids.to(boxes) * (boxes.max() + 1))[:, None]
        return boxes[nms(shifted, scores, 0.7)[: options["keep"]]]

    # --- heads ---

    def pool(self, levels, boxes, bins):
        """Each box from its level, [P, C, bins, bins]."""
        area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
        of_box = (area.sqrt() / 56 + 1e-6).log2().floor().clamp(0, 3).long()
        out = levels[0].new_zeros(len(boxes), levels[0].shape[1], bins, bins)
        for level in range(4):
            (here,) = (of_box == level).nonzero(as_tuple=True)
            if len(here) == 0:
                continue
            scale = 1 / self.strides[level]
            out[here] = roi_align(
                levels[level], [boxes[here].to(self.dtype)], bins, scale, -1, aligned=True
            )
        return out

    def box_head(self, levels, boxes):
        """Unit embeddings [P, E] and deltas [P, 4]."""
        head = "roi_head.bbox_head"
        x = self.pool(levels, boxes, 7)
        for i in range(4):
            x = F.relu(self.conv(x, f"{head}.shared_convs.{i}"))
        x = x.flatten(1)
        for i in (0, 1):
            x = F.relu(self.linear(x, f"{head}.shared_fcs.{i}"))
        c = F.relu(self.linear(x, head + ".cls_fcs.0")).float()
        deltas = self.linear(F.relu(self.linear(x, head + ".reg_fcs.0")), head + ".fc_reg").float()
        return c / c.norm(dim=-1, keepdim=True), deltas

    def score(self, c, v, words, novel):
        """[P, K] without the background's column."""
        options = self.options
        detected = (self.w["roi_head.bbox_head.detect_temperature"].float() * (c @ words.T)).softmax(1)
        voted = (options["voteTemperature"] * (v @ words.T)).softmax(1)
        share = torch.where(novel, options["beta"], options["alpha"])
        share = torch.cat([share, torch.tensor([options["alpha"]])])
        return (detected ** (1 - share) * voted**share)[:, :-1]

    def detect(self, photo, words, novel):
        """[limit, 6]: xyxy in pixels of the photo, score, label; zeros where there are fewer."""
        options = self.options
        image, size, scale = preprocess(photo, options["side"])
        maps, votes = self.tower(image.to(self.dtype))
        levels = self.pyramid(maps)
        boxes = self.propose(levels, size)
        c, deltas = self.box_head(levels, boxes)
        v = roi_align(votes, [boxes.to(self.dtype)], 1, 1 / self.patch, -1, aligned=True)
        v = F.normalize(v.flatten(1).float(), dim=-1)
        scores = self.score(c, v, words, novel)
        boxes = decode(boxes, deltas, BOX_DEVIATIONS, size) / scale
        rows, labels = (scores > options["scoreThreshold"]).nonzero(as_tuple=True)
        found, at = scores[rows, labels], boxes[rows]
        best = batched_nms(at, found, labels, options["nms"])[: options["limit"]]
        out = torch.zeros(options["limit"], 6)
        out[: len(best)] = torch.cat(
            [at[best], found[best][:, None], labels[best][:, None].float()], 1
        )
        return out


def preprocess(photo, side):
    """The network's square [1, 3, s, s], the picture's (height, width) in it, and its scale as xyxy."""
    h, w = photo.shape[:2]
    factor = side / max(h, w)
    height, width = int(h * factor + 0.5), int(w * factor + 0.5)
    resized = cv2.resize(photo, (width, height), interpolation=cv2.INTER_LINEAR)
    image = (resized.astype(np.float32) - MEAN) * (1 / STD)
    square = max(height, width)
    image = np.pad(image, ((0, square - height), (0, square - width), (0, 0)))
    scale = torch.tensor([width / w, height / h] * 2)
    return torch.from_numpy(image).permute(2, 0, 1)[None].contiguous(), (height, width), scale


def anchors(h, w, stride):
    ratios = torch.tensor([0.5, 1, 2])
    width, height = 8 * stride / ratios.sqrt() / 2, 8 * stride * ratios.sqrt() / 2
    base = torch.stack([-width, -height, width, height], 1)
    y, x = torch.meshgrid(torch.arange(h) * stride, torch.arange(w) * stride, indexing="ij")
    at = torch.stack([x, y, x, y], -1).reshape(-1, 1, 4)
    return (at + base).reshape(-1, 4)


def decode(boxes, deltas, deviations, size):
    d = deltas * torch.tensor(deviations)
    most = abs(math.log(16 / 1000))
    extent = boxes[:, 2:] - boxes[:, :2]
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2 + extent * d[:, :2]
    extent = extent * d[:, 2:].clamp(-most, most).exp()
    out = torch.cat([centre - extent / 2, centre + extent / 2], 1)
    height, width = size
    return out.clamp(min=0).minimum(torch.tensor([width, height, width, height]))
