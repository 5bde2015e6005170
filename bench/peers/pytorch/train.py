"""A step of DeCLIP (arXiv:2505.04410) or of CLIP (arXiv:2103.00020) as a PyTorch program.

float32 parameters, autocast for bfloat16, scaled_dot_product_attention, fused AdamW, gradients set to
None: PyTorch's ordinary best settings for the CPU.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F
from clip import Clip


class Student(Clip):
    """Clip with the last block and the table of positions that training needs."""

    def learn(self, learns):
        self.learning = {}
        for name in filter(learns, self.w):
            self.learning[name] = self.w[name] = self.w[name].clone().requires_grad_()

    def mlp(self, x, block):
        x = self.linear(x, block + ".mlp.c_fc")
        return self.linear(self.activation(x), block + ".mlp.c_proj")

    @staticmethod
    def activation(x):
        return x * torch.sigmoid(1.702 * x)

    def embed(self, image):
        x = F.conv2d(image, self.w["visual.conv1.weight"], stride=self.patch)
        side = x.shape[-1]
        x = x.flatten(2).transpose(1, 2)
        table = self.w["visual.positional_embedding"]
        grid = round(math.sqrt(len(table) - 1))
        if side != grid:
            patches = table[1:].T.unflatten(1, (grid, grid)).unsqueeze(0)
            patches = F.interpolate(patches, size=(side, side), mode="bicubic", align_corners=False)
            table = torch.cat([table[:1], patches[0].flatten(1).T])
        cls = self.w["visual.class_embedding"].expand(x.shape[0], 1, -1)
        return self.norm(torch.cat([cls, x], dim=1) + table, "visual.ln_pre")

    def dense_qq(self, image):
        """Unit features [B, E, h, w] and the last block's queries without the class token."""
        x = self.embed(image)
        *blocks, last = self.blocks
        for name in blocks:
            x = self.block(x, name, self.heads)
        q, _, v = self.qkv(self.norm(x, last + ".ln_1"), last, self.heads)
        y = self.out(F.scaled_dot_product_attention(q, q, v), last)[:, 1:]
        features = F.normalize(self.finish(y).float(), dim=-1)
        side = round(math.sqrt(features.shape[1]))
        queries = q.transpose(1, 2).flatten(2)[:, 1:].float()
        return features.transpose(1, 2).unflatten(2, (side, side)), queries


def pooling(boxes, side):
    """RoIAlign with one bin, adaptive sampling, aligned, as a matrix [B, M, side * side].

    Boxes are shares of the picture and lie inside of it. Bilinear sampling along the two sides is
    separable, so that a box's weights are an outer product.
    """

    def along(low, high):
        count = torch.ceil(high - low).clamp_min(1).long()
        row = torch.zeros(side)
        for i in range(int(count)):
            at = (low - 0.5 + (i + 0.5) * (high - low) / count).clamp(0, side - 1)
            cell = int(at)
            share = at - cell
            row[cell] += (1 - share) / count
            row[min(cell + 1, side - 1)] += share / count
        return row

    weights = [
        [(along(b[1], b[3])[:, None] * along(b[0], b[2])).flatten() for b in picture]
        for picture in boxes * side
    ]
    return torch.stack([torch.stack(row) for row in weights])


def similarity(x):
    unit = F.normalize(x, dim=-1)
    return unit @ unit.transpose(1, 2)


class Step:
    """work() makes one update and returns the losses and the norm of the gradients."""

    def __init__(self, request):
        self.half = request["dtype"] == "bfloat16"
        options = request["train"]
        args = request["checkpoint"], torch.float32, request["heads"], request["textHeads"]
        self.student = Student(*args)
        learns = {"declip": self.learns_declip, "contrastive": lambda name: True}
        self.student.learn(learns[options["objective"]])
        groups = [{"params": [], "weight_decay": d} for d in (options["weightDecay"], 0)]
        for name, tensor in self.student.learning.items():
            plain = tensor.dim() < 2 or any(k in name for k in ("bn", "ln", "bias", "logit_scale"))
            groups[plain]["params"].append(tensor)
        self.optimiser = torch.optim.AdamW(
            groups, lr=options["schedule"]["rate"], betas=(0.9, 0.98), eps=1e-6, fused=True
        )

        def read(name, dtype=np.float32):
            values = np.fromfile(request[name], dtype=dtype).reshape(request[name + "Shape"])
            return torch.from_numpy(values)

        self.images = read("images")
        if options["objective"] == "contrastive":
            self.tokens = read("tokens", np.int32).long()
            self.losses = self.contrastive
            self.student.activation = F.gelu
            return
        self.teacher = Student(*args)
        self.teacher.learn(lambda name: False)
        self.crops, self.boxes, self.vfm = read("crops"), read("boxes"), read("vfm")
        self.context_weight = options["contextWeight"]
        self.losses = self.declip

    def learns_declip(self, name):
        """The blocks, less what the last has no use for."""
        last = self.student.blocks[-1]
        unused = name.startswith((last + ".mlp.", last + ".ln_2."))
        return name.startswith("visual.transformer.resblocks.") and not unused

    def declip(self):
        with torch.no_grad():
            teacher = self.teacher.encode_image(self.crops)
        features, queries = self.student.dense_qq(self.images)
        weights = pooling(self.boxes[..., :4], features.shape[-1])
        regions = F.normalize((weights @ features.flatten(2).transpose(1, 2)).flatten(0, 1), dim=-1)
        content = 1 - (regions * teacher).sum(-1).mean()
        wanted = similarity(self.vfm.flatten(2).transpose(1, 2))
        context = (wanted - similarity(queries)).norm(dim=-1).mean()
        return content + self.context_weight * context

    def contrastive(self):
        images = self.student.encode_image(self.images)
        length = int(self.tokens.argmax(dim=-1).max()) + 1  # padding behind the end is not read
        texts = self.student.encode_text(self.tokens[:, :length])
        logits = self.student.w["logit_scale"].exp() * images @ texts.T
        own = torch.arange(len(logits))
        return (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2

    def work(self):
        with torch.inference_mode(False), torch.enable_grad():
            with torch.autocast("cpu", torch.bfloat16, enabled=self.half):
                loss = self.losses()
            loss.backward()
            gradients = [p.grad for p in self.student.learning.values() if p.grad is not None]
            norm = torch.nn.utils.get_total_norm(gradients)
            self.optimiser.step()
            self.optimiser.zero_grad(set_to_none=True)
            return torch.stack([loss.detach(), norm])


def prepare(request):
    with torch.inference_mode(False):
        return Step(request).work
