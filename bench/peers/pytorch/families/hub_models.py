"""open_clip's models, plain and with towers of timm's, as its hub folders have them."""

import json
from unittest import mock

from clip_models import CLIP
from libraries import open_clip, timm, torch
from original import Original
from pooling import MODES, Head
from weights import randomise, save_json, save_tensors


class OpenClip(Original):
    """A model by its configuration: a name of open_clip's, or a dictionary as in model_configs.

    timm resizes positions in a way of its own, which no author of the models does: native sizes only, but
    for Perception Encoder, whose other sizes are towers of that size with positions as its authors have them.
    `tower`: sizes that replace those of the tower that timm_model_name names.
    """

    def __init__(self, model, seed, tower=None, preprocess=None, last=None, config=None):
        self.cfg = model if isinstance(model, dict) else open_clip.get_model_config(model)
        self.cfg = json.loads(json.dumps(self.cfg))
        create = timm.create_model
        with mock.patch.object(timm, "create_model", lambda *a, **k: create(*a, **{**k, **(tower or {})})):
            model = randomise(build(self.cfg), seed)
        if "pe_core" in self.cfg["vision_cfg"].get("timm_model_name", ""):
            torch.nn.init.zeros_(model.visual.trunk.head.bias)  # as in every published file
        self.tower = tower or {}
        self.preprocess = preprocess or {}
        self.config = config or {}
        self.adopt(model)
        if last is not None:
            self.last = last

    def adopt(self, model):
        self.model = model
        vision, text = self.cfg["vision_cfg"], self.cfg["text_cfg"]
        self.side = vision["image_size"]
        visual = model.visual
        self.trunk = getattr(visual, "trunk", None)
        self.patch = self.trunk.patch_embed.patch_size[0] if self.trunk else vision["patch_size"]
        self.vocab, self.context = text["vocab_size"], text.get("context_length", 77)
        pool = text.get("pool_type", "argmax")
        if pool == "last":
            self.pad = self.last = 1
        elif pool == "eos":
            self.pad, self.last = text.get("pad_id", 0), text.get("eos_id", 2)
        else:
            self.pad, self.last = 0, self.vocab - 1
        self.mean, self.std = (tuple(self.preprocess.get(k, CLIP[k])) for k in ("mean", "std"))
        self.pool = getattr(self.trunk, "attn_pool", None)
        if self.trunk is None:
            self.modes = []
        elif self.pool is None:
            self.modes = ["vanilla"]
        else:
            self.modes = ["maskclip", "qq"] if hasattr(self.trunk, "rope") else list(MODES)

        self.native_only = not self.perception

    @property
    def perception(self):
        return "pe_core" in self.cfg["vision_cfg"].get("timm_model_name", "")

    def look(self, pixels):
        if self.trunk is None:
            return self.model.encode_image(pixels), None
        size = tuple(pixels.shape[2:])
        trunk = self.trunk if size == (self.side, self.side) else self.perception_of(size)
        tokens = trunk.forward_features(pixels)
        return self.model.visual.head(trunk.forward_head(tokens)), tokens

    def perception_of(self, size):
        """The tower for another size: positions bilinear without antialias, rotary positions as they are."""
        grid = tuple(side // self.patch for side in size)
        sizes = {**self.tower, "img_size": size, "ref_feat_shape": grid}
        name, embed = self.cfg["vision_cfg"]["timm_model_name"], self.cfg["embed_dim"]
        trunk = timm.create_model(name, num_classes=embed, global_pool="map", **sizes)
        state = self.trunk.state_dict()
        table, prefix = state["pos_embed"], self.trunk.num_prefix_tokens
        native = self.side // self.patch
        resized = torch.nn.functional.interpolate(
            table[:, prefix:].unflatten(1, (native, native)).permute(0, 3, 1, 2), grid, mode="bilinear"
        )
        state["pos_embed"] = torch.cat([table[:, :prefix], resized.flatten(2).mT], 1)
        trunk.load_state_dict(state)
        return trunk.to(table.dtype).eval()

    def dense(self, seen, mode):
        tokens = Head(self.pool).dense(seen, mode) if self.pool is not None else seen
        return self.trunk.head(tokens)[:, self.trunk.num_prefix_tokens :]

    def text(self, ids):
        return self.model.encode_text(ids)

    def save(self, folder, dtype):
        save_tensors(self.model.state_dict(), folder / "open_clip_model.safetensors", dtype)
        config = {"model_cfg": self.cfg, "preprocess_cfg": self.preprocess}
        save_json(config, folder / "open_clip_config.json")


def build(cfg):
    """As open_clip's factory does from a configuration."""
    cfg = json.loads(json.dumps(cfg))
    custom = cfg.pop("custom_text", False)
    return (open_clip.model.CustomTextCLIP if custom else open_clip.model.CLIP)(**cfg)
