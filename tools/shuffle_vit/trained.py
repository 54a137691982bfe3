"""Weights out of the files that PyTorch training leaves: timm's, yitu's T2T-ViT's, Microsoft's Swin's, and one's own."""

import argparse
import math
import re
from pathlib import Path

import torch

from . import preparation, timm_models
from .checkpoint import read_tensors
from .convert import require
from .model import DEFAULTS, prefix_of
from .names import public_names
from .preparation import imagenet_names
from .registry import build, named

# what training scripts call the weights, and their exponential moving average, in the file that they save
WEIGHTS = ("state_dict", "model")
AVERAGED = ("state_dict_ema", "model_ema", "ema")
# timm's names of built-in models, which say how their images are prepared
TIMM = {
    "deit_tiny": "deit_tiny_patch16_224", "deit_tiny_distilled": "deit_tiny_distilled_patch16_224",
    "deit_small": "deit_small_patch16_224", "deit_small_distilled": "deit_small_distilled_patch16_224",
    "swin_tiny": "swin_tiny_patch4_window7_224",
}  # fmt: skip


def load_trained(path, arch, ema=False):
    """A model with the weights of a .pth or .safetensors file; `arch` is a built-in name, or timm's behind `timm:`.

    Classes, channels and sizes are read from the tensors. 1000 classes are taken for ImageNet's. Images are prepared as
    timm does for its model of that name.
    """
    tensors = public_names(read_weights(path, ema))
    config = fitted(described(arch), tensors)
    require(tensors, config, f"{path} does not hold a {arch}")
    if config["num_classes"] == 1000:
        config["labels"] = imagenet_names()
    else:
        config.pop("labels", None)
    model = build(config)
    model.load_state_dict(tensors)
    return model.eval()


def described(arch):
    """The configuration of a built-in model or of timm's, image preparation included where timm has the model."""
    plain = arch.removeprefix("timm:")
    known = named(arch) if plain == arch else {}
    name = TIMM.get(arch.removeprefix("shuffle_")) if known else plain
    if name is None:
        return known
    import timm

    with torch.device("meta"):
        model = timm.create_model(name)
    config = timm_models.configuration(model)
    return config | preparation.from_timm(model.pretrained_cfg, config) | known


def read_weights(path, ema=False):
    """The state dict in a file: the file itself, or what it keeps under one of the usual keys."""
    content = read_tensors(path)[0] if Path(path).suffix == ".safetensors" else unpickle(path)
    if not isinstance(content, dict) or not content:
        raise ValueError(f"{path} holds a {type(content).__name__}, not a state dict")
    flat = all(isinstance(value, torch.Tensor) for value in content.values())
    key = next((key for key in (AVERAGED if ema else WEIGHTS) if isinstance(content.get(key), dict)), None)
    if key is not None:
        content = content[key]
    elif ema or not flat:
        hint = "; --ema takes the moving average" if not ema and any(key in content for key in AVERAGED) else ""
        keys = "only the weights themselves" if flat else f"the keys {', '.join(map(str, list(content)[:20]))}"
        raise ValueError(f"{path} has none of {', '.join(AVERAGED if ema else WEIGHTS)}, but {keys}{hint}")
    # torch.compile puts a prefix in front, averaging a counter beside
    content = {str(name).replace("_orig_mod.", ""): value for name, value in content.items() if name != "n_averaged"}
    others = [name for name, value in content.items() if not isinstance(value, torch.Tensor)]
    if others:
        raise ValueError(f"{path}: {others[0]} is a {type(content[others[0]]).__name__}, not a tensor")
    return content


def unpickle(path):
    """Reads tensors and plain values only: a pickle of anything else could run code."""
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):  # training scripts keep their arguments
            return torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:  # torch.load raises as many kinds as there are ways to damage a file
        unsafe = re.search(r"Unsupported (?:global: GLOBAL|class) (\S+)", str(error))
        if unsafe:
            raise ValueError(
                f"{path} holds a {unsafe[1]}, and objects other than tensors could run code; where the file is trusted,"
                " load it yourself and save only its weights: torch.save({'model': state_dict}, path)"
            ) from error
        raise ValueError(f"{path} is not a PyTorch file, or a damaged one ({type(error).__name__})") from error


def fitted(config, tensors):
    """The configuration with the sizes that the tensors have."""
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    config = dict(config)
    if "head.weight" in shapes:
        config["num_classes"] = shapes["head.weight"][0]
    if len(patch := shapes.get("patch_embed.proj.weight", ())) == 4:
        config["in_channels"], config["patch_size"] = patch[1], patch[3]
    if len(kqv := shapes.get("tokens_to_token.attention1.norm1.weight", ())) == 1:
        config["in_channels"] = kqv[0] // 49  # of unfolded 7 x 7 pixels
    if len(positions := shapes.get("pos_embed", ())) == 3:
        in_front = sum(count for _, count, embedded in prefix_of(DEFAULTS | config) if embedded)
        config["image_size"] = math.isqrt(max(positions[1] - in_front, 0)) * config.get("patch_size", 16)
    stages = range(len(config.get("depths", ())))
    tables = [shapes.get(f"layers.{s}.blocks.0.attn.relative_position_bias_table", ()) for s in stages]
    windows = [(math.isqrt(table[0]) + 1) // 2 for table in tables if len(table) == 2]
    if windows and len(set(windows)) == 1:
        # such a window and an image of 32 times its size go together: 7 and 224, 12 and 384; the tensors do not say it
        config["window"], config["image_size"] = windows[0], windows[0] * 32
    return config
