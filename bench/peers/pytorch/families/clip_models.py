"""CLIP and MetaCLIP 2 by transformers."""

from libraries import transformers
from original import Original, save_transformers
from weights import randomise

CLIP = {"mean": (0.48145466, 0.4578275, 0.40821073), "std": (0.26862954, 0.26130258, 0.27577711)}


class Clip(Original):
    """`CLIPModel`, or `MetaClip2Model` with `second`."""

    mean, std = CLIP["mean"], CLIP["std"]
    modes = ["vanilla"]

    def __init__(self, vision, text, embed, seed, second=False):
        kind, config_of = (
            (transformers.MetaClip2Model, transformers.MetaClip2Config)
            if second
            else (transformers.CLIPModel, transformers.CLIPConfig)
        )
        if not second:
            text = {**text, "bos_token_id": 0, "eos_token_id": 2}  # as published: the largest id is pooled
        config = config_of(vision_config=vision, text_config=text, projection_dim=embed)
        config._attn_implementation = "sdpa"
        self.adopt(randomise(kind(config), seed))

    def adopt(self, model):
        self.model = model
        vision, text = model.config.vision_config, model.config.text_config
        self.side, self.patch = vision.image_size, vision.patch_size
        self.vocab, self.context = text.vocab_size, text.max_position_embeddings
        second = model.config.model_type == "metaclip_2"
        self.pad, self.last = (1, 2) if second else (0, self.vocab - 1)

    def look(self, pixels):
        vision = self.model.vision_model
        out = vision(pixel_values=pixels, interpolate_pos_encoding=True)
        return self.model.visual_projection(out.pooler_output), out.last_hidden_state[:, 1:]

    def dense(self, seen, mode):
        return self.model.visual_projection(self.model.vision_model.post_layernorm(seen))

    def text(self, ids):
        return self.model.text_projection(self.model.text_model(input_ids=ids).pooler_output)

    def save(self, folder, dtype):
        config = {**self.model.config.to_dict(), "architectures": [type(self.model).__name__]}
        save_transformers(self.model, folder, dtype, config)
