"""The libraries whose classes are the originals, imported so that they work together.

torchvision is needed by open_clip and timm for picture transforms only. Where its wheel was built for
another PyTorch (CUDA's beside the CPU's), its operators do not load and its registrations of them fail,
so those are left out.
"""

import importlib
import os
import warnings

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # everything is made here
warnings.filterwarnings("ignore", category=UserWarning)
warnings.filterwarnings("ignore", category=FutureWarning)

import torch  # noqa: E402


def _import_torchvision():
    try:
        return importlib.import_module("torchvision")
    except RuntimeError:
        register = torch.library.register_fake
        torch.library.register_fake = lambda *_, **__: lambda function: function
        try:
            return importlib.import_module("torchvision")
        finally:
            torch.library.register_fake = register


torchvision = _import_torchvision()

import open_clip  # noqa: E402
import timm  # noqa: E402
import transformers  # noqa: E402

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()

__all__ = ["open_clip", "timm", "torch", "torchvision", "transformers"]
