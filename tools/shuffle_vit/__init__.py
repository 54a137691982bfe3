"""PyTorch side of shuffle-vit: the models, their checkpoints and their costs.

The Rust program is checked against this package, so it favours the plainest way to write each formula.
"""

from .checkpoint import load, save
from .cost import macs, parameters
from .model import PlainViT, channel_shuffle, complete

__all__ = ["PlainViT", "channel_shuffle", "complete", "load", "macs", "parameters", "save"]
