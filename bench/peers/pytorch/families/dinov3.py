"""DINOv3 by transformers and by timm."""

from libraries import timm, torch, transformers
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


class TimmTower(Original):
    """An image tower of timm's with its projection, as timm's own repositories have it."""

    native_only = True
    modes = []

    def __init__(self, name, seed, **sizes):
        self.name = name
        self.model = randomise(timm.create_model(name, pretrained=False, **sizes), seed)
        if "pe_core" in name:
            torch.nn.init.zeros_(self.model.head.bias)
        self.side, self.patch = self.model.patch_embed.img_size[0], self.model.patch_embed.patch_size[0]
        self.mean, self.std = (self.model.pretrained_cfg[key] for key in ("mean", "std"))
        self.config = {"headWidth": sizes["embed_dim"] // sizes["num_heads"]}

    def look(self, pixels):
        return self.model(pixels), None

    def save(self, folder, dtype):
        save_timm(self, folder, dtype, num_classes=self.model.num_classes)


def save_timm(original, folder, dtype, num_classes=0):
    """A folder as timm pushes it to the hub."""
    save_tensors(original.model.state_dict(), folder / "model.safetensors", dtype)
    cfg = {**original.model.pretrained_cfg, "mean": list(original.mean), "std": list(original.std)}
    cfg["input_size"], cfg["num_classes"] = [3, original.side, original.side], num_classes
    kept = {k: v for k, v in cfg.items() if isinstance(v, (str, int, float, list, tuple, bool))}
    facts = {"architecture": original.name, "num_classes": num_classes, "num_features": original.model.num_features}
    save_json({**facts, "pretrained_cfg": kept}, folder / "config.json")


class TimmDinov3(Original):
    """A tower of timm's, saved with its configuration or as a file of weights alone."""

    mean, std = IMAGENET["mean"], IMAGENET["std"]

    def __init__(self, name, seed, bare=False, **sizes):
        self.name, self.bare = name, bare
        self.adopt(randomise(timm.create_model(name, pretrained=False, num_classes=0, **sizes), seed))
        if "num_heads" in sizes:  # which a file of timm's does not tell
            self.config = {"headWidth": sizes["embed_dim"] // sizes["num_heads"]}

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
        save_timm(self, folder, dtype)
        if self.bare:
            (folder / "config.json").unlink()
