"""The same towers as plain PyTorch modules, with the same weights: checked against what declip_device
wrote, and timed.

    python3 scripts/cuda/torch_modules.py FOLDER MODEL [--device cuda] [--small]

FOLDER holds MODEL.safetensors and MODEL-outputs.safetensors. Needs torch and nothing else. Prints
JSON lines with the fields of bench/device.
"""

import argparse
import json
import math
import statistics
import time
import warnings

warnings.filterwarnings("ignore", message="Failed to initialize NumPy")

import torch
import torch.nn.functional as F
from torch import nn

TYPES = {"F32": torch.float32, "I64": torch.int64}
LEAST_COSINE = {"float32": 0.99999, "float16": 0.9995, "bfloat16": 0.995}


def read_safetensors(path):
    """-> ({name: tensor}, metadata)"""
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
        data = bytearray(file.read())
    metadata = header.pop("__metadata__", {})
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        dtype = TYPES[entry["dtype"]]
        count = (end - begin) // dtype.itemsize
        flat = torch.frombuffer(data, dtype=dtype, count=count, offset=begin)
        tensors[name] = flat.view(entry["shape"])
    return tensors, metadata


class Block(nn.Module):
    def __init__(self, width, activation):
        super().__init__()
        self.heads = width // 64
        self.activation = activation
        self.ln_1 = nn.LayerNorm(width)
        self.in_proj = nn.Linear(width, 3 * width)
        self.out_proj = nn.Linear(width, width)
        self.ln_2 = nn.LayerNorm(width)
        self.c_fc = nn.Linear(width, 4 * width)
        self.c_proj = nn.Linear(4 * width, width)

    def split(self, x):
        """[B, N, C] -> q, k, v [B, heads, N, 64]"""
        parts = self.in_proj(self.ln_1(x)).chunk(3, -1)
        return [p.unflatten(-1, (self.heads, 64)).transpose(1, 2) for p in parts]

    def forward(self, x, causal=False):
        q, k, v = self.split(x)
        heads = F.scaled_dot_product_attention(q, k, v, is_causal=causal)
        x = x + self.out_proj(heads.transpose(1, 2).flatten(2))
        return x + self.c_proj(self.activation(self.c_fc(self.ln_2(x))))

    def csa(self, x):
        """DeCLIP's last block: queries and keys attend to themselves; neither residual nor MLP."""
        q, k, v = self.split(x)
        maps = sum(F.softmax(a @ a.transpose(-1, -2) / 8, -1) for a in (q, k))
        return self.out_proj((maps @ v).transpose(1, 2).flatten(2))


class Blocks(nn.Module):
    def __init__(self, width, layers, activation):
        super().__init__()
        self.resblocks = nn.ModuleList(Block(width, activation) for _ in range(layers))


class Clip(nn.Module):
    """OpenAI's CLIP; a weight's name differs from the file's in the `attn.` and `mlp.` it lacks."""

    def __init__(self, weights, activation):
        super().__init__()

        def layers(prefix):
            return len({n.split(".")[len(prefix.split("."))] for n in weights if n.startswith(prefix + ".")})

        width, _, patch, _ = weights["visual.conv1.weight"].shape
        text_width = weights["ln_final.weight"].shape[0]
        self.visual = nn.Module()
        self.visual.conv1 = nn.Conv2d(3, width, patch, patch, bias=False)
        self.visual.ln_pre = nn.LayerNorm(width)
        self.visual.transformer = Blocks(width, layers("visual.transformer.resblocks"), activation)
        self.visual.ln_post = nn.LayerNorm(width)
        self.token_embedding = nn.Embedding(*weights["token_embedding.weight"].shape)
        self.transformer = Blocks(text_width, layers("transformer.resblocks"), activation)
        self.ln_final = nn.LayerNorm(text_width)
        for name, shape in (
            ("class_embedding", [width]),
            ("positional_embedding", weights["visual.positional_embedding"].shape),
            ("proj", weights["visual.proj"].shape),
        ):
            setattr(self.visual, name, nn.Parameter(torch.empty(shape)))
        for name in ("positional_embedding", "text_projection", "logit_scale"):
            setattr(self, name, nn.Parameter(torch.empty(weights[name].shape)))
        self.load_state_dict(
            {
                name.replace(".attn.in_proj_", ".in_proj.").replace(".attn.", ".").replace(".mlp.", "."): tensor
                for name, tensor in weights.items()
            }
        )

    def embed(self, images):
        v = self.visual
        patches = v.conv1(images).flatten(2).transpose(1, 2)
        first = v.class_embedding.expand(len(images), 1, -1)
        return v.ln_pre(torch.cat([first, patches], 1) + v.positional_embedding)

    def encode_image(self, images):
        x = self.embed(images)
        for block in self.visual.transformer.resblocks:
            x = block(x)
        return F.normalize((self.visual.ln_post(x[:, 0]) @ self.visual.proj).float(), dim=-1)

    def encode_dense(self, images, csa=False):
        """-> [B, E, h, w]"""
        x = self.embed(images)
        *blocks, last = self.visual.transformer.resblocks
        for block in blocks:
            x = block(x)
        x = last.csa(x) if csa else last(x)
        tokens = self.visual.ln_post(x[:, 1:]) @ self.visual.proj
        side = math.isqrt(tokens.shape[1])
        return F.normalize(tokens.float(), dim=-1).transpose(1, 2).unflatten(-1, (side, side))

    def encode_text(self, tokens):
        x = self.token_embedding(tokens) + self.positional_embedding
        for block in self.transformer.resblocks:
            x = block(x, causal=True)
        last = x[torch.arange(len(x)), tokens.argmax(-1)]
        return F.normalize((self.ln_final(last) @ self.text_projection).float(), dim=-1)


def quick_gelu(x):
    return x * torch.sigmoid(1.702 * x)


def milliseconds(run, device, budget=0.3):
    """Median time of a run, as bench/device/stopwatch.cpp measures it."""

    def timed(runs):
        start = time.perf_counter()
        for _ in range(runs):
            run()
        if device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - start

    timed(1)
    one = max(timed(1), 1e-7)
    runs = int(min(max(0.01 / one, 1), 1000))
    samples = int(min(max(budget / (runs * one), 3), 15))
    return 1e3 * statistics.median(timed(runs) / runs for _ in range(samples))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("folder")
    parser.add_argument("model")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--small", action="store_true")
    args = parser.parse_args()
    base = f"{args.folder}/{args.model}"
    weights, _ = read_safetensors(f"{base}.safetensors")
    wanted, about = read_safetensors(f"{base}-outputs.safetensors")
    activation = {"gelu": F.gelu, "quick_gelu": quick_gelu}[about["activation"]]
    one, tokens = wanted["input.one"], wanted["input.tokens"]
    batch = int(about["batch"])
    ok = True
    for dtype in ("float32", "bfloat16", "float16"):
        kind = getattr(torch, dtype)
        model = Clip(weights, activation).eval().to(args.device, kind)
        squares = one.to(args.device, kind).repeat(batch, 1, 1, 1)
        prompts = tokens.to(args.device).repeat((batch + 2) // 3, 1)
        first, three = squares[:1], prompts[:3]
        same = {"program": "torch", "model": args.model, "device": args.device, "dtype": dtype}
        for what, key, run in (
            ("image", "image", lambda: model.encode_image(first)),
            ("dense-vanilla", "one-vanilla", lambda: model.encode_dense(first)),
            ("dense-csa", "one-csa", lambda: model.encode_dense(first, csa=True)),
            ("text", "text", lambda: model.encode_text(three)),
        ):
            least = F.cosine_similarity(run().cpu(), wanted[key], dim=1).min().item()
            good = least >= LEAST_COSINE[dtype]
            ok &= good
            line = {"kind": "agreement", **same, "what": what, "leastCosine": round(least, 7)}
            print(json.dumps({**line, "limit": LEAST_COSINE[dtype], "ok": good}), flush=True)
        for what, count, run in (
            ("image", batch, lambda: model.encode_image(squares)),
            ("dense-vanilla", batch, lambda: model.encode_dense(squares)),
            ("dense-csa", batch, lambda: model.encode_dense(squares, csa=True)),
            ("text", len(prompts), lambda: model.encode_text(prompts)),
            ("one-image", 1, lambda: model.encode_image(first)),
        ):
            ms = milliseconds(run, args.device, 0.05 if args.small else 0.3)
            line = {"kind": "speed", **same, "what": what, "batch": count, "ms": round(ms, 4)}
            print(json.dumps({**line, "perSecond": round(1e3 * count / ms, 1)}), flush=True)
    return 0 if ok else 1


if __name__ == "__main__":
    with torch.inference_mode():
        raise SystemExit(main())
