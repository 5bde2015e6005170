"""What the comparisons ask of an original: a file as the hub has it, and numbers for pictures and ids."""

from libraries import torch
from weights import save_json, save_tensors


def grid(tokens, height, width):
    """[B, D, h, w] of tokens [B, N, D]."""
    return tokens.transpose(1, 2).unflatten(2, (height, width))


class Original:
    """A model of one library with random weights.

    A subclass makes one with random weights; load() wraps what its library loads from a folder.

    mean, std    pixel statistics on the 0..1 scale
    side, patch  pixels; `vocab`, `context` None without a text tower
    modes        dense modes, [""] for features without one
    config       options of loadModel() for what the files do not tell
    native_only  True where the original's numbers hold for the native size alone
    pad, last    ids of padding, and of the end of a text
    """

    mean, std = (0.5,) * 3, (0.5,) * 3
    vocab = context = None
    modes = [""]
    config = {}
    native_only = False
    pad, last = 0, None

    def look(self, pixels):
        """Of normalised pixels [B, 3, H, W]: their embedding [B, E], and what dense() needs."""
        raise NotImplementedError

    def dense(self, seen, mode):
        """[B, N, E] of patches"""
        raise NotImplementedError

    def pictures(self, pixels):
        """By what they are: 'image' [B, E], 'dense MODE' [B, E, h, w]."""
        image, seen = self.look(pixels)
        size = (pixels.shape[2] // self.patch, pixels.shape[3] // self.patch)
        dense = {f"dense {mode}".strip(): grid(self.dense(seen, mode), *size) for mode in self.modes}
        return {"image": image, **dense}

    def text(self, ids):
        """[T, E] of ids [T, L]"""
        raise NotImplementedError

    def save(self, folder, dtype):
        raise NotImplementedError

    def texts(self, random, count=5):
        """Ids as a tokenizer pads them: text, then the end's id, then padding; one fills the context."""
        ids = torch.full((count, self.context), self.pad)
        high = self.vocab if self.last is None or self.last < self.vocab - 1 else self.vocab - 1
        for row in range(count):
            length = self.context - 1 if row == 0 else int(torch.randint(1, self.context - 1, (1,), generator=random))
            ids[row, :length] = torch.randint(3, high, (length,), generator=random)
            if self.last is not None:
                ids[row, length] = self.last
        return ids

    def double(self):
        self.model.double()
        return self


def sparse(config, default):
    """Fields of a configuration that differ from the class's own, as published files have them."""
    return {key: value for key, value in config.items() if default.get(key) != value or key == "model_type"}


def save_transformers(model, folder, dtype, config, preprocessor=None):
    """A folder as save_pretrained() writes it, with the given configuration."""
    model.save_pretrained(folder, safe_serialization=True)
    (weights,) = folder.glob("*.safetensors")
    from safetensors.torch import load_file

    save_tensors(load_file(weights), weights, dtype)
    save_json(config, folder / "config.json")
    if preprocessor:
        save_json(preprocessor, folder / "preprocessor_config.json")
