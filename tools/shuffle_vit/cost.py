"""Parameters and multiply-accumulates of a configuration, as `shuffle-vit inspect` counts them.

MACs are those of matrix products, batch 1: linear layers and the convolution on all tokens, attention `2 N^2 C`;
no element-wise work.
"""

from .model import PlainViT, complete


def parameters(model):
    return sum(parameter.numel() for parameter in model.parameters())


def macs(config):
    config = complete(config)
    dim = config["dim"]
    width = dim * (2 if config["shuffle"] else 1)
    patches = (config["image_size"] // config["patch_size"]) ** 2
    heads = class_tokens = 2 if config["distilled"] else 1
    tokens = patches + class_tokens
    embed = patches * config["patch_size"] ** 2 * config["in_channels"] * width
    linear = tokens * (4 * dim * dim + 2 * dim * int(dim * config["mlp_ratio"]))
    attention = 2 * tokens * tokens * dim
    return embed + config["depth"] * (linear + attention) + heads * width * config["num_classes"]


def cost(config):
    """(parameters, MACs)"""
    return parameters(PlainViT(config)), macs(config)
