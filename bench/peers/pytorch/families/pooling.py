"""Dense features of an attention pooling head: every token as if the head had looked at it alone, or at
the tokens that resemble it.
"""

from libraries import torch

#: Which projections are compared, and what follows the head's output projection.
MODES = {
    "declip": (["qq"], "norm first"),
    "maskclip": ([], "head"),
    "maskclip-projection": ([], "none"),
    "qq": (["qq"], "head"),
    "qq-projection": (["qq"], "none"),
    "kk": (["kk"], "head"),
    "vv": (["vv"], "head"),
    "csa": (["qq", "kk"], "head"),
    "vanilla": (["qk"], "head"),
}


class Head:
    """The parts of transformers' SiglipMultiheadAttentionPoolingHead or timm's AttentionPoolLatent."""

    def __init__(self, module):
        if hasattr(module, "latent"):
            self.heads = module.num_heads
            rows = (module.q.weight, module.q.bias), *zip(module.kv.weight.chunk(2), module.kv.bias.chunk(2))
            self.out, self.norm = module.proj, module.norm
        else:
            attention = module.attention
            self.heads = attention.num_heads
            rows = zip(attention.in_proj_weight.chunk(3), attention.in_proj_bias.chunk(3))
            self.out, self.norm = attention.out_proj, module.layernorm
        self.rows, self.mlp = list(rows), module.mlp

    def dense(self, tokens, mode):
        """[B, N, D] of tokens [B, N, D], not normalised."""
        pairs, tail = MODES[mode]
        q, k, v = (
            torch.nn.functional.linear(tokens, weight, bias).unflatten(2, (self.heads, -1)).transpose(1, 2)
            for weight, bias in self.rows
        )
        parts = {"q": q, "k": k, "v": v}
        mixed = v
        if pairs:
            scores = [parts[a] @ parts[b].mT / q.shape[-1] ** 0.5 for a, b in pairs]
            mixed = sum(score.softmax(-1) for score in scores) @ v
        a = self.out(mixed.transpose(1, 2).flatten(2))
        if tail == "none":
            return a
        normed = self.norm(a)
        return (normed if tail == "norm first" else a) + self.mlp(normed)
