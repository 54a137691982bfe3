"""Parameters and multiply-accumulates of a configuration, as `shuffle-vit inspect` counts them.

MACs are those of matrix products, batch 1: linear layers and the convolution on all tokens, attention `2 N^2 C` (of a
window's tokens, for each window), performer `4 N m 64`; no element-wise work.
"""

from . import model, registry, swin, t2t


def parameters(model):
    return sum(parameter.numel() for parameter in model.parameters())


def block_macs(tokens, dim, mlp_ratio, window_tokens):
    """A layer in which each token attends to `window_tokens`."""
    linear = tokens * (4 * dim * dim + 2 * dim * int(dim * mlp_ratio))
    return linear + 2 * tokens * window_tokens * dim


def tokens_to_token_macs(config, width):
    """Both attentions and `project`; each unfold leaves a quarter of the tokens, the first a sixteenth of the pixels."""
    total = 0
    tokens = (config["image_size"] // 4) ** 2
    for features in (config["in_channels"] * 7 * 7, t2t.WIDTH * 3 * 3):
        per_token = t2t.FEATURES * 4 if config["tokens"] == "t2t_performer" else 2 * tokens
        linear = 3 * features + t2t.WIDTH + 2 * t2t.WIDTH  # kqv, proj, mlp
        total += tokens * t2t.WIDTH * (linear + per_token)
        tokens //= 4
    return total + tokens * t2t.WIDTH * 3 * 3 * width


def vit_macs(config):
    config = model.complete(config)
    width = config["dim"] * (2 if config["shuffle"] else 1)
    patches = (config["image_size"] // config["patch_size"]) ** 2
    tokens = patches + sum(count for _, count, _ in model.prefix_of(config))
    # vectors of `width` that heads read
    read = 2 if config["distilled"] or config["pool"] == "cls_avg" else 1
    if config["tokens"] == "patch":
        embed = patches * config["patch_size"] ** 2 * config["in_channels"] * width
    else:
        embed = tokens_to_token_macs(config, width)
    blocks = config["depth"] * block_macs(tokens, config["dim"], config["mlp_ratio"], tokens)
    return embed + blocks + read * width * config["num_classes"]


def swin_macs(config):
    config = swin.complete(config)
    dim, halves = config["dim"], 2 if config["shuffle"] else 1
    side = config["image_size"] // config["patch_size"]
    total = side**2 * config["patch_size"] ** 2 * config["in_channels"] * dim * halves
    for stage, (depth, window) in enumerate(zip(config["depths"], swin.windows(config), strict=True)):
        if stage:
            total += halves * 2 * side**2 * dim**2
            side, dim = side // 2, dim * 2
        total += depth * block_macs(side**2, dim, config["mlp_ratio"], min(side, window) ** 2)
    return total + halves * dim * config["num_classes"]


def macs(config):
    return swin_macs(config) if config.get("arch", "vit") == "swin" else vit_macs(config)


def cost(config):
    """(parameters, MACs)"""
    return parameters(registry.build(config)), macs(config)
