"""A model of transformers, open_clip or timm, loaded from a folder as their documentation says, and what
bench/families/ asks of it; bench/program.mjs says how the two talk. `run STEP`:

image   the embedding of a picture from its file
dense   patch features of the picture against the words' features, as a label for every pixel
text    embeddings of prompts
"""

import json
import sys
import time

start = time.perf_counter()

from clip_models import Clip  # noqa: E402
from dinov3 import Dinov3, TimmDinov3  # noqa: E402
from hub_models import OpenClip  # noqa: E402
from libraries import open_clip, timm, torch, transformers  # noqa: E402
from original import grid  # noqa: E402
from PIL import Image  # noqa: E402
from siglip import Naflex, Siglip  # noqa: E402
from tips import Tips  # noqa: E402

F = torch.nn.functional
WRAPPERS = {kind.__name__: kind for kind in (Clip, Dinov3, Naflex, OpenClip, Siglip, TimmDinov3, Tips)}


def memory(key):
    try:
        with open("/proc/self/status") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith(key))
    except OSError:
        return 0


def reset_peak():
    try:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
    except OSError:
        pass


class Served:
    """A loaded model, with its own preprocessing and tokenizer."""

    def __init__(self, request):
        folder, self.facts = request["model"], request["facts"]
        self.original = WRAPPERS[self.facts["wrapper"]].__new__(WRAPPERS[self.facts["wrapper"]])
        self.request = request
        kind = self.facts["wrapper"]
        if kind == "OpenClip":
            model, _, self.transform = open_clip.create_model_and_transforms(f"local-dir:{folder}")
            self.original.cfg = json.load(open(f"{folder}/open_clip_config.json"))["model_cfg"]
            self.original.preprocess = {}
            self.tokenizer = open_clip.get_tokenizer(f"local-dir:{folder}") if self.own_tokenizer() else None
            self.tokenizer = self.tokenizer or open_clip.SimpleTokenizer(context_length=self.facts["context"])
        elif kind == "TimmDinov3":
            model = timm.create_model(
                self.facts["name"],
                num_classes=0,
                img_size=self.facts["side"],
                checkpoint_path=f"{folder}/model.safetensors",
            )
            data = timm.data.resolve_model_data_config(model)
            self.transform = timm.data.create_transform(**data, is_training=False)
        else:
            model = transformers.AutoModel.from_pretrained(folder, dtype=torch.float32)
            self.transform = None
            if self.facts["reads"]:
                self.tokenizer = self.transformers_tokenizer(folder)
        self.original.adopt(model.eval())

    def own_tokenizer(self):
        return "hf_tokenizer_name" in self.original.cfg["text_cfg"]

    def transformers_tokenizer(self, folder):
        kind = {
            "Naflex": transformers.Siglip2Tokenizer,
            "Tips": transformers.Tipsv2Tokenizer,
        }.get(self.facts["wrapper"], transformers.AutoTokenizer)
        return kind.from_pretrained(folder)

    def pixels(self, path):
        picture = Image.open(path).convert("RGB")
        if self.transform:
            return self.transform(picture)[None]
        side = self.facts["side"]
        squashed = picture.resize((side, side), Image.Resampling.BICUBIC)
        values = torch.frombuffer(bytearray(squashed.tobytes()), dtype=torch.uint8)
        values = values.view(side, side, 3).permute(2, 0, 1).float() / 255
        mean, std = (torch.tensor(v).view(3, 1, 1) for v in (self.original.mean, self.original.std))
        return ((values - mean) / std)[None]

    def ids(self, texts):
        if self.facts["wrapper"] == "OpenClip":
            return self.tokenizer(texts)
        full = {"padding": "max_length", "truncation": True, "max_length": self.facts["context"]}
        return self.tokenizer(texts, return_tensors="pt", **full).input_ids

    def image(self):
        return F.normalize(self.original.look(self.pixels(self.request["picture"]))[0], dim=-1)

    def text(self, texts=None):
        return F.normalize(self.original.text(self.ids(texts or self.request["prompts"])), dim=-1)

    def dense(self):
        pixels = self.pixels(self.request["picture"])
        _, seen = self.original.look(pixels)
        size = [side // self.original.patch for side in pixels.shape[2:]]
        features = F.normalize(grid(self.original.dense(seen, self.facts["mode"]), *size), dim=1)
        if not self.facts["reads"]:
            return features
        logits = torch.einsum("bdhw,kd->bkhw", features, self.words)
        side = self.facts["side"]
        logits = F.interpolate(logits, size=(side, side), mode="bilinear", align_corners=False)
        return logits.argmax(1).to(torch.uint8)


def say(**message):
    print(json.dumps(message), flush=True)


def main():
    request = json.loads(sys.argv[1])
    torch.set_num_threads(request["threads"])
    with torch.inference_mode():
        imported = time.perf_counter()
        served = Served(request)
        load = (time.perf_counter() - imported) * 1000
        peak = memory("VmHWM")
        engine = f"PyTorch {torch.__version__}"
        began = (imported - start) * 1000
        say(ready=True, engine=engine, rss=memory("VmRSS"), peak=peak, load=load, began=began)
        if request["facts"]["reads"]:
            served.words = served.text(request["words"])
        reset_peak()
        answer = None
        for line in sys.stdin:
            command, step = line.split(maxsplit=1)
            if command == "run":
                answer = None
                begin = time.perf_counter()
                answer = getattr(served, step.strip())()
                ms = (time.perf_counter() - begin) * 1000
                say(ms=ms, peak=memory("VmHWM"), bytes=answer.nbytes)
            else:
                answer.contiguous().numpy().tofile(step.strip())
                say(written=True)


main()
