"""Files with the names that the authors of a model use, of models that transformers or timm made."""

import re

from dinov3 import Dinov3
from hub_models import OpenClip
from libraries import torch
from weights import save_tensors


class PerceptionByAuthors(OpenClip):
    """Perception Encoder as facebook/PE-Core-* have it: one flat file."""

    def save(self, folder, dtype):
        trunk = "visual.trunk."
        tensors, rest = {}, self.model.state_dict()
        for name, tensor in rest.items():
            if not name.startswith(trunk):
                tensors[name.removeprefix("text.")] = tensor
        state = {name.removeprefix(trunk): tensor for name, tensor in rest.items() if name.startswith(trunk)}
        tensors["visual.proj"] = state.pop("head.weight").T
        state.pop("head.bias")
        for part in ("weight", "bias"):
            rows = [state.pop(f"attn_pool.{name}.{part}") for name in ("q", "kv")]
            tensors[f"visual.attn_pool.attn.in_proj_{part}"] = torch.cat(rows)
        for name, tensor in state.items():
            name = re.sub(r"^blocks\.", "transformer.resblocks.", name)
            for theirs, ours in (
                ("norm_pre.", "ln_pre."),
                ("attn_pool.norm.", "attn_pool.layernorm."),
                ("attn_pool.latent", "attn_pool.probe"),
                ("attn_pool.proj.", "attn_pool.attn.out_proj."),
                (".norm1.", ".ln_1."),
                (".norm2.", ".ln_2."),
                (".attn.qkv.", ".attn.in_proj_"),
                (".attn.proj.", ".attn.out_proj."),
                (".mlp.fc1.", ".mlp.c_fc."),
                (".mlp.fc2.", ".mlp.c_proj."),
                ("patch_embed.proj.", "conv1."),
            ):
                name = name.replace(theirs, ours)
            name = re.sub(r"^norm\.", "ln_post.", name)
            if name == "cls_token":
                name, tensor = "class_embedding", tensor.flatten()
            if name == "pos_embed":
                name, tensor = "positional_embedding", tensor[0]
            tensors[f"visual.{name}"] = tensor
        save_tensors(tensors, folder / "model.safetensors", dtype)


class Dinov3ByAuthors(Dinov3):
    """DINOv3 as its authors' files have it, which do not tell the heads."""

    @property
    def config(self):
        return {"headWidth": self.model.config.hidden_size // self.model.config.num_attention_heads}

    def save(self, folder, dtype):
        state = {re.sub(r"^model\.", "", name): tensor for name, tensor in self.model.state_dict().items()}
        width = self.model.config.hidden_size
        zeros = torch.zeros(width)
        tensors = {
            "cls_token": state["embeddings.cls_token"],
            "storage_tokens": state["embeddings.register_tokens"],
            "mask_token": state["embeddings.mask_token"][0],
            "patch_embed.proj.weight": state["embeddings.patch_embeddings.weight"],
            "patch_embed.proj.bias": state["embeddings.patch_embeddings.bias"],
            "norm.weight": state["norm.weight"],
            "norm.bias": state["norm.bias"],
        }
        gated = self.model.config.use_gated_mlp
        mlp = {"gate_proj": "w1", "up_proj": "w2" if gated else "fc1", "down_proj": "w3" if gated else "fc2"}
        for i in range(self.model.config.num_hidden_layers):
            layer, block = f"layer.{i}.", f"blocks.{i}."
            parts = [[state.get(f"{layer}attention.{n}_proj.{p}") for n in "qkv"] for p in ("weight", "bias")]
            tensors[f"{block}attn.qkv.weight"] = torch.cat(parts[0])
            tensors[f"{block}attn.qkv.bias"] = torch.cat([zeros if b is None else b for b in parts[1]])
            mask = torch.ones(3 * width)
            mask[width : 2 * width] = 0
            tensors[f"{block}attn.qkv.bias_mask"] = mask
            for p in ("weight", "bias"):
                tensors[f"{block}attn.proj.{p}"] = state[f"{layer}attention.o_proj.{p}"]
                for n in ("norm1", "norm2"):
                    tensors[f"{block}{n}.{p}"] = state[f"{layer}{n}.{p}"]
                for theirs, name in mlp.items():
                    if (tensor := state.get(f"{layer}mlp.{theirs}.{p}")) is not None:
                        tensors[f"{block}mlp.{name}.{p}"] = tensor
            for n in "12":
                tensors[f"{block}ls{n}.gamma"] = state[f"{layer}layer_scale{n}.lambda1"]
        save_tensors(tensors, folder / "model.safetensors", dtype)
