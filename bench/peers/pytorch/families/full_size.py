"""Every family at the size of a published model."""

from clip_models import Clip
from dinov3 import Dinov3, TimmDinov3
from hub_models import OpenClip
from siglip import Naflex, Siglip
from small import HALF, tips_vision, tower, words
from tips import Tips

BASE = (768, 12, 12, 3072)
LARGE = (1024, 16, 24, 4096)
SO400M = (1152, 16, 27, 4304)

#: Name to a function that makes the model from a seed.
MODELS = {
    "siglip-base-patch16-224": lambda seed: Siglip(tower(*BASE, 224, 16), words(*BASE, 32000, 64), seed),
    "siglip-so400m-patch14-384": lambda seed: Siglip(tower(*SO400M, 384, 14), words(*SO400M, 32000, 64), seed),
    "siglip2-base-patch16-224": lambda seed: Siglip(
        tower(*BASE, 224, 16), words(*BASE, 256000, 64), seed, second=True
    ),
    "siglip2-large-patch16-256": lambda seed: Siglip(
        tower(*LARGE, 256, 16), words(*LARGE, 256000, 64), seed, second=True
    ),
    "siglip2-base-patch16-naflex": lambda seed: Naflex(
        {**tower(*BASE, 256, 16), "num_patches": 256}, words(*BASE, 256000, 64), seed
    ),
    "dinov3-vitb16": lambda seed: Dinov3(tower(*BASE, 224, 16, num_register_tokens=4), seed),
    "dinov3-vitl16": lambda seed: Dinov3(tower(*LARGE, 224, 16, num_register_tokens=4), seed),
    "tipsv2-b14": lambda seed: Tips(tips_vision(*BASE[:3], 448, 14, 4), words(*BASE, 32000, 64), seed),
    "clip-vit-base-patch16": lambda seed: Clip(
        tower(*BASE, 224, 16), words(512, 8, 12, 2048, 49408, 77), 512, seed
    ),
    "metaclip-2-b16": lambda seed: Clip(
        tower(*BASE, 224, 16, hidden_act="gelu"),
        words(512, 8, 12, 2048, 901629, 77, hidden_act="gelu", eos_token_id=2),
        512,
        seed,
        second=True,
    ),
    "eva02-base-patch16-clip-224": lambda seed: OpenClip("EVA02-B-16", seed),
    "ViT-B-16-SigLIP": lambda seed: OpenClip("ViT-B-16-SigLIP", seed, preprocess=HALF),
    "ViT-B-16-SigLIP2": lambda seed: OpenClip("ViT-B-16-SigLIP2", seed, preprocess=HALF),
    "PE-Core-B-16": lambda seed: OpenClip(
        "PE-Core-B-16", seed, preprocess={**HALF, "interpolation": "bilinear"}
    ),
    "PE-Core-L-14-336": lambda seed: OpenClip(
        "PE-Core-L-14-336", seed, preprocess={**HALF, "interpolation": "bilinear"}
    ),
    "MobileCLIP2-L-14": lambda seed: OpenClip("MobileCLIP2-L-14", seed),
    "vit_base_patch16_dinov3": lambda seed: TimmDinov3("vit_base_patch16_dinov3", seed, img_size=224),
}
