"""Small models that bring tokenizers, for texts from strings to embeddings."""

import json

import tokenizer_files
from clip_models import Clip
from libraries import open_clip, transformers
from open_clip.zero_shot_metadata import IMAGENET_CLASSNAMES, OPENAI_IMAGENET_TEMPLATES
from siglip import Naflex, Siglip
from small import eva_text, pe, siglip_hub, tower, words
from tips import Tips

PIECES = 1000

HARD = [
    "",
    " ",
    "a photo of a cat.",
    "A Photo of THE Dog!",
    "traffic_light, stop-sign; it's",
    "  many   spaces\tand\nlines  ",
    "fish &amp; chips &lt;b&gt;",
    "naïve café – “quotes” … №5 ½ ﬁne",
    "ＦＵＬＬ ｗｉｄｔｈ",
    "Straße İstanbul ΣΑΣ ǅ",
    "一只猫坐在窗台上，外面下着大雨。",
    "公園で遊んでいる犬の写真です。",
    "공원에서 뛰어노는 강아지",
    "صورة لقطة سوداء على الأريكة",
    "תמונה של כלב חום",
    "सड़क पर खड़ी लाल गाड़ी",
    "ภาพถ่ายของแมวสีดำ",
    "🙂 emoji 👩‍👩‍👧 flags 🇩🇪",
    "</s> inside <unk> a <pad> text <eos> <bos>",
    "zero\u200bwidth soft\u00adhyphen nb\u00a0space e\u0301",
    "word " * 90,
    "x" * 300,
    "3.14159 1,000,000 $5 50% #tag @name",
]


def texts():
    plain = [t(n) for t, n in zip(OPENAI_IMAGENET_TEMPLATES * 2, IMAGENET_CLASSNAMES[::9])]
    return HARD + tokenizer_files.OTHER_SCRIPTS + plain


def padded(tokenizer, context, **more):
    full = {"padding": "max_length", "truncation": True, "max_length": context, "return_tensors": "pt", **more}
    return lambda strings: tokenizer(strings, **full).input_ids


def hub(folder):
    cfg = json.loads((folder / "open_clip_config.json").read_text())["model_cfg"]["text_cfg"]
    return open_clip.get_tokenizer(f"local-dir:{folder}", context_length=cfg["context_length"])


#: Name to the model, the kind of its tokenizer's files, and a function that makes the tokenizer of a folder.
CASES = {
    "siglip": (
        lambda: Siglip(tower(64, 1, 1, 64, 32, 16), words(64, 2, 2, 96, PIECES, 64), 201),
        "siglip",
        lambda folder: padded(transformers.AutoTokenizer.from_pretrained(folder), 64),
    ),
    "siglip-context16": (
        lambda: Siglip(tower(64, 1, 1, 64, 32, 16), words(64, 2, 2, 96, PIECES, 16), 202),
        "siglip",
        lambda folder: padded(transformers.AutoTokenizer.from_pretrained(folder), 16),
    ),
    "siglip2": (
        lambda: Siglip(tower(64, 1, 1, 64, 32, 16), words(64, 2, 2, 96, PIECES, 64), 203, second=True),
        "gemma",
        lambda folder: padded(transformers.Siglip2Tokenizer.from_pretrained(folder), 64),
    ),
    "naflex": (
        lambda: Naflex({**tower(64, 1, 1, 64, 0, 16), "num_patches": 4}, words(64, 2, 2, 96, PIECES, 64), 204),
        "gemma",
        lambda folder: padded(transformers.Siglip2Tokenizer.from_pretrained(folder), 64),
    ),
    "siglip-hub": (
        lambda: siglip_hub(205, "vit_base_patch16_siglip_224", 32, 16, 64, 1, 1, (PIECES, 64, 64, 1, 2, 4), embed=64),
        "open_clip_siglip",
        hub,
    ),
    "siglip2-hub": (
        lambda: siglip_hub(
            206, "vit_base_patch16_siglip_256", 32, 16, 64, 1, 1, (PIECES, 64, 64, 1, 2, 4), embed=64, tanh=True
        ),
        "gemma",
        hub,
    ),
    "metaclip2": (
        lambda: Clip(
            tower(64, 1, 1, 64, 32, 16, hidden_act="gelu"),
            words(64, 2, 2, 256, PIECES + 2, 77, hidden_act="gelu", eos_token_id=2),
            32,
            207,
            second=True,
        ),
        "xlm",
        lambda folder: padded(transformers.AutoTokenizer.from_pretrained(folder), 77),
    ),
    "tips": (
        lambda: Tips(
            {**{k: v for k, v in tower(64, 2, 1, 0, 28, 14).items() if k != "intermediate_size"}, "mlp_ratio": 2},
            words(64, 2, 2, 128, PIECES, 64),
            208,
        ),
        "tips",
        lambda folder: padded(transformers.Tipsv2Tokenizer.from_pretrained(folder), 64),
    ),
    "pe": (
        lambda: pe(209, "vit_pe_core_base_patch16_224", 32, 16, 64, 1, 1, 48, eva_text(49408, 32, 64, 1, 2)),
        None,
        lambda folder: open_clip.SimpleTokenizer(context_length=32),
    ),
}
