"""Swin (Liu et al. 2021), with and without the channel-shuffle module of arXiv 2310.05642.

State dicts carry the names of microsoft/Swin-Transformer, plus `layers.{s}.blocks.{i}.alpha` and `.beta` where rescaling
is learned and `layers.{s}.downsample.{norm_1,reduction_1,norm_2,reduction_2}` where the channels are in two halves.
"""

import math

import torch
from torch import nn

from .model import Attention, Block, PatchEmbed

DEFAULTS = {
    "arch": "swin", "image_size": 224, "patch_size": 4, "in_channels": 3, "num_classes": 1000, "window": 7,
    "mlp_ratio": 4.0, "qkv_bias": True, "layer_norm_eps": 1e-5, "shuffle": False, "rescale": "none",
}  # fmt: skip
REQUIRED = ("dim", "depths", "heads")


def windows(config):
    """The window of each stage; `window` is a number for all, or a list with one for each."""
    window, stages = config["window"], len(config["depths"])
    return list(window) if isinstance(window, (list, tuple)) else [window] * stages


def fits(config, image_size):
    """Whether every stage's map is whole, and is divided by its window."""
    side, remainder = divmod(image_size, config["patch_size"])
    for stage, window in enumerate(windows(config)):
        if stage:
            side, remainder = divmod(side, 2)
        if remainder or side < 1 or side % min(side, window):
            return False
    return True


def nearest_sizes(config):
    """The largest image size below and the smallest above `image_size` that fit."""
    size = config["image_size"]
    step = config["patch_size"] * 2 ** (len(config["depths"]) - 1) * math.lcm(*windows(config))
    below = (s for s in range(size - 1, 0, -1) if fits(config, s))
    above = (s for s in range(size + 1, size + step + 1) if fits(config, s))
    return [s for s in (next(below, None), next(above, None)) if s]


def complete(config):
    """Fills in what a checkpoint's `config` may leave out, and rejects what cannot be built."""
    config = DEFAULTS | config
    missing = [key for key in REQUIRED if key not in config]
    if missing:
        raise ValueError(f"config lacks {', '.join(missing)}")
    if len(config["depths"]) != len(config["heads"]):
        raise ValueError(f"{len(config['depths'])} depths but {len(config['heads'])} heads: one of each for every stage")
    if len(windows(config)) != len(config["depths"]):
        raise ValueError(f"{len(config['window'])} windows for {len(config['depths'])} stages: one number, or one for each")
    for stage, heads in enumerate(config["heads"]):
        if (config["dim"] << stage) % heads:
            raise ValueError(f"{heads} heads do not divide dim {config['dim'] << stage} of stage {stage}")
    for key, values in {"arch": ("swin",), "rescale": ("learned", "half", "none")}.items():
        if config[key] not in values:
            raise ValueError(f"{key} is {config[key]!r}, not one of {', '.join(values)}")
    if not fits(config, config["image_size"]):
        near = " and ".join(map(str, nearest_sizes(config)))
        raise ValueError(
            f"image_size {config['image_size']}: window {config['window']} and the cells that are merged must divide"
            f" every map that is larger; nearest sizes that work: {near}"
        )
    return config


def partition(x, side, window):
    """Row-major tokens `[B, side side, C]` to windows `[B windows, window window, C]`."""
    count = side // window
    x = x.reshape(len(x), count, window, count, window, -1)
    return x.transpose(2, 3).reshape(-1, window * window, x.shape[-1])


def merge_windows(x, side, window):
    """The inverse of `partition`."""
    count = side // window
    x = x.reshape(-1, count, count, window, window, x.shape[-1])
    return x.transpose(2, 3).reshape(-1, side * side, x.shape[-1])


def roll(x, side, shift):
    """Rolls the map of row-major tokens by `shift` in both directions."""
    return x.unflatten(1, (side, side)).roll((shift, shift), (1, 2)).flatten(1, 2)


def relative_position_index(window):
    """`[w w, w w]`: the row of the bias table for query q and key k."""
    y, x = torch.meshgrid(torch.arange(window), torch.arange(window), indexing="ij")
    dy, dx = (c.flatten().unsqueeze(1) - c.flatten().unsqueeze(0) + window - 1 for c in (y, x))
    return dy * (2 * window - 1) + dx


def shift_mask(side, window, shift):
    """`[windows, w w, w w]`, -inf where query and key were not neighbours before the map was rolled, else 0."""
    lines = torch.zeros(side, dtype=torch.long)
    lines[side - window :] = 1
    lines[side - shift :] = 2
    region = lines.unsqueeze(1) * 3 + lines
    region = partition(region.reshape(1, -1, 1), side, window).squeeze(-1)
    return torch.where(region.unsqueeze(2) == region.unsqueeze(1), 0.0, float("-inf"))


class WindowAttention(Attention):
    """Attention inside the windows of a square map, rolled by -shift for the while; a bias per relative position."""

    def __init__(self, dim, heads, qkv_bias, side, window, shift):
        super().__init__(dim, heads, qkv_bias)
        self.side, self.window, self.shift = side, window, shift
        self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * window - 1) ** 2, heads))
        self.register_buffer("index", relative_position_index(window), persistent=False)
        self.register_buffer("mask", shift_mask(side, window, shift) if shift else None, persistent=False)

    def forward(self, x):
        x = partition(roll(x, self.side, -self.shift), self.side, self.window)
        windows, tokens, dim = x.shape
        qkv = self.qkv(x).reshape(windows, tokens, 3, self.heads, dim // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        scores = q @ (k * (dim // self.heads) ** -0.5).transpose(-2, -1)
        scores = scores + self.relative_position_bias_table[self.index].permute(2, 0, 1)
        if self.mask is not None:
            scores = scores.unflatten(0, (-1, len(self.mask))) + self.mask.unsqueeze(1)
            scores = scores.flatten(0, 1)
        context = scores.softmax(dim=-1) @ v
        x = self.proj(context.transpose(1, 2).reshape(windows, tokens, dim))
        return roll(merge_windows(x, self.side, self.window), self.side, self.shift)


class Merge(nn.Module):
    """Patch merging: each 2 x 2 cell of channels C becomes one token of 2C; with the module for both halves apart."""

    def __init__(self, dim, side, eps, shuffle):
        super().__init__()
        self.dim, self.side = dim, side
        self.halves = ("_1", "_2") if shuffle else ("",)
        for half in self.halves:
            self.add_module(f"norm{half}", nn.LayerNorm(4 * dim, eps=eps))
            self.add_module(f"reduction{half}", nn.Linear(4 * dim, 2 * dim, bias=False))

    def half(self, x, suffix):
        x = x.unflatten(1, (self.side, self.side))
        cells = torch.cat([x[:, row::2, column::2] for column in (0, 1) for row in (0, 1)], dim=-1).flatten(1, 2)
        return getattr(self, f"reduction{suffix}")(getattr(self, f"norm{suffix}")(cells))

    def forward(self, x):
        return torch.cat([self.half(x, half) for x, half in zip(x.split(self.dim, -1), self.halves)], dim=-1)


class Stage(nn.Module):
    """Blocks on one map, every second one with rolled windows, and the merging that ends all stages but the last."""

    def __init__(self, config, stage, side):
        super().__init__()
        dim, heads, depths = config["dim"] << stage, config["heads"][stage], config["depths"]
        window = min(side, windows(config)[stage])
        self.blocks = nn.ModuleList()
        for i in range(depths[stage]):
            block = Block(config | {"dim": dim, "heads": heads})
            shift = window // 2 if i % 2 and side > window else 0
            block.attn = WindowAttention(dim, heads, config["qkv_bias"], side, window, shift)
            self.blocks.append(block)
        last = stage == len(depths) - 1
        self.downsample = None if last else Merge(dim, side, config["layer_norm_eps"], config["shuffle"])

    def forward(self, x, taps):
        for block in self.blocks:
            x = block(x)
        if taps is not None:
            taps.append(x)
        return x if self.downsample is None else self.downsample(x)


class NormedPatchEmbed(PatchEmbed):
    """Patches to tokens, and a norm over all of their channels."""

    def __init__(self, in_channels, width, patch, eps):
        super().__init__(in_channels, width, patch)
        self.norm = nn.LayerNorm(width, eps=eps)

    def forward(self, images):
        return self.norm(super().forward(images))


class Swin(nn.Module):
    """Swin of any size, from the `config` of a checkpoint. Images come in normalised, `[B, in_channels, S, S]`."""

    def __init__(self, config):
        super().__init__()
        self.config = config = complete(config)
        stages, eps = len(config["depths"]), config["layer_norm_eps"]
        width = config["dim"] * (2 if config["shuffle"] else 1)
        side = config["image_size"] // config["patch_size"]
        self.patch_embed = NormedPatchEmbed(config["in_channels"], width, config["patch_size"], eps)
        self.layers = nn.ModuleList(Stage(config, stage, side >> stage) for stage in range(stages))
        self.norm = nn.LayerNorm(width << (stages - 1), eps=eps)
        classes = config["num_classes"]
        self.head = nn.Linear(width << (stages - 1), classes) if classes else nn.Identity()
        self.initialise()

    def initialise(self):
        """As DeiT and Swin are trained: normal weights of deviation 0.02, no biases."""
        for name, parameter in self.named_parameters():
            if name.endswith("relative_position_bias_table"):
                nn.init.trunc_normal_(parameter, std=0.02)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, images, taps=None):
        """Logits `[B, classes]`, without a head the features; `taps`, a list, receives each stage's tokens, before merging."""
        x = self.patch_embed(images)
        for layer in self.layers:
            x = layer(x, taps)
        return self.head(self.norm(x).mean(dim=1))
