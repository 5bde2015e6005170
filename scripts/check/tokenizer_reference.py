"""Ids of the original tokenizers, for scripts/check/tokenizer-agreement.mjs.

    python tokenizer_reference.py FOLDER

FOLDER/work.json: {"texts": [...], "lines": [...] to train vocabularies with (may be absent),
"cases": [{"name", "folder", "reference", "context", "train", "clean"}]}. Trains the vocabularies that a case asks for
into its folder, writes FOLDER/NAME.ids: int32 [texts, context].
Needs sentencepiece, tokenizers, transformers 5.18.0 and, for reference open_clip, open_clip_torch 3.3.0.
"""

import importlib.util
import json
import shutil
import sys
from array import array
from pathlib import Path

import sentencepiece
import transformers

WORK = Path(sys.argv[1])


def train(kind, folder, lines, size):
    """Trains a sentencepiece model as the family's own was."""
    folder.mkdir(parents=True, exist_ok=True)
    text = WORK / "lines.txt"
    text.write_text("\n".join(lines), encoding="utf-8")
    common = dict(input=str(text), vocab_size=size, character_coverage=0.98, hard_vocab_limit=False)
    if kind == "siglip":
        options = dict(model_type="unigram", pad_id=0, eos_id=1, unk_id=2, bos_id=-1, normalization_rule_name="nmt_nfkc")
        name = "spiece.model"
    elif kind == "gemma":
        options = dict(
            model_type="bpe", byte_fallback=True, pad_id=0, eos_id=1, bos_id=2, unk_id=3, eos_piece="<eos>", bos_piece="<bos>",
            normalization_rule_name="identity", add_dummy_prefix=False, remove_extra_whitespaces=False,
            user_defined_symbols=["<mask>", "\n", "\n\n", "▁▁", "▁▁▁"],
        )
        name = "tokenizer.model"
    elif kind == "xlm":
        options = dict(model_type="unigram", normalization_rule_name="nmt_nfkc")
        name = "sentencepiece.bpe.model"
    elif kind == "tips":
        options = dict(model_type="bpe", byte_fallback=True, pad_id=0, unk_id=1, bos_id=-1, eos_id=-1, normalization_rule_name="nmt_nfkc_cf")
        name = "tokenizer.model"
    else:
        raise ValueError(kind)
    prefix = folder / "trained"
    sentencepiece.SentencePieceTrainer.train(model_prefix=str(prefix), minloglevel=2, **common, **options)
    (folder / "trained.model").rename(folder / name)
    (folder / "trained.vocab").unlink()
    return folder / name


def prepare(case, lines):
    folder = WORK / case["folder"]
    kind = case.get("train")
    if kind and not any(folder.glob("*.model")):
        model = train(kind, folder, lines, case.get("size", 8000))
        if kind == "gemma":
            write_config(folder, "GemmaTokenizer", add_bos_token=False, add_eos_token=True, model_max_length=64, padding_side="right")
        elif kind == "siglip":
            write_config(folder, "SiglipTokenizer", eos_token="</s>", pad_token="</s>", unk_token="<unk>", model_max_length=64, do_lower_case=True)
        elif kind == "xlm":
            write_config(folder, "XLMRobertaTokenizer", model_max_length=77)
        elif kind == "tips":
            write_config(folder, "Tipsv2Tokenizer", model_max_length=64, pad_token="<pad>", unk_token="<unk>")
    source = case.get("convert")
    if source and not (folder / "tokenizer.json").exists():
        convert(case["reference"], WORK / source, folder)
    return folder


def convert(reference, source, folder):
    """A folder with a tokenizer.json of another one's sentencepiece file, as transformers writes it."""
    if "siglip" in source.name:
        made = transformers.T5Tokenizer.from_pretrained(with_config(source, "T5Tokenizer", extra_ids=0, eos_token="</s>", pad_token="</s>", unk_token="<unk>"))
    else:
        made = transformers.AutoTokenizer.from_pretrained(source)
    made.save_pretrained(folder)
    if made.__class__.__name__ == "GemmaTokenizer":
        add_end(folder)


def add_end(folder):
    """Gemma's files in SigLIP 2's repositories end a text with <eos> and do not begin it."""
    path = folder / "tokenizer.json"
    file = json.loads(path.read_text())
    file["post_processor"] = {
        "type": "TemplateProcessing",
        "single": [{"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "<eos>", "type_id": 0}}],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "<eos>", "type_id": 0}}],
        "special_tokens": {"<eos>": {"id": "<eos>", "ids": [1], "tokens": ["<eos>"]}},
    }
    path.write_text(json.dumps(file))
    write_config(folder, "GemmaTokenizer", add_bos_token=False, add_eos_token=True, model_max_length=64, padding_side="right")


def with_config(source, tokenizer_class, **options):
    copy = source.parent / (source.name + "-" + tokenizer_class)
    copy.mkdir(exist_ok=True)
    for model in source.glob("*.model"):
        shutil.copy(model, copy / model.name)
    write_config(copy, tokenizer_class, **options)
    return copy


def write_config(folder, tokenizer_class, **options):
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": tokenizer_class, **options}))


def rows(tokenizer, texts, context):
    return tokenizer(texts, padding="max_length", truncation=True, max_length=context)["input_ids"]


def reference_of(case, folder):
    """A function from texts to rows of ids."""
    context = case["context"]
    kind = case["reference"]
    if kind == "open_clip":
        tokenizer = open_clip_tokenizer().HFTokenizer(str(folder), context_length=context, clean=case["clean"])
        return lambda texts: tokenizer(texts).tolist()
    if kind == "open_clip-simple":
        tokenizer = open_clip_tokenizer().SimpleTokenizer(context_length=context, clean=case["clean"])
        return lambda texts: tokenizer(texts).tolist()
    if kind == "sentencepiece":
        model = sentencepiece.SentencePieceProcessor(str(next(folder.glob("*.model"))))
        return lambda texts: [fit(model.encode(text), context) for text in texts]
    classes = {
        "siglip": transformers.SiglipTokenizer,
        "xlm": transformers.XLMRobertaTokenizer,
    }
    if kind == "siglip2":
        from transformers.models.siglip2.tokenization_siglip2 import Siglip2Tokenizer

        tokenizer = Siglip2Tokenizer.from_pretrained(folder)
        end = tokenizer.eos_token_id
        return lambda texts: [
            fit(ids[: context - 1] + [end], context)
            for ids in tokenizer(texts, add_special_tokens=False)["input_ids"]
        ]
    if kind == "tips":
        from transformers.models.tipsv2.tokenization_tipsv2 import Tipsv2Tokenizer

        classes["tips"] = Tipsv2Tokenizer
    tokenizer = classes[kind].from_pretrained(folder)
    return lambda texts: rows(tokenizer, texts, context)


def open_clip_tokenizer():
    """open_clip's module of tokenizers without the rest of it, which wants torchvision."""
    spec = importlib.util.find_spec("open_clip")
    path = Path(spec.origin).parent / "tokenizer.py"
    module = importlib.util.module_from_spec(importlib.util.spec_from_file_location("open_clip_tokenizer", path))
    module.__spec__.loader.exec_module(module)
    return module


def fit(ids, context):
    return (ids + [0] * context)[:context]


def main():
    transformers.logging.set_verbosity_error()
    work = json.loads((WORK / "work.json").read_text(encoding="utf-8"))
    for case in work["cases"]:
        folder = prepare(case, work.get("lines", []))
        encode = reference_of(case, folder)
        out = array("i")
        texts = work["texts"]
        for start in range(0, len(texts), 500):
            for row in encode(texts[start : start + 500]):
                assert len(row) == case["context"], (case["name"], len(row))
                out.extend(row)
        (WORK / f"{case['name']}.ids").write_bytes(out.tobytes())
        print(case["name"], flush=True)


main()
