"""Small models of every family at sizes that no fixture has."""

from authors import Dinov3ByAuthors, PerceptionByAuthors
from clip_models import Clip
from dinov3 import Dinov3, TimmDinov3, TimmTower
from hub_models import OpenClip
from siglip import Naflex, Siglip
from tips import Tips

HALF = {"mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bicubic", "resize_mode": "squash"}


def tower(width, heads, layers, mlp, side, patch, **more):
    return {
        "hidden_size": width,
        "num_attention_heads": heads,
        "num_hidden_layers": layers,
        "intermediate_size": mlp,
        "image_size": side,
        "patch_size": patch,
        **more,
    }


def words(width, heads, layers, mlp, vocab, context, **more):
    return {
        "hidden_size": width,
        "num_attention_heads": heads,
        "num_hidden_layers": layers,
        "intermediate_size": mlp,
        "vocab_size": vocab,
        "max_position_embeddings": context,
        **more,
    }


def eva_text(vocab, context, width, heads, layers):
    return {"context_length": context, "vocab_size": vocab, "width": width, "heads": heads, "layers": layers}


def eva(seed, name, side, patch, width, heads, layers, embed, text, **more):
    cfg = {
        "embed_dim": embed,
        "vision_cfg": {"image_size": side, "timm_model_name": name, "timm_model_pretrained": False, "timm_pool": "token", "timm_proj": None},
        "text_cfg": text,
        "custom_text": True,
    }
    sizes = {"embed_dim": width, "depth": layers, "num_heads": heads, "img_size": side, "patch_size": patch, **more}
    return OpenClip(cfg, seed, tower=sizes, config={"headWidth": width // heads})


def pe(seed, name, side, patch, width, heads, layers, embed, text, kind=OpenClip, **more):
    cfg = {
        "embed_dim": embed,
        "vision_cfg": {"image_size": side, "timm_model_name": name, "timm_model_pretrained": False, "timm_pool": "map", "timm_proj": None},
        "text_cfg": text,
        "custom_text": True,
    }
    grid = (side // patch,) * 2
    sizes = {"embed_dim": width, "depth": layers, "num_heads": heads, "img_size": side, "patch_size": patch, "ref_feat_shape": grid, **more}
    return kind(cfg, seed, tower=sizes, preprocess={**HALF, "interpolation": "bilinear"}, config={"headWidth": width // heads})


def siglip_hub(seed, name, side, patch, width, heads, layers, text, embed=None, tanh=False, bias=-10, text_more=None):
    text_cfg = {
        "context_length": text[1],
        "vocab_size": text[0],
        "hf_tokenizer_name": "timm/ViT-B-16-SigLIP",
        "tokenizer_kwargs": {"clean": "canonicalize"},
        "width": text[2],
        "heads": text[3],
        "layers": text[4],
        "mlp_ratio": text[5],
        "no_causal_mask": True,
        "proj_bias": True,
        "pool_type": "last",
        "norm_kwargs": {"eps": 1e-6},
        **({"act_kwargs": {"approximate": "tanh"}} if tanh else {}),
        **(text_more or {}),
    }
    cfg = {
        "embed_dim": embed or width,
        "init_logit_bias": bias,
        "custom_text": True,
        "vision_cfg": {"image_size": side, "timm_model_name": name, "timm_model_pretrained": False, "timm_pool": "map", "timm_proj": "none"},
        "text_cfg": text_cfg,
    }
    sizes = {"embed_dim": width, "depth": layers, "num_heads": heads, "img_size": side, "patch_size": patch}
    return OpenClip(cfg, seed, tower=sizes, preprocess=HALF)


def plain(seed, vision, text, embed=32, custom=True, **more):
    cfg = {"embed_dim": embed, "vision_cfg": vision, "text_cfg": text, **({"custom_text": True} if custom else {}), **more}
    return OpenClip(cfg, seed)


def vit(side=64, patch=16, width=64, layers=2, head=32, **more):
    return {"image_size": side, "patch_size": patch, "width": width, "layers": layers, "head_width": head, **more}


#: By family: name to a function that makes the model, and pictures' sides [height, width] beside the native one.
CASES = {
    "siglip": {
        "d64": (lambda: Siglip(tower(128, 2, 3, 320, 64, 16), words(128, 2, 2, 200, 500, 64), 1), [(96, 96), (48, 80)]),
        "d16-patch14-rest": (lambda: Siglip(tower(64, 4, 2, 100, 100, 14), words(64, 2, 2, 96, 333, 16), 2), [(126, 70)]),
        "d40-context16": (lambda: Siglip(tower(80, 2, 2, 172, 48, 8), words(48, 3, 1, 100, 701, 16, projection_size=80), 3), [(32, 64)]),
        "d96": (lambda: Siglip(tower(192, 2, 2, 256, 84, 14), words(72, 1, 2, 150, 1000, 64, projection_size=192), 4, second=True), [(140, 42)]),
        "d72-full-config": (lambda: Siglip(tower(144, 2, 2, 430, 70, 14), words(144, 2, 1, 430, 260, 32), 5, full_config=True), [(84, 84)]),
        "one-head-d48": (lambda: Siglip(tower(48, 1, 1, 64, 32, 16), words(48, 1, 1, 64, 90, 8), 6), [(16, 160)]),
        "tower-alone": (lambda: Siglip(tower(96, 3, 2, 200, 56, 14), None, 7, full_config=True, tower=True), [(98, 56)]),
        "patch32": (lambda: Siglip(tower(96, 2, 2, 384, 128, 32), words(96, 2, 2, 384, 400, 64), 8, second=True), [(96, 192)]),
    },
    "siglip-hub": {
        "erf-d64": (lambda: siglip_hub(11, "vit_base_patch16_siglip_224", 64, 16, 128, 2, 2, (500, 64, 96, 2, 2, 4), embed=128), []),
        "tanh-d72": (lambda: siglip_hub(12, "vit_so400m_patch16_siglip_256", 80, 16, 144, 2, 2, (300, 64, 72, 1, 2, 3.7362), embed=144, tanh=True), []),
        "gopt-d96": (lambda: siglip_hub(13, "vit_giantopt_patch16_siglip_256", 48, 16, 192, 2, 2, (350, 64, 64, 2, 1, 3.7362), embed=192, tanh=True), []),
        "so400m14-d72-context16": (lambda: siglip_hub(14, "vit_so400m_patch14_siglip_224", 84, 14, 144, 2, 1, (333, 16, 72, 1, 1, 4), embed=144), []),
        "i18n-no-projection": (lambda: siglip_hub(15, "vit_so400m_patch16_siglip_256", 64, 16, 144, 2, 1, (333, 64, 144, 2, 1, 2), embed=144, text_more={"proj_type": "none", "proj_bias": False}), []),
        "large-512-tanh": (lambda: siglip_hub(16, "vit_large_patch16_siglip_512", 64, 16, 192, 3, 2, (111, 24, 192, 3, 2, 4), embed=192, bias=-7), []),
        "second-b16": (lambda: siglip_hub(17, "vit_base_patch16_siglip_256", 64, 16, 64, 1, 2, (420, 64, 64, 1, 2, 4), embed=64, tanh=True), []),
    },
    "naflex": {
        "grid4": (lambda: Naflex({**tower(64, 2, 2, 128, 0, 8), "num_patches": 16}, words(64, 2, 2, 128, 300, 64), 21), [(40, 24), (16, 80), (64, 64)]),
        "grid7-d72": (lambda: Naflex({**tower(144, 2, 2, 200, 0, 16), "num_patches": 49}, words(144, 2, 1, 128, 500, 64), 22, max_patches=40), [(48, 160), (128, 64)]),
        "grid16-d40": (lambda: Naflex({**tower(80, 2, 1, 172, 0, 14), "num_patches": 256}, words(80, 2, 1, 90, 200, 16), 23), [(42, 98)]),
        "grid3-patch4": (lambda: Naflex({**tower(48, 3, 3, 64, 0, 4), "num_patches": 9}, words(48, 3, 2, 96, 200, 32), 24, max_patches=64), [(20, 28), (12, 4)]),
        "grid5-projection": (lambda: Naflex({**tower(96, 2, 2, 172, 0, 16), "num_patches": 25}, words(48, 2, 1, 90, 200, 64, projection_size=96), 25), [(96, 32)]),
    },
    "dinov3": {
        "d64-4": (lambda: Dinov3(tower(128, 2, 3, 256, 64, 16, num_register_tokens=4), 31), [(96, 96), (32, 112)]),
        "d32-0": (lambda: Dinov3(tower(96, 3, 2, 192, 56, 14, num_register_tokens=0), 32), [(42, 84)]),
        "d48-gated": (lambda: Dinov3(tower(96, 2, 2, 160, 48, 8, num_register_tokens=4, use_gated_mlp=True, hidden_act="silu"), 33), [(64, 24)]),
        "d128-gated-bias": (lambda: Dinov3(tower(256, 2, 2, 200, 32, 8, num_register_tokens=4, use_gated_mlp=True, hidden_act="silu", query_bias=True, key_bias=True), 34), [(40, 24)]),
        "d16-no-qv-bias": (lambda: Dinov3(tower(64, 4, 2, 100, 48, 16, num_register_tokens=4, query_bias=False, value_bias=False), 35), [(80, 48)]),
        "d80-2": (lambda: Dinov3(tower(160, 2, 1, 320, 48, 16, num_register_tokens=2), 36), [(16, 16)]),
    },
    "dinov3-timm": {
        "d64": (lambda: TimmDinov3("vit_base_patch16_dinov3", 41, embed_dim=128, depth=2, num_heads=2, img_size=64), [(48, 96)]),
        "d32-qkvb": (lambda: TimmDinov3("vit_small_patch16_dinov3_qkvb", 42, embed_dim=96, depth=2, num_heads=3, img_size=48), [(32, 80)]),
        "gated-qkvb": (lambda: TimmDinov3("vit_small_plus_patch16_dinov3_qkvb", 43, embed_dim=128, depth=2, num_heads=2, img_size=64), [(64, 32)]),
        "gated": (lambda: TimmDinov3("vit_huge_plus_patch16_dinov3", 44, embed_dim=96, depth=2, num_heads=2, img_size=48), [(64, 32)]),
        "bare": (lambda: TimmDinov3("vit_large_patch16_dinov3_qkvb", 45, bare=True, embed_dim=128, depth=3, num_heads=2, img_size=48), [(64, 32)]),
    },
    "pe": {
        "d64": (lambda: pe(51, "vit_pe_core_base_patch16_224", 64, 16, 128, 2, 2, 48, eva_text(300, 32, 64, 2, 2)), [(96, 96), (32, 80)]),
        "d32-patch14": (lambda: pe(52, "vit_pe_core_large_patch14_336", 70, 14, 128, 4, 3, 40, eva_text(200, 32, 96, 3, 1)), [(98, 56)]),
        "giant-no-class": (lambda: pe(53, "vit_pe_core_gigantic_patch14_448", 56, 14, 192, 2, 2, 192, eva_text(400, 72, 192, 3, 2)), [(84, 84), (42, 112)]),
        "tiny-d16": (lambda: pe(54, "vit_pe_core_tiny_patch16_384", 96, 16, 64, 4, 2, 32, eva_text(250, 32, 64, 1, 1)), [(64, 160)]),
        "small-d48": (lambda: pe(55, "vit_pe_core_small_patch16_384", 48, 16, 96, 2, 1, 64, eva_text(120, 16, 48, 2, 3)), [(96, 48)]),
    },
    "pe-authors": {
        "d64": (lambda: pe(56, "vit_pe_core_base_patch16_224", 64, 16, 128, 2, 2, 48, eva_text(300, 32, 64, 1, 2), kind=PerceptionByAuthors), [(96, 96), (32, 80)]),
        "no-class-d96": (lambda: pe(57, "vit_pe_core_gigantic_patch14_448", 56, 14, 192, 2, 1, 96, eva_text(200, 72, 128, 2, 1), kind=PerceptionByAuthors), [(28, 70)]),
        "d32": (lambda: pe(58, "vit_pe_core_large_patch14_336", 42, 14, 96, 3, 3, 64, eva_text(222, 16, 64, 1, 1), kind=PerceptionByAuthors), [(70, 70)]),
    },
    "dinov3-authors": {
        "d64": (lambda: Dinov3ByAuthors(tower(128, 2, 3, 256, 64, 16, num_register_tokens=4), 31), [(96, 96), (32, 112)]),
        "d48-gated": (lambda: Dinov3ByAuthors(tower(96, 2, 2, 160, 48, 8, num_register_tokens=4, use_gated_mlp=True, hidden_act="silu"), 33), [(64, 24)]),
        "d32-patch14": (lambda: Dinov3ByAuthors(tower(96, 3, 2, 192, 56, 14, num_register_tokens=4), 39), [(42, 84)]),
    },
    "towers-alone": {
        "eva": (lambda: TimmTower("eva02_base_patch16_clip_224", 111, num_classes=48, global_pool="token", embed_dim=128, depth=2, num_heads=2, img_size=64), []),
        "eva-large": (lambda: TimmTower("eva02_large_patch14_clip_336", 112, num_classes=32, global_pool="token", embed_dim=64, depth=2, num_heads=1, img_size=84), []),
        "siglip": (lambda: TimmTower("vit_base_patch16_siglip_224", 113, num_classes=0, embed_dim=128, depth=2, num_heads=2, img_size=64), []),
        "siglip-so400m": (lambda: TimmTower("vit_so400m_patch14_siglip_384", 114, num_classes=0, embed_dim=144, depth=2, num_heads=2, img_size=84, mlp_ratio=2.0), []),
        "siglip-tanh": (lambda: TimmTower("vit_so400m_patch16_siglip_512", 115, num_classes=0, embed_dim=144, depth=1, num_heads=2, img_size=64), []),
        "pe": (lambda: TimmTower("vit_pe_core_base_patch16_224", 116, num_classes=40, embed_dim=128, depth=2, num_heads=2, img_size=64, ref_feat_shape=(4, 4)), []),
        "clip": (lambda: TimmTower("vit_large_patch14_clip_224", 117, num_classes=40, global_pool="token", embed_dim=128, depth=2, num_heads=2, img_size=56), []),
        "clip-quickgelu": (lambda: TimmTower("vit_large_patch14_clip_quickgelu_224", 118, num_classes=40, global_pool="token", embed_dim=128, depth=2, num_heads=2, img_size=56), []),
    },
    "eva": {
        "d64": (lambda: eva(61, "eva02_base_patch16_clip_224", 64, 16, 128, 2, 2, 48, eva_text(300, 77, 64, 1, 2)), []),
        "d32-patch14": (lambda: eva(62, "eva02_large_patch14_clip_224", 56, 14, 96, 3, 3, 40, eva_text(200, 77, 128, 2, 1)), []),
        "d48": (lambda: eva(63, "eva02_base_patch16_clip_224", 96, 16, 96, 2, 2, 32, eva_text(150, 32, 64, 1, 1)), []),
        "d16-336": (lambda: eva(64, "eva02_large_patch14_clip_336", 84, 14, 64, 4, 2, 24, eva_text(90, 77, 64, 1, 1)), []),
        "ratio": (lambda: eva(65, "eva02_base_patch16_clip_224", 48, 16, 128, 2, 1, 64, eva_text(111, 20, 128, 2, 2), mlp_ratio=3.3), []),
    },
    "tips": {
        "d32": (lambda: Tips(tips_vision(64, 2, 2, 98, 14, 2), words(64, 2, 2, 128, 300, 64), 71), [(140, 140), (70, 112)]),
        "d64-gated": (lambda: Tips(tips_vision(128, 2, 3, 70, 14, 4, use_swiglu_ffn=True), words(128, 2, 1, 256, 200, 64), 72), [(42, 98)]),
        "so400m-ratio": (lambda: Tips(tips_vision(144, 2, 2, 84, 14, 4304 / 1152), words(144, 2, 2, 538, 260, 32), 73), [(56, 126)]),
        "patch16-d48": (lambda: Tips(tips_vision(96, 2, 2, 64, 16, 4), words(96, 4, 3, 200, 500, 16), 74), [(32, 128)]),
        "d24": (lambda: Tips(tips_vision(48, 2, 1, 42, 14, 3), words(48, 1, 1, 64, 90, 8), 75), [(28, 14)]),
    },
    "metaclip2": {
        "d64": (lambda: Clip(tower(128, 2, 2, 512, 64, 16, hidden_act="quick_gelu"), words(64, 1, 2, 256, 300, 77, hidden_act="quick_gelu", eos_token_id=2), 32, 81, second=True), [(96, 96)]),
        "d32-gelu": (lambda: Clip(tower(96, 3, 2, 384, 56, 14, hidden_act="gelu"), words(96, 3, 1, 384, 500, 77, hidden_act="gelu", eos_token_id=2), 48, 82, second=True), [(42, 84)]),
        "d80": (lambda: Clip(tower(160, 2, 2, 640, 56, 14, hidden_act="gelu"), words(128, 2, 2, 512, 700, 32, hidden_act="gelu", eos_token_id=2), 64, 83, second=True), []),
        "hub": (lambda: plain(84, vit(head=32), {**eva_text(300, 77, 64, 2, 2), "hf_tokenizer_name": "facebook/xlm-v-base", "pool_type": "eos", "eos_id": 2}, custom=False), []),
        "hub-quickgelu": (lambda: plain(85, vit(side=56, patch=14, width=160, head=80), {**eva_text(900, 77, 64, 1, 1), "hf_tokenizer_name": "facebook/xlm-v-base", "pool_type": "eos", "eos_id": 2}, custom=False, quick_gelu=True), []),
    },
    "plain": {
        "clip-hf": (lambda: Clip(tower(128, 2, 2, 512, 64, 16), words(64, 1, 2, 256, 300, 77), 32, 91), [(96, 96), (48, 80)]),
        "no-causal": (lambda: plain(92, vit(), {**eva_text(300, 77, 64, 1, 2), "no_causal_mask": True}), []),
        "last": (lambda: plain(93, vit(), {**eva_text(300, 40, 64, 1, 2), "pool_type": "last"}), []),
        "first": (lambda: plain(94, vit(), {**eva_text(300, 40, 64, 1, 2), "pool_type": "first", "no_causal_mask": True}), []),
        "eos": (lambda: plain(95, vit(), {**eva_text(300, 40, 64, 1, 2), "pool_type": "eos", "eos_id": 299}), []),
        "avg": (lambda: plain(96, vit(pool_type="avg"), eva_text(300, 40, 64, 1, 2)), []),
        "avg-after": (lambda: plain(97, vit(pool_type="avg", final_ln_after_pool=True), eva_text(300, 40, 64, 1, 2)), []),
        "tanh": (lambda: plain(98, vit(act_kwargs={"approximate": "tanh"}), {**eva_text(300, 40, 64, 1, 2), "act_kwargs": {"approximate": "tanh"}}), []),
        "eps": (lambda: plain(99, vit(norm_kwargs={"eps": 1e-3}), {**eva_text(300, 40, 64, 1, 2), "norm_kwargs": {"eps": 1e-2}}), []),
        "proj-bias": (lambda: plain(100, vit(), {**eva_text(300, 40, 64, 1, 2), "proj_bias": True}), []),
        "ls": (lambda: plain(101, vit(ls_init_value=0.1), {**eva_text(300, 40, 64, 1, 2), "ls_init_value": 0.1}), []),
        "no-ln-pre": (lambda: plain(102, vit(no_ln_pre=True), eva_text(300, 40, 64, 1, 2)), []),
        "timm": (lambda: mobile(103, 56, 14, 128, 2, 2, 48, {**eva_text(300, 40, 64, 1, 2), "no_causal_mask": True}), []),
        "timm-d32": (lambda: mobile(104, 84, 14, 96, 3, 3, 32, {**eva_text(200, 77, 128, 2, 1), "no_causal_mask": True}), []),
    },
}


def tips_vision(width, heads, layers, side, patch, ratio, **more):
    sizes = tower(width, heads, layers, 0, side, patch, **more)
    sizes.pop("intermediate_size")
    return {**sizes, "mlp_ratio": ratio}


def mobile(seed, side, patch, width, heads, layers, embed, text):
    cfg = {
        "embed_dim": embed,
        "vision_cfg": {"image_size": side, "timm_model_name": "vit_large_patch14_clip_224", "timm_model_pretrained": False, "timm_pool": "token", "timm_proj": None},
        "text_cfg": text,
        "custom_text": True,
    }
    return OpenClip(cfg, seed, tower={"embed_dim": width, "depth": layers, "num_heads": heads, "img_size": side, "patch_size": patch}, config={"headWidth": width // heads})
