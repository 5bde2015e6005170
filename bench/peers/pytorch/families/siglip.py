"""SigLIP, SigLIP 2 and NaFlex by transformers."""

from libraries import torch, transformers
from original import Original, save_transformers, sparse
from pooling import MODES, Head
from weights import randomise


class Siglip(Original):
    """`SiglipModel`: SigLIP and every SigLIP 2 of fixed resolution."""

    pad = last = 1
    modes = list(MODES)

    def __init__(self, vision, text, seed, second=False, full_config=False, tower=False):
        self.second, self.full_config = second, full_config
        if second:
            self.pad = 0
        config = transformers.SiglipConfig(vision_config=vision, text_config=text or {})
        model = transformers.SiglipVisionModel(config.vision_config) if tower else transformers.SiglipModel(config)
        self.adopt(randomise(model, seed))
        if not tower:
            with torch.no_grad():
                model.logit_scale.fill_(4.7)
                model.logit_bias.fill_(-12.5)

    def adopt(self, model):
        self.model = model
        vision = getattr(model.config, "vision_config", model.config)
        self.side, self.patch = vision.image_size, vision.patch_size
        self.tower = vision is model.config
        if not self.tower:
            text = model.config.text_config
            self.vocab, self.context = text.vocab_size, text.max_position_embeddings

    @property
    def vision(self):
        return getattr(self.model, "vision_model", self.model)

    def look(self, pixels):
        out = self.vision(pixel_values=pixels, interpolate_pos_encoding=True)
        return out.pooler_output, out.last_hidden_state

    def dense(self, seen, mode):
        return Head(self.vision.head).dense(seen, mode)

    def text(self, ids):
        return self.model.text_model(input_ids=ids).pooler_output

    def save(self, folder, dtype):
        config = self.model.config.to_dict()
        if not self.full_config and not self.tower:
            defaults = transformers.SiglipConfig().to_dict()
            for part in ("vision_config", "text_config"):
                config[part] = sparse(config[part], defaults[part])
        config["architectures"] = [type(self.model).__name__]
        save_transformers(self.model, folder, dtype, config, self.preprocessor())

    def preprocessor(self):
        return {
            "do_normalize": True,
            "do_rescale": True,
            "do_resize": True,
            "image_mean": list(self.mean),
            "image_std": list(self.std),
            "image_processor_type": "SiglipImageProcessor",
            "processor_class": "SiglipProcessor",
            "resample": 2 if self.second else 3,
            "rescale_factor": 1 / 255,
            "size": {"height": self.side, "width": self.side},
        }


class Naflex(Original):
    """`Siglip2Model`: any grid of patches."""

    pad, last = 0, 1
    modes = list(MODES)

    def __init__(self, vision, text, seed, max_patches=256):
        config = transformers.Siglip2Config(vision_config=vision, text_config=text)
        self.adopt(randomise(transformers.Siglip2Model(config), seed))
        self.max_patches = max_patches

    def adopt(self, model):
        self.model = model
        vision, text = model.config.vision_config, model.config.text_config
        self.patch = vision.patch_size
        self.side = self.patch * int(vision.num_patches**0.5)
        self.vocab, self.context = text.vocab_size, text.max_position_embeddings

    def look(self, pixels):
        p = self.patch
        height, width = pixels.shape[2] // p, pixels.shape[3] // p
        patches = pixels[:, :, : height * p, : width * p].unflatten(3, (width, p)).unflatten(2, (height, p))
        patches = patches.permute(0, 2, 4, 3, 5, 1).flatten(3).flatten(1, 2)  # row, column, channel last
        count = len(pixels)
        out = self.model.vision_model(
            pixel_values=patches,
            pixel_attention_mask=torch.ones(count, height * width, dtype=torch.long),
            spatial_shapes=torch.tensor([[height, width]] * count),
        )
        return out.pooler_output, out.last_hidden_state

    def dense(self, seen, mode):
        return Head(self.model.vision_model.head).dense(seen, mode)

    def text(self, ids):
        return self.model.text_model(input_ids=ids).pooler_output

    def save(self, folder, dtype):
        config = self.model.config.to_dict()
        defaults = transformers.Siglip2Config().to_dict()
        for part in ("vision_config", "text_config"):
            config[part] = sparse(config[part], defaults[part])
        config["architectures"] = ["Siglip2Model"]
        preprocessor = {
            "do_normalize": True,
            "do_rescale": True,
            "do_resize": True,
            "image_mean": list(self.mean),
            "image_std": list(self.std),
            "image_processor_type": "Siglip2ImageProcessor",
            "max_num_patches": self.max_patches,
            "patch_size": self.patch,
            "processor_class": "Siglip2Processor",
            "resample": 2,
            "rescale_factor": 1 / 255,
        }
        save_transformers(self.model, folder, dtype, config, preprocessor)
