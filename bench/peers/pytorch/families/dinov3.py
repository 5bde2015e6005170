"""DINOv3 by transformers and by timm."""

from libraries import timm, transformers
from original import Original, save_transformers
from weights import randomise, save_json, save_tensors

IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


class Dinov3(Original):
    """`DINOv3ViTModel`"""

    mean, std = IMAGENET["mean"], IMAGENET["std"]

    def __init__(self, sizes, seed):
        config = transformers.DINOv3ViTConfig(**sizes)
        config._attn_implementation = "sdpa"
        self.adopt(randomise(transformers.DINOv3ViTModel(config), seed))

    def adopt(self, model):
        self.model, config = model, model.config
        self.side, self.patch, self.prefix = config.image_size, config.patch_size, 1 + config.num_register_tokens

    def look(self, pixels):
        tokens = self.model(pixel_values=pixels).last_hidden_state
        return tokens[:, 0], tokens

    def dense(self, seen, mode):
        return seen[:, self.prefix :]

    def save(self, folder, dtype):
        config = {**self.model.config.to_dict(), "architectures": ["DINOv3ViTModel"]}
        preprocessor = {
            "do_normalize": True,
            "do_rescale": True,
            "do_resize": True,
            "image_mean": list(self.mean),
            "image_std": list(self.std),
            "image_processor_type": "DINOv3ViTImageProcessorFast",
            "resample": 2,
            "rescale_factor": 1 / 255,
            "size": {"height": self.side, "width": self.side},
        }
        save_transformers(self.model, folder, dtype, config, preprocessor)


class TimmDinov3(Original):
    """A tower of timm's, saved with its configuration or as a file of weights alone."""

    mean, std = IMAGENET["mean"], IMAGENET["std"]

    def __init__(self, name, seed, bare=False, **sizes):
        self.name, self.bare = name, bare
        self.adopt(randomise(timm.create_model(name, pretrained=False, num_classes=0, **sizes), seed))

    def adopt(self, model):
        self.model = model
        self.side, self.patch = self.model.patch_embed.img_size[0], self.model.patch_embed.patch_size[0]
        self.prefix = self.model.num_prefix_tokens

    def look(self, pixels):
        tokens = self.model.forward_features(pixels)
        return tokens[:, 0], tokens

    def dense(self, seen, mode):
        return seen[:, self.prefix :]

    def save(self, folder, dtype):
        save_tensors(self.model.state_dict(), folder / "model.safetensors", dtype)
        if self.bare:
            return
        cfg = {**self.model.pretrained_cfg, "mean": list(self.mean), "std": list(self.std)}
        cfg["input_size"] = [3, self.side, self.side]
        kept = {k: v for k, v in cfg.items() if isinstance(v, (str, int, float, list, tuple, bool))}
        config = {"architecture": self.name, "num_classes": 0, "num_features": self.model.num_features}
        save_json({**config, "pretrained_cfg": kept}, folder / "config.json")
