"""TIPSv2 by transformers."""

from libraries import torch, transformers
from original import Original, save_transformers
from weights import randomise


class Tips(Original):
    """`Tipsv2Model`"""

    mean, std = (0.0,) * 3, (1.0,) * 3
    modes = ["vanilla", "maskclip"]

    def __init__(self, vision, text, seed):
        config = transformers.Tipsv2Config(vision_config=vision, text_config=text)
        config._attn_implementation = "sdpa"
        self.adopt(randomise(transformers.Tipsv2Model(config), seed))
        with torch.no_grad():  # the model multiplies them by the root of their width
            table = self.model.text_model.get_input_embeddings().weight
            table.copy_((table / table.shape[1] ** 0.5).half().float())

    def adopt(self, model):
        self.model = model
        vision, text = model.config.vision_config, model.config.text_config
        self.side, self.patch, self.prefix = vision.image_size, vision.patch_size, 1 + vision.num_register_tokens
        self.vocab, self.context = text.vocab_size, text.max_position_embeddings

    def look(self, pixels):
        vision = self.model.vision_model
        last = {}
        block = vision.encoder.layer[-1]
        hook = block.register_forward_pre_hook(lambda _, arguments: last.update(x=arguments[0]))
        tokens = vision(pixel_values=pixels).last_hidden_state
        hook.remove()
        return tokens[:, 0], (tokens, last["x"])

    def dense(self, seen, mode):
        tokens, x = seen
        if mode == "vanilla":
            return tokens[:, self.prefix :]
        vision = self.model.vision_model
        block = vision.encoder.layer[-1]
        attention = block.attention
        value = attention.attention.value if hasattr(attention, "attention") else attention.v_proj
        out = attention.output.dense if hasattr(attention, "output") else attention.o_proj
        x = x + block.layer_scale1(out(value(block.norm1(x))))
        x = x + block.layer_scale2(block.mlp(block.norm2(x)))
        return vision.layernorm(x)[:, self.prefix :]

    def text(self, ids):
        mask = (ids != 0).long()
        return self.model.text_model(input_ids=ids, attention_mask=mask).pooler_output

    def save(self, folder, dtype):
        config = {**self.model.config.to_dict(), "architectures": ["Tipsv2Model"]}
        save_transformers(self.model, folder, dtype, config)
