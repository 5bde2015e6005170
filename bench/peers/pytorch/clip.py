"""CLIP's two towers as a PyTorch program (arXiv:2103.00020), from a state dict in OpenAI's naming.

Eager, with scaled_dot_product_attention wherever the attention weights are not needed.
"""

import json
import mmap
import struct

import torch
import torch.nn.functional as F

TYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}


def read_safetensors(path):
    """Tensors that share one memory map of the file."""
    with open(path, "rb") as file:
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__", None)

    def tensor(entry):
        begin, end = entry["data_offsets"]
        dtype = TYPES[entry["dtype"]]
        count = (end - begin) // dtype.itemsize
        flat = torch.frombuffer(data, dtype=dtype, count=count, offset=8 + length + begin)
        return flat.reshape(entry["shape"])

    return {name: tensor(entry) for name, entry in header.items()}


class Clip:
    def __init__(self, path, dtype, heads, text_heads):
        self.w = {name: tensor.to(dtype) for name, tensor in read_safetensors(path).items()}
        self.dtype, self.heads, self.text_heads = dtype, heads, text_heads
        self.blocks = self.names("visual.transformer.resblocks.")
        self.text_blocks = self.names("transformer.resblocks.")
        self.patch = self.w["visual.conv1.weight"].shape[-1]

    def names(self, prefix):
        numbers = {int(k[len(prefix) :].split(".")[0]) for k in self.w if k.startswith(prefix)}
        return [f"{prefix}{i}" for i in sorted(numbers)]

    def norm(self, x, name):
        weight = self.w[name + ".weight"]
        return F.layer_norm(x, weight.shape, weight, self.w[name + ".bias"])

    def linear(self, x, name):
        return F.linear(x, self.w[name + ".weight"], self.w[name + ".bias"])

    def qkv(self, x, block, heads):
        """Each [B, heads, L, d]."""
        w, b = self.w[block + ".attn.in_proj_weight"], self.w[block + ".attn.in_proj_bias"]
        return [t.unflatten(2, (heads, -1)).transpose(1, 2) for t in F.linear(x, w, b).chunk(3, -1)]

    def out(self, attended, block):
        return self.linear(attended.transpose(1, 2).flatten(2), block + ".attn.out_proj")

    def mlp(self, x, block):
        x = self.linear(x, block + ".mlp.c_fc")
        return self.linear(x * torch.sigmoid(1.702 * x), block + ".mlp.c_proj")

    def block(self, x, block, heads, causal=False):
        q, k, v = self.qkv(self.norm(x, block + ".ln_1"), block, heads)
        x = x + self.out(F.scaled_dot_product_attention(q, k, v, is_causal=causal), block)
        return x + self.mlp(self.norm(x, block + ".ln_2"), block)

    def embed(self, image):
        x = F.conv2d(image.to(self.dtype), self.w["visual.conv1.weight"], stride=self.patch)
        x = x.flatten(2).transpose(1, 2)
        cls = self.w["visual.class_embedding"].expand(x.shape[0], 1, -1)
        x = torch.cat([cls, x], dim=1) + self.w["visual.positional_embedding"]
        return self.norm(x, "visual.ln_pre")

    def finish(self, x):
        return self.norm(x, "visual.ln_post") @ self.w["visual.proj"]

    def encode_image(self, image):
        x = self.embed(image)
        for name in self.blocks:
            x = self.block(x, name, self.heads)
        return F.normalize(self.finish(x[:, 0]).float(), dim=-1)

    def encode_text(self, tokens):
        x = self.w["token_embedding.weight"][tokens] + self.w["positional_embedding"]
        for name in self.text_blocks:
            x = self.block(x, name, self.text_heads, causal=True)
        x = self.norm(x, "ln_final")
        x = x[torch.arange(len(x)), tokens.argmax(dim=-1)] @ self.w["text_projection"]
        return F.normalize(x.float(), dim=-1)

    def encode_class(self, prompts):
        """Feature of one class from the tokens of its prompts, [templates, 77]."""
        return F.normalize(self.encode_text(prompts).mean(dim=0), dim=0)
