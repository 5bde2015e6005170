"""Writes models of every family with random weights, and what their originals give for pictures and ids:

    python write_cases.py FOLDER [family[/case]...]

With --full-size, models of published sizes (`full_size.py`), which are then named as family 'full-size'.

FOLDER/family/case gets the model's folder `model`, `tensors.safetensors` with inputs and answers, and
`case.json`: { config, checks: [{ what, input or strings, expected, atol, rtol }] }. A check passes where
|ours - theirs| <= atol + rtol * |theirs|; atol is 20 times what a float64 run differs by, and at least
2e-6 of the largest number.
"""

import sys
import traceback
from pathlib import Path

import numpy as np
import small_texts
import tokenizer_files
from libraries import torch
from PIL import Image
from full_size import MODELS
from small import CASES
from weights import save_json, save_tensors

PHOTO = Path(__file__).parents[4] / "test/fixtures/itaclip-pipeline/photo.png"

#: Larger models are not run in float64.
EXACT = 5e8


def photo(height, width, mean, std, flip=False):
    """[1, 3, H, W]"""
    picture = Image.open(PHOTO).convert("RGB").resize((width, height), Image.Resampling.BICUBIC)
    pixels = torch.from_numpy(np.array(picture)).permute(2, 0, 1).float() / 255
    pixels = (pixels - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)
    return (pixels.flip(2) if flip else pixels)[None]


@torch.inference_mode()
def write(original, sizes, folder, exact=True, dtype=torch.float16):
    """Of one model. `exact`: tolerances from a run in float64."""
    tensors, checks = {}, []
    native = (original.side, original.side)
    all_sizes = [native] if original.native_only else [native, *sizes]
    inputs = {f"image {h}x{w}": photo(h, w, original.mean, original.std) for h, w in all_sizes}
    inputs[f"image {native[0]}x{native[1]}"] = torch.cat(
        [photo(*native, original.mean, original.std, flip) for flip in (False, True)]
    )
    if original.vocab:
        inputs["ids"] = original.texts(torch.Generator().manual_seed(7))

    def answers():
        kind = next(original.model.parameters()).dtype
        return {
            (name, what): value
            for name, given in inputs.items()
            for what, value in (
                {"text": original.text(given)} if name == "ids" else original.pictures(given.to(kind))
            ).items()
        }

    original.save(folder / "model", dtype)
    single = answers()
    double = {key: value.clone() for key, value in single.items()}
    if exact:
        original.double()
        double = answers()
    for (name, what), value in single.items():
        biggest = value.abs().max().item()
        off = (value.double() - double[name, what].double()).abs().max().item()
        key = f"{name}: {what}"
        tensors[key] = value.float()
        checks.append(
            {
                "what": what,
                "input": name,
                "expected": key,
                "atol": max(20 * off, (2e-6 if exact else 2e-5) * biggest),
                "rtol": 1e-4,
                "largest": biggest,
            }
        )
    save_tensors({**inputs, **tensors}, folder / "tensors.safetensors", torch.float32)
    save_json({"config": original.config, "checks": checks}, folder / "case.json")


@torch.inference_mode()
def write_texts(make, kind, tokenizer_of, folder):
    """Of a model with a tokenizer: ids of strings, and the embeddings of those."""
    original = make()
    model = folder / "model"
    original.save(model, torch.float16)
    if kind:
        tokenizer_files.KINDS[kind](model, small_texts.PIECES)
    strings = small_texts.texts()
    ids = tokenizer_of(model)(strings)
    embeddings = original.text(ids)
    save_tensors({"ids": ids, "embeddings": embeddings}, folder / "tensors.safetensors", torch.float32)
    biggest = embeddings.abs().max().item()
    exact = {"atol": 0.5, "rtol": 0, "largest": ids.max().item()}
    near = {"atol": 2e-5 * biggest, "rtol": 1e-4, "largest": biggest}
    checks = [
        {"what": "tokens", "strings": strings, "expected": "ids", **exact},
        {"what": "strings", "strings": strings, "expected": "embeddings", **near},
    ]
    save_json({"config": original.config, "checks": checks}, folder / "case.json")


def main():
    folder, *wanted = (argument for argument in sys.argv[1:] if argument != "--full-size")
    if "--full-size" in sys.argv:
        families = {"full-size": {name: (lambda make=make: make(0), None) for name, make in MODELS.items()}}
    else:
        texts = {name: (make, (kind, tokenizer)) for name, (make, kind, tokenizer) in small_texts.CASES.items()}
        families = {**CASES, "texts": texts}
        torch.set_num_threads(1)
    failed = 0
    for family, cases in families.items():
        for name, (make, sizes) in cases.items():
            if wanted and not any(w in (family, f"{family}/{name}") for w in wanted):
                continue
            try:
                if family == "texts":
                    write_texts(make, *sizes, Path(folder) / family / name)
                    print(f"{family}/{name}")
                    continue
                original = make()
                larger = (original.side + 2 * original.patch, original.side - 2 * original.patch)
                exact = sum(p.numel() for p in original.model.parameters()) < EXACT
                write(original, [larger] if sizes is None else sizes, Path(folder) / family / name, exact)
                print(f"{family}/{name}")
            except Exception:
                failed += 1
                print(f"{family}/{name} FAILED")
                traceback.print_exc()
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
