"""Weights out of the files that PyTorch training leaves: DeiT's, yitu's T2T-ViT's, Microsoft's Swin's, and one's own."""

import argparse
import math
import re
from pathlib import Path

import torch

from .checkpoint import read_tensors
from .convert import imagenet_names, require
from .names import public_names
from .registry import build, named

# what training scripts call the weights, and their exponential moving average, in the file that they save
WEIGHTS = ("state_dict", "model")
AVERAGED = ("state_dict_ema", "model_ema", "ema")


def load_trained(path, arch, ema=False):
    """The model `arch` (a built-in name) with the weights of a .pth or .safetensors file.

    Classes, channels and sizes are read from the tensors. 1000 classes are taken for ImageNet's.
    """
    tensors = public_names(read_weights(path, ema))
    config = fitted(named(arch), tensors)
    require(tensors, config, f"{path} does not hold a {arch}")
    if config["num_classes"] == 1000:
        config["labels"] = imagenet_names()
    if config["arch"] == "swin":
        config["crop_pct"] = 0.875  # Microsoft evaluates at 256/224
    model = build(config)
    model.load_state_dict(tensors)
    return model.eval()


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
    """The configuration of a built-in model with the sizes that the tensors have."""
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    config = dict(config)
    if "head.weight" in shapes:
        config["num_classes"] = shapes["head.weight"][0]
    if len(patch := shapes.get("patch_embed.proj.weight", ())) == 4:
        config["in_channels"], config["patch_size"] = patch[1], patch[3]
    if len(kqv := shapes.get("tokens_to_token.attention1.norm1.weight", ())) == 1:
        config["in_channels"] = kqv[0] // 49  # of unfolded 7 x 7 pixels
    if len(positions := shapes.get("pos_embed", ())) == 3:
        patches = positions[1] - (2 if config.get("distilled") else 1)
        config["image_size"] = math.isqrt(max(patches, 0)) * config.get("patch_size", 16)
    table = shapes.get("layers.0.blocks.0.attn.relative_position_bias_table", ())
    if len(table) == 2:
        config["window"] = (math.isqrt(table[0]) + 1) // 2
        # each of these windows is an image that fits: 7 at 224, 12 at 384; other sizes are not in the tensors
        config["image_size"] = config["window"] * 32
    return config
