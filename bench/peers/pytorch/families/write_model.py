"""Writes the folder of a full-size model with random weights and a tokenizer trained small:

    python write_model.py NAME FOLDER

Prints what the programs that load it have to know as JSON: { side, mode, library, tokenizer }.
"""

import json
import sys
from pathlib import Path

import tokenizer_files
from clip_models import Clip
from full_size import MODELS
from hub_models import OpenClip
from libraries import torch
from siglip import Naflex, Siglip
from tips import Tips
from weights import save_json

#: Pieces of the tokenizers; ids stay far below the tables of published models.
PIECES = 900


def tokenizer_of(original):
    """One of tokenizer_files.KINDS; None where CLIP's own serves, or nothing is to read."""
    if isinstance(original, Naflex):
        return "gemma"
    if isinstance(original, Siglip):
        return "gemma" if original.second else "siglip"
    if isinstance(original, Tips):
        return "tips"
    if isinstance(original, Clip):
        return "xlm" if original.model.config.model_type == "metaclip_2" else None
    if isinstance(original, OpenClip) and original.cfg["text_cfg"].get("hf_tokenizer_name"):
        return "gemma" if original.vocab > 200000 else "open_clip_siglip"
    return None


def main():
    name, folder = sys.argv[1], Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    original = MODELS[name](0)
    original.save(folder, torch.float16)
    kind = tokenizer_of(original)
    if kind:
        tokenizer_files.KINDS[kind](folder, PIECES)
    facts = {
        "side": original.side,
        "mode": "maskclip" if "maskclip" in original.modes else original.modes[0],
        "reads": original.vocab is not None,
        "wrapper": type(original).__name__,
        "name": name,
        "context": original.context,
    }
    save_json(facts, folder.with_suffix(".json"))
    print(json.dumps(facts))


main()
