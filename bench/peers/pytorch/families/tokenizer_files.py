"""Tokenizers of every kind, trained small on sentences made here, as files beside the weights."""

import io
from itertools import cycle, islice

import sentencepiece
from libraries import transformers
from open_clip.zero_shot_metadata import IMAGENET_CLASSNAMES, OPENAI_IMAGENET_TEMPLATES
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from tokenizers.processors import TemplateProcessing
from transformers.tokenization_utils_sentencepiece import SentencePieceExtractor
from weights import save_json

OTHER_SCRIPTS = """Ein Foto von einem grünen Fahrrad vor dem Bahnhof; die Straße ist naß.
Une photo d'un chat noir sur le canapé, où l'été s'achève.
Фотография красной собаки в зимнем лесу и старого моста через реку.
Μια φωτογραφία μιας γάτας στο τραπέζι της κουζίνας.
一只猫坐在窗台上，外面下着大雨。桌子上有红色的苹果和绿色的葡萄。
公園で遊んでいる犬の写真です。空は青く、雲は白い。
공원에서 뛰어노는 강아지 사진, 하늘은 파랗고 구름은 하얗다.
صورة لقطة سوداء على الأريكة قرب النافذة
תמונה של כלב חום ליד הבית הלבן
सड़क पर खड़ी लाल गाड़ी की तस्वीर और नीला आसमान
ภาพถ่ายของแมวสีดำบนโซฟาใกล้หน้าต่าง""".splitlines()


def sentences(count):
    templates, names = cycle(OPENAI_IMAGENET_TEMPLATES), cycle(IMAGENET_CLASSNAMES)
    for i, (template, name) in enumerate(islice(zip(templates, names), count)):
        yield OTHER_SCRIPTS[i % len(OTHER_SCRIPTS)] if i % 5 == 0 else template(name)


def train(kind, pieces, lower, **options):
    """Bytes of a sentencepiece model."""
    out = io.BytesIO()
    lines = (line.lower() if lower else line for line in sentences(4000))
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=lines,
        model_writer=out,
        model_type=kind,
        vocab_size=pieces,
        hard_vocab_limit=False,
        character_coverage=0.9995,
        minloglevel=2,
        num_threads=1,
        **options,
    )
    return out.getvalue()


def unigram(pieces):
    ids = {"pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1}
    return train("unigram", pieces, True, **ids)


def siglip(folder, pieces):
    """`spiece.model`, as transformers' SigLIP has it."""
    (folder / "spiece.model").write_bytes(unigram(pieces))
    config = {
        "additional_special_tokens": [],
        "do_lower_case": True,
        "eos_token": "</s>",
        "model_input_names": ["input_ids"],
        "model_max_length": 64,
        "pad_token": "</s>",
        "processor_class": "SiglipProcessor",
        "sp_model_kwargs": {},
        "tokenizer_class": "SiglipTokenizer",
        "unk_token": "<unk>",
    }
    save_json(config, folder / "tokenizer_config.json")


def open_clip_siglip(folder, pieces):
    """`tokenizer.json` with T5's conventions, as open_clip's SigLIP has it."""
    model = sentencepiece.sentencepiece_model_pb2 if hasattr(sentencepiece, "sentencepiece_model_pb2") else None
    from sentencepiece import sentencepiece_model_pb2 as model  # noqa: F811

    proto = model.ModelProto.FromString(unigram(pieces))
    tokenizer = Tokenizer(models.Unigram([(p.piece, p.score) for p in proto.pieces], unk_id=2))
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.Precompiled(proto.normalizer_spec.precompiled_charsmap),
            normalizers.Replace(Regex(" {2,}"), " "),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    tokenizer.decoder = decoders.Metaspace(replacement="▁", prepend_scheme="always")
    tokenizer.post_processor = TemplateProcessing(
        single=["$A", "</s>"], pair=["$A", "</s>", "$B", "</s>"], special_tokens=[("</s>", 1)]
    )
    tokenizer.add_special_tokens(["<pad>", "</s>", "<unk>"])
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "clean_up_tokenization_spaces": True,
        "eos_token": "</s>",
        "extra_ids": 0,
        "legacy": False,
        "model_max_length": 64,
        "pad_token": "</s>",
        "tokenizer_class": "T5Tokenizer",
        "unk_token": "<unk>",
    }
    save_json(config, folder / "tokenizer_config.json")


def extracted(folder, data):
    path = folder / "trained.model"
    path.write_bytes(data)
    found = SentencePieceExtractor(str(path)).extract()
    path.unlink()
    return (found["vocab"], found["merges"]) if isinstance(found, dict) else (found[0], found[-1])


def gemma(folder, pieces):
    """`tokenizer.json` with Gemma's pipeline, as every SigLIP 2 has it."""
    data = train(
        "bpe",
        pieces,
        True,
        byte_fallback=True,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        add_dummy_prefix=False,
        pad_id=0,
        eos_id=1,
        bos_id=2,
        unk_id=3,
        pad_piece="<pad>",
        eos_piece="<eos>",
        bos_piece="<bos>",
        user_defined_symbols=["<mask>", "\n\n", "▁▁", "▁▁▁"],
    )
    vocab, merges = extracted(folder, data)
    tokenizer = Tokenizer(
        models.BPE(vocab=vocab, merges=merges, fuse_unk=True, unk_token="<unk>", byte_fallback=True)
    )
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous", False)
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    tokenizer.post_processor = processors.TemplateProcessing(
        single=["$A", "<eos>"], pair=["$A", "<eos>", "$B", "<eos>"], special_tokens=[("<eos>", 1)]
    )
    tokenizer.add_special_tokens(["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"])
    tokenizer.add_tokens([AddedToken(text, normalized=False) for text in ("\n\n", "▁▁", "▁▁▁")])
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "add_bos_token": False,
        "add_eos_token": True,
        "bos_token": "<bos>",
        "clean_up_tokenization_spaces": False,
        "eos_token": "<eos>",
        "mask_token": "<mask>",
        "model_max_length": 64,
        "pad_token": "<pad>",
        "padding_side": "right",
        "processor_class": "SiglipProcessor",
        "tokenizer_class": "GemmaTokenizer",
        "unk_token": "<unk>",
    }
    save_json(config, folder / "tokenizer_config.json")


def xlm(folder, pieces):
    """`sentencepiece.bpe.model` and what transformers makes of it, as MetaCLIP 2 has them."""
    (folder / "sentencepiece.bpe.model").write_bytes(train("unigram", pieces, False))
    config = {
        "bos_token": "<s>",
        "cls_token": "<s>",
        "eos_token": "</s>",
        "mask_token": "<mask>",
        "model_max_length": 77,
        "pad_token": "<pad>",
        "sep_token": "</s>",
        "tokenizer_class": "XLMRobertaTokenizer",
        "unk_token": "<unk>",
    }
    save_json(config, folder / "tokenizer_config.json")
    transformers.XLMRobertaTokenizer.from_pretrained(folder).save_pretrained(folder)
    save_json(config, folder / "tokenizer_config.json")


def tips(folder, pieces):
    """`tokenizer.model`"""
    data = train("bpe", pieces, True, byte_fallback=True, pad_id=0, unk_id=1, bos_id=-1, eos_id=-1)
    (folder / "tokenizer.model").write_bytes(data)
    config = {"model_max_length": 64, "pad_token": "<pad>", "unk_token": "<unk>", "tokenizer_class": "Tipsv2Tokenizer"}
    save_json(config, folder / "tokenizer_config.json")


KINDS = {"siglip": siglip, "open_clip_siglip": open_clip_siglip, "gemma": gemma, "xlm": xlm, "tips": tips}
