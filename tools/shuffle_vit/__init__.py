"""PyTorch side of shuffle-vit: the models, their checkpoints and their costs.

The Rust program is checked against this package, so it favours the plainest way to write each formula.
"""

from .checkpoint import load, save
from .cost import macs, parameters
from .exporting import export
from .model import PlainViT, channel_shuffle, complete
from .names import public_names
from .plug import add_channel_shuffle
from .registry import MODELS, build, named
from .swin import Swin
from .t2t import T2TViT

__all__ = [
    "MODELS", "PlainViT", "Swin", "T2TViT", "add_channel_shuffle", "build", "channel_shuffle", "complete", "export", "load",
    "macs", "named", "parameters", "public_names", "save",
]  # fmt: skip
