"""The bundled model by an implementation of its own, in numpy: what test/golden/bundled-model.ts and
the model card's figures are compared with.

    pip install numpy==2.4.6 pillow==12.3.0
    python models/recipe/measure/reference.py [--model models/words-tiny/model.safetensors] [--out models/words-tiny/check.json]

Follows the papers (CLIP arXiv:2103.00020, MaskCLIP arXiv:2112.01071) and shares no code with the
package: its own reader, tokenizer, towers, windows and metric, all in float32. Words are means of
the 80 ImageNet prompts, the background is the best of the set's words, windows are of the model's size,
half as far apart, their similarities are upsampled bilinearly and averaged.
"""

import argparse
import json
import re
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[3]
HEAD = 64
MEAN = np.array([0.48145466, 0.4578275, 0.40821073], np.float32)
STD = np.array([0.26862954, 0.26130258, 0.27577711], np.float32)
TYPES = {"F16": np.float16, "F32": np.float32}


def read_safetensors(path):
    data = Path(path).read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    header.pop("__metadata__", None)
    out = {}
    for name, entry in header.items():
        begin, end = (8 + size + x for x in entry["data_offsets"])
        flat = np.frombuffer(data[begin:end], TYPES[entry["dtype"]])
        out[name] = flat.reshape(entry["shape"]).astype(np.float32)
    return out


class Tokenizer:
    """CLIP's byte pairs, for plain lower-case English."""

    def __init__(self):
        shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
        hidden = [b for b in range(256) if b not in shown]
        symbols = [chr(b) for b in shown] + [chr(256 + i) for i in range(len(hidden))]
        words = symbols + [s + "</w>" for s in symbols]
        pairs = np.fromfile(ROOT / "assets/clip-merges.bin", "<u2").reshape(-1, 2).tolist()
        merges = []
        for left, right in pairs:
            merges.append((words[left], words[right]))
            words.append(words[left] + words[right])
        self.ids = {word: i for i, word in enumerate(words)}
        self.rank = {merge: i for i, merge in enumerate(merges)}
        self.start, self.end = len(words), len(words) + 1

    def word(self, text):
        parts = [*text[:-1], text[-1] + "</w>"]
        while len(parts) > 1:
            best = min(zip(parts, parts[1:]), key=lambda pair: self.rank.get(pair, 1 << 30))
            if best not in self.rank:
                break
            out, i = [], 0
            while i < len(parts):
                joined = i + 1 < len(parts) and (parts[i], parts[i + 1]) == best
                out.append("".join(best) if joined else parts[i])
                i += 2 if joined else 1
            parts = out
        return [self.ids[part] for part in parts]

    def __call__(self, text):
        words = re.findall(r"'s|'t|'re|'ve|'m|'ll|'d|[a-z]+|[0-9]|[^\sa-z0-9]+", text.lower())
        return [self.start, *(i for word in words for i in self.word(word)), self.end]


def norm(x, w, name):
    x = x - x.mean(-1, keepdims=True)
    x = x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-5)
    return x * w[name + ".weight"] + w[name + ".bias"]


def linear(x, w, name):
    return x @ w[name + ".weight"].T + w[name + ".bias"]


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def attention(x, w, name, mode, mask=0.0):
    """The attention of a block, [B, L, C] -> [B, L, C]; see the table of modes in docs."""
    qkv = x @ w[name + ".in_proj_weight"].T + w[name + ".in_proj_bias"]
    q, k, v = (
        part.reshape(*part.shape[:2], -1, HEAD).transpose(0, 2, 1, 3) for part in np.split(qkv, 3, -1)
    )
    self_similarity = lambda a: softmax(a @ a.transpose(0, 1, 3, 2) / np.sqrt(HEAD))
    if mode == "vanilla":
        out = softmax(q @ k.transpose(0, 1, 3, 2) / np.sqrt(HEAD) + mask) @ v
    elif mode == "maskclip":
        out = v
    elif mode == "qq":
        out = self_similarity(q) @ v
    elif mode == "csa":
        out = (self_similarity(q) + self_similarity(k)) @ v
    out = out.transpose(0, 2, 1, 3).reshape(x.shape)
    return linear(out, w, name + ".out_proj")


def block(x, w, name, mode="vanilla", mask=0.0):
    x = x + attention(norm(x, w, name + ".ln_1"), w, name + ".attn", mode, mask)
    hidden = linear(norm(x, w, name + ".ln_2"), w, name + ".mlp.c_fc")
    return x + linear(hidden / (1 + np.exp(-1.702 * hidden)), w, name + ".mlp.c_proj")


def count(w, prefix):
    return 1 + max(int(k[len(prefix) :].split(".")[0]) for k in w if k.startswith(prefix))


def encode_image(w, pixels, mode):
    """Pixels [B, H, W, 3] of 0..255 -> unit features [B, 1 + N, E], class token first."""
    x = (pixels.astype(np.float32) / 255 - MEAN) / STD
    conv = w["visual.conv1.weight"]
    patch, grid = conv.shape[-1], x.shape[1] // conv.shape[-1]
    x = x.reshape(-1, grid, patch, grid, patch, 3).transpose(0, 1, 3, 5, 2, 4)
    x = x.reshape(len(x), grid * grid, -1) @ conv.reshape(len(conv), -1).T
    cls = np.broadcast_to(w["visual.class_embedding"], (len(x), 1, x.shape[-1]))
    x = norm(np.concatenate([cls, x], 1) + w["visual.positional_embedding"], w, "visual.ln_pre")
    prefix = "visual.transformer.resblocks."
    last = count(w, prefix) - 1
    for i in range(last):
        x = block(x, w, f"{prefix}{i}")
    # The class token is always that of the unmodified block.
    dense = block(x, w, f"{prefix}{last}", mode)
    dense[:, 0] = block(x, w, f"{prefix}{last}")[:, 0]
    return unit(norm(dense, w, "visual.ln_post") @ w["visual.proj"])


def encode_texts(w, tokens):
    length = max(map(len, tokens))
    ids = np.array([t + [0] * (length - len(t)) for t in tokens])
    x = w["token_embedding.weight"][ids] + w["positional_embedding"][:length]
    mask = np.triu(np.full((length, length), -np.inf, np.float32), 1)
    for i in range(count(w, "transformer.resblocks.")):
        x = block(x, w, f"transformer.resblocks.{i}", mask=mask)
    x = norm(x, w, "ln_final")[np.arange(len(ids)), [len(t) - 1 for t in tokens]]
    return unit(x @ w["text_projection"])


def upsample(x, size):
    """Bilinear, half-pixel centres: [h, w, C] -> [size, size, C]."""
    def along(x, axis):
        n = x.shape[axis]
        at = np.clip((np.arange(size) + 0.5) * n / size - 0.5, 0, None)
        low = np.minimum(at.astype(int), n - 1)
        high = np.minimum(low + 1, n - 1)
        shape = [1, 1, 1]
        shape[axis] = size
        t = (at - low).astype(np.float32).reshape(shape)
        return np.take(x, low, axis) * (1 - t) + np.take(x, high, axis) * t
    return along(along(x, 0), 1)


def starts(length, window, stride):
    steps = max(0, -(-(length - window) // stride)) + 1
    return [min(i * stride, length - window) for i in range(steps)]


def window_maps(w, picture, mode, side):
    """(y, x, features [g, g, E]) of every window."""
    height, width = picture.shape[:2]
    places = [(y, x) for y in starts(height, side, side // 2) for x in starts(width, side, side // 2)]
    crops = np.stack([picture[y : y + side, x : x + side] for y, x in places])
    features = encode_image(w, crops, mode)[:, 1:]
    grid = int(np.sqrt(features.shape[1]))
    return [(y, x, f.reshape(grid, grid, -1)) for (y, x), f in zip(places, features)]


def labels_of(maps, words, classes, shape, side):
    """Argmax over classes of the mean similarity; words [Q, E], classes: class of each."""
    total = np.zeros((*shape, len(words)), np.float32)
    seen = np.zeros((*shape, 1), np.float32)
    for y, x, features in maps:
        total[y : y + side, x : x + side] += upsample(features @ words.T, side)
        seen[y : y + side, x : x + side] += 1
    return classes[np.argmax(total / seen, -1)]


def mean_iou(pairs, count):
    """Over classes that occur, intersections and unions over all pictures."""
    table = np.zeros((count, count), np.int64)
    for truth, found in pairs:
        np.add.at(table, (truth.ravel(), found.ravel()), 1)
    both, union = np.diag(table), table.sum(0) + table.sum(1) - np.diag(table)
    occurs = table.sum(1) > 0
    return float((both[occurs] / union[occurs]).mean())


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", default=ROOT / "models/words-tiny/model.safetensors")
    parser.add_argument("--modes", default="vanilla,maskclip,qq,csa")
    parser.add_argument("--out")
    args = parser.parse_args()
    w, tokenize = read_safetensors(args.model), Tokenizer()
    side = w["visual.conv1.weight"].shape[-1] * int(np.sqrt(len(w["visual.positional_embedding"]) - 1))
    folder = ROOT / "models/scenes"
    sheet = json.loads((folder / "scenes.json").read_text())
    source = (ROOT / "ts/text/templates.ts").read_text()
    templates = re.split(r"[|\n]", re.search("const IMAGENET = `(.*?)`", source, re.S)[1])
    assert len(templates) == 80, len(templates)
    names = (ROOT / "models/words-tiny/classes.txt").read_text().split("\n")[:-1]
    background = sheet["background_words"]
    feature = {
        word: unit(encode_texts(w, [tokenize(t.replace("{}", word)) for t in templates]).mean(0))
        for word in [*background, *names]
    }
    offered = [*background, *names]
    all_words = np.stack([feature[word] for word in offered])
    all_classes = np.array([0] * len(background) + [1 + i for i in range(len(names))])
    out = {"note": "float32; features are L2-normalised; see models/recipe/measure/reference.py", "prompts": []}
    for text in ("a photo of a pizza.", "pizza", "background"):
        ids = tokenize(text)
        out["prompts"].append(
            {"text": text, "ids": ids, "feature": encode_texts(w, [ids])[0].round(5).tolist()}
        )
    out["mIoU"] = {}
    for mode in args.modes.split(","):
        own, every = [], []
        for scene in sheet["scenes"]:
            picture = np.asarray(Image.open(folder / scene["file"]).convert("RGB"))
            mask = np.asarray(Image.open(folder / scene["labels"]))
            mask = mask if mask.ndim == 2 else mask[..., 0]
            ids = np.array([0, *(1 + names.index(name) for name in scene["classes"][1:])])
            truth = ids[mask]
            maps = window_maps(w, picture, mode, side)
            own_words = np.stack([feature[word] for word in [*background, *scene["classes"][1:]]])
            own_classes = np.array([0] * len(background) + list(ids[1:]))
            own.append((truth, labels_of(maps, own_words, own_classes, truth.shape, side)))
            every.append((truth, labels_of(maps, all_words, all_classes, truth.shape, side)))
        count_of = 1 + len(names)
        out["mIoU"][mode] = {"scene": round(mean_iou(own, count_of), 4), "all": round(mean_iou(every, count_of), 4)}
        print(mode, out["mIoU"][mode])
    if args.out:
        Path(args.out).write_text(json.dumps(out) + "\n")


main()
