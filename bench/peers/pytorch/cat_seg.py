"""CAT-Seg as a PyTorch program (arXiv:2303.11797), from a state dict with its authors' names.

Written as their code computes: all windows and all words in one batch, padding words materialised, no part shared
between words. OpenAI's tower in eager mode with scaled_dot_product_attention; the last block is value-only, with the
class token's input as every token's residual.
"""

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from clip import read_safetensors

MEAN = torch.tensor([122.7709383, 116.7460125, 104.09373615]).view(1, 3, 1, 1)
STD = torch.tensor([68.5005327, 66.6321579, 70.323163]).view(1, 3, 1, 1)
PREDICTOR = "sem_seg_head.predictor."
TOWER = PREDICTOR + "clip_model.visual."
HEAD = PREDICTOR + "transformer."


def windows_of(x, side):
    """[B, H, W, C] -> [B * windows, side * side, C]."""
    b, h, w, c = x.shape
    x = x.view(b, h // side, side, w // side, side, c)
    return x.permute(0, 1, 3, 2, 4, 5).reshape(-1, side * side, c)


def joined(x, side, h, w):
    x = x.view(-1, h // side, w // side, side, side, x.shape[-1])
    return x.permute(0, 1, 3, 2, 4, 5).reshape(-1, h, w, x.shape[-1])


def shift_mask(h, w, side, shift):
    regions = torch.zeros(1, h, w, 1)
    parts = (slice(0, -side), slice(-side, -shift), slice(-shift, None))
    for i, rows in enumerate(parts):
        for j, columns in enumerate(parts):
            regions[:, rows, columns] = 3 * i + j
    flat = windows_of(regions, side).squeeze(-1)
    return (flat[:, None] != flat[:, :, None]) * -100.0


class CatSeg:
    def __init__(self, path, dtype, heads, options):
        self.w = {name: t.to(dtype).clone() for name, t in read_safetensors(path).items()}
        self.dtype, self.tower_heads, self.options = dtype, heads, options
        self.patch = self.w[TOWER + "conv1.weight"].shape[-1]
        self.depth = sum(
            name.startswith(TOWER) and name.endswith(".ln_1.weight") for name in self.w
        )
        layers = HEAD + "layers."
        self.layers = len({n[len(layers) :].split(".")[0] for n in self.w if n.startswith(layers)})

    # --- layers ---

    def linear(self, x, name):
        return F.linear(x, self.w[name + ".weight"], self.w[name + ".bias"])

    def norm(self, x, name):
        weight = self.w[name + ".weight"]
        return F.layer_norm(x, weight.shape, weight, self.w[name + ".bias"], 1e-5)

    def conv(self, x, name):
        weight = self.w[name + ".weight"]
        return F.conv2d(x, weight, self.w.get(name + ".bias"), padding=weight.shape[-1] // 2)

    def up(self, x, name):
        weight = self.w[name + ".weight"]
        return F.conv_transpose2d(x, weight, self.w[name + ".bias"], stride=weight.shape[-1])

    # --- the tower ---

    def positions(self, grid):
        table = self.w[TOWER + "positional_embedding"]
        side = round((len(table) - 1) ** 0.5)
        if side == grid:
            return table
        places = table[1:].view(1, side, side, -1).permute(0, 3, 1, 2).float()
        places = F.interpolate(places, (grid, grid), mode="bicubic", align_corners=False)
        return torch.cat([table[:1], places[0].flatten(1).mT.to(self.dtype)])

    def mlp(self, x, block):
        hidden = self.linear(x, block + ".mlp.c_fc")
        return self.linear(hidden * torch.sigmoid(1.702 * hidden), block + ".mlp.c_proj")

    def tower(self, image):
        """Patch features [B, E, g, g] and the two maps that guide, [B, D, g, g]."""
        w = self.w
        x = F.conv2d(image, w[TOWER + "conv1.weight"], stride=self.patch)
        grid = x.shape[-1]
        token = w[TOWER + "class_embedding"].expand(len(x), 1, -1)
        x = torch.cat([token, x.flatten(2).mT], 1) + self.positions(grid)
        x = self.norm(x, TOWER + "ln_pre")
        maps = []
        for i in range(self.depth):
            block = f"{TOWER}transformer.resblocks.{i}"
            y = self.norm(x, block + ".ln_1")
            q, k, v = [w[f"{block}.attn.{part}_proj_weight"] for part in "qkv"]
            bq, bk, bv = w[block + ".attn.in_proj_bias"].chunk(3)
            values = F.linear(y, v, bv)
            if i == self.depth - 1:
                x = self.linear(values, block + ".attn.out_proj") + x[:, :1]
            else:

                def split(t):
                    return t.unflatten(2, (self.tower_heads, -1)).transpose(1, 2)

                attended = F.scaled_dot_product_attention(
                    split(F.linear(y, q, bq)), split(F.linear(y, k, bk)), split(values)
                )
                attended = attended.transpose(1, 2).flatten(2)
                x = x + self.linear(attended, block + ".attn.out_proj")
            x = x + self.mlp(self.norm(x, block + ".ln_2"), block)
            if i in self.options["blocks"]:
                maps.append(x[:, 1:].mT.unflatten(2, (grid, grid)))
        features = self.norm(x, TOWER + "ln_post") @ w[TOWER + "proj"]
        return features[:, 1:].mT.unflatten(2, (grid, grid)), maps

    # --- the aggregator ---

    def over_places(self, x, guide, block, shift):
        """x [B T, h w, C], guide [B T, h w, Ci]."""
        side, heads = self.options["window"], self.options["heads"]
        n, _, c = x.shape
        h = w = self.grid
        y = self.norm(x, block + ".norm1")
        both = torch.cat([y, guide], -1).view(n, h, w, -1)
        if shift:
            both = both.roll((-shift, -shift), (1, 2))
        both = windows_of(both, side)

        def split(t):
            return t.unflatten(2, (heads, -1)).transpose(1, 2)

        q = split(self.linear(both, block + ".attn.q"))
        k = split(self.linear(both, block + ".attn.k"))
        v = split(self.linear(both[..., :c], block + ".attn.v"))
        scores = q @ k.mT * (c // heads) ** -0.5
        if shift:
            mask = shift_mask(h, w, side, shift).to(scores.dtype)
            count = len(mask)
            scores = scores.view(-1, count, *scores.shape[1:]) + mask[:, None]
            scores = scores.flatten(0, 1)
        y = (scores.softmax(-1) @ v).transpose(1, 2).flatten(2)
        y = joined(self.linear(y, block + ".attn.proj"), side, h, w)
        if shift:
            y = y.roll((shift, shift), (1, 2))
        x = x + y.reshape(n, h * w, c)
        hidden = F.gelu(self.linear(self.norm(x, block + ".norm2"), block + ".mlp.fc1"))
        return x + self.linear(hidden, block + ".mlp.fc2")

    def over_words(self, x, guide, layer):
        """x [B, C, T, h, w], guide [B, T, Ct]."""
        heads, limit = self.options["heads"], self.options["wordLimit"]
        b, c, count, h, w = x.shape
        p = x.permute(0, 3, 4, 2, 1).reshape(b * h * w, count, c)
        guide = guide[:, None].expand(b, h * w, count, -1).reshape(b * h * w, count, -1)
        missing = limit - count
        if missing > 0:
            p = torch.cat([p, self.w[layer + ".padding_tokens"].expand(len(p), missing, -1)], 1)
            pad = self.w[layer + ".padding_guidance"].expand(len(p), missing, -1)
            guide = torch.cat([guide, pad], 1)

        def split(t):
            return t.unflatten(2, (heads, -1))

        y = self.norm(p, layer + ".norm1")
        both = torch.cat([y, guide], -1)
        q = F.elu(split(self.linear(both, layer + ".attention.q"))) + 1
        k = F.elu(split(self.linear(both, layer + ".attention.k"))) + 1
        v = split(self.linear(y, layer + ".attention.v"))
        sums = torch.einsum("nshd,nshv->nhdv", k, v)
        weight = 1 / (torch.einsum("nlhd,nhd->nlh", q, k.sum(1)) + 1e-6)
        p = p + torch.einsum("nlhd,nhdv,nlh->nlhv", q, sums, weight).flatten(2)
        hidden = F.relu(self.linear(self.norm(p, layer + ".norm2"), layer + ".MLP.0"))
        p = p + self.linear(hidden, layer + ".MLP.2")
        return x + p[:, :count].view(b, h, w, count, c).permute(0, 4, 3, 1, 2)

    def double_conv(self, x, name):
        for i in (0, 3):
            x = self.conv(x, f"{name}.{i}")
            weight = self.w[f"{name}.{i + 1}.weight"]
            bias = self.w[f"{name}.{i + 1}.bias"]
            x = F.relu(F.group_norm(x, x.shape[1] // 16, weight, bias))
        return x

    def logits(self, features, maps, text):
        """[B, T, 4 g, 4 g]."""
        b, _, h, w = features.shape
        self.grid, count = h, len(text)
        cost = torch.einsum(
            "behw,te->bthw", F.normalize(features, dim=1), F.normalize(text, dim=-1)
        )
        x = self.conv(cost.reshape(b * count, 1, h, w), HEAD + "conv1")
        x = x.view(b, count, -1, h, w).transpose(1, 2)
        guides = [self.up(maps[0], "upsample1"), self.up(maps[1], "upsample2")]
        image = F.relu(self.conv(features, HEAD + "guidance_projection.0"))
        words = F.relu(
            self.linear(F.normalize(text, dim=-1), HEAD + "text_guidance_projection.0")
        )
        words = words.expand(b, -1, -1)
        guides = [
            F.relu(self.conv(m, f"{HEAD}decoder_guidance_projection.{i}.0"))
            for i, m in enumerate(guides)
        ]

        def repeated(m):
            return m[:, None].expand(-1, count, *m.shape[1:]).flatten(0, 1)

        shift = self.options["window"] // 2
        for i in range(self.layers):
            layer = f"{HEAD}layers.{i}"
            swin = layer + ".swin_block"
            y = x.transpose(1, 2).flatten(0, 1).flatten(2).mT
            guide = self.norm(repeated(image).flatten(2).mT, swin + ".guidance_norm")
            y = self.over_places(y, guide, swin + ".block_1", 0)
            y = self.over_places(y, guide, swin + ".block_2", shift)
            x = y.mT.view(b, count, -1, h, w).transpose(1, 2)
            x = self.over_words(x, words, layer + ".attention")
        x = x.transpose(1, 2).flatten(0, 1)
        for i, guide in enumerate(guides):
            name = f"{HEAD}decoder{i + 1}"
            x = torch.cat([self.up(x, name + ".up"), repeated(guide)], 1)
            x = self.double_conv(x, name + ".conv.double_conv")
        return self.conv(x, HEAD + "head").view(b, count, 4 * h, 4 * w)

    # --- pictures ---

    def segment(self, photo, text):
        """photo uint8 [H, W, 3], text [T, E] -> labels uint8 [H, W]."""
        o = self.options
        size = photo.shape[:2]
        scale = o["shortSide"] / min(size)
        height, width = (int(s * scale + 0.5) for s in size)
        resized = Image.fromarray(photo).resize((width, height), Image.BILINEAR)
        picture = torch.from_numpy(np.array(resized)).permute(2, 0, 1)[None].float()

        def to(x, side):
            return F.interpolate(x, (side, side), mode="bilinear", align_corners=False)

        canvas = to(picture, o["canvas"])
        places = [
            (y, x)
            for y in range(0, o["canvas"] - o["cut"] + 1, o["stride"])
            for x in range(0, o["canvas"] - o["cut"] + 1, o["stride"])
        ]
        cuts = [canvas[:, :, y : y + o["cut"], x : x + o["cut"]] for y, x in places]
        batch = (torch.cat([*cuts, to(picture, o["cut"])]) - MEAN) / STD
        batch = to(batch, o["side"]).to(self.dtype)
        features, maps = self.tower(batch)
        logits = self.logits(features, maps, text.to(self.dtype))
        scores = to(logits.float(), o["cut"]).sigmoid()
        total = torch.zeros(1, len(text), o["canvas"], o["canvas"])
        count = torch.zeros(1, 1, o["canvas"], o["canvas"])
        for i, (y, x) in enumerate(places):
            total[:, :, y : y + o["cut"], x : x + o["cut"]] += scores[i]
            count[:, :, y : y + o["cut"], x : x + o["cut"]] += 1
        merged = (total / count + to(scores[-1:], o["canvas"])) / 2
        out = F.interpolate(merged, size, mode="bilinear", align_corners=False)
        return out[0].argmax(0).to(torch.uint8)
