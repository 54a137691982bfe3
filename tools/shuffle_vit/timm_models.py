"""The configuration of a model of timm, read from the model itself.

What this package would compute otherwise is refused: a layer of a kind that it does not have, a way of pooling or of
windowing that it does not know.
"""

import math

from torch import nn

VIT_LAYERS = {
    "VisionTransformer", "VisionTransformerDistilled", "PatchEmbed", "Block", "Attention", "Mlp", "LayerNorm", "LayerScale",
    "GELU", "Linear", "Conv2d", "Sequential", "Identity", "Dropout", "DropPath",
}  # fmt: skip
SWIN_LAYERS = {
    "SwinTransformer", "SwinTransformerStage", "SwinTransformerBlock", "WindowAttention", "PatchMerging", "PatchEmbed", "Mlp",
    "ClassifierHead", "SelectAdaptivePool2d", "FastAdaptiveAvgPool", "LayerNorm", "GELU", "Softmax", "Linear", "Conv2d",
    "Sequential", "Identity", "Dropout", "DropPath",
}  # fmt: skip


def is_timm(model):
    return type(model).__module__.startswith("timm.")


def configuration(model):
    """The `config` of a VisionTransformer, distilled or not, or of a SwinTransformer; others are refused."""
    kind = type(model).__name__
    if kind in ("VisionTransformer", "VisionTransformerDistilled"):
        refuse_other_layers(model, VIT_LAYERS)
        return vit_config(model)
    if kind == "SwinTransformer":
        refuse_other_layers(model, SWIN_LAYERS)
        return swin_config(model)
    raise TypeError(
        f"{type(model).__module__}.{kind} is neither timm's VisionTransformer, distilled or not, nor timm's SwinTransformer"
    )


def refuse_other_layers(model, known):
    others = sorted({type(layer).__name__ for layer in model.modules()} - known)
    if others:
        raise TypeError(f"{type(model).__name__} with {', '.join(others)}: this package has no such layer")
    if any(isinstance(layer, nn.GELU) and layer.approximate != "none" for layer in model.modules()):
        raise TypeError("the GELU is an approximation, but this package's is exact")


def one(values, what):
    """The one value that all layers share."""
    values = set(values)
    if len(values) != 1:
        raise ValueError(f"the layers differ in {what}: {', '.join(map(str, sorted(values)))}")
    return values.pop()


def square(size, what):
    height, width = size if isinstance(size, (tuple, list)) else (size, size)
    if height != width:
        raise ValueError(f"{what} is {height} x {width}, not square")
    return height


def ratio(hidden, dim):
    """The ratio of which `int(dim * ratio)` is `hidden`, also where the quotient is rounded down."""
    value = hidden / dim
    return value if int(dim * value) == hidden else math.nextafter(value, math.inf)


def classes(head):
    """The outputs of a head, 0 where there is none."""
    return head.out_features if isinstance(head, nn.Linear) else 0


def common_config(model, blocks):
    """What the families describe alike."""
    return {
        "image_size": square(model.patch_embed.img_size, "the image"),
        "patch_size": square(model.patch_embed.patch_size, "a patch"),
        "in_channels": model.patch_embed.proj.in_channels,
        "mlp_ratio": ratio(blocks[0].mlp.fc1.out_features, blocks[0].attn.qkv.in_features),
        "qkv_bias": blocks[0].attn.qkv.bias is not None,
        "layer_norm_eps": one((m.eps for m in model.modules() if isinstance(m, nn.LayerNorm)), "the eps of their norms"),
        "shuffle": False, "rescale": "none",
    }  # fmt: skip


def vit_config(model):
    if model.global_pool not in ("token", "avg") or getattr(model, "pool_include_prefix", False):
        raise ValueError(f"global_pool {model.global_pool!r}: the head must read the class token or the mean of the patches")
    blocks = list(model.blocks)
    block, pool = blocks[0], "avg" if model.global_pool == "avg" else "cls"
    before, after = (isinstance(norm, nn.LayerNorm) for norm in (model.norm, model.fc_norm))
    if before == after or (after and pool != "avg"):
        raise ValueError("there must be one final norm: after the blocks, or after the mean of the patches")
    embedded = not model.no_embed_class
    registers = getattr(model, "num_reg_tokens", 0)
    return {"arch": "vit"} | common_config(model, blocks) | {
        "num_classes": classes(model.head), "dim": block.attn.qkv.in_features, "depth": len(blocks),
        "heads": one((b.attn.num_heads for b in blocks), "heads"), "tokens": "patch",
        "distilled": hasattr(model, "head_dist"), "class_token": model.cls_token is not None,
        "register_tokens": registers, "embed_class_token": embedded, "embed_registers": embedded and registers > 0,
        "pre_norm": isinstance(model.norm_pre, nn.LayerNorm), "qk_norm": isinstance(block.attn.q_norm, nn.LayerNorm),
        "layer_scale": hasattr(block.ls1, "gamma"), "pool": pool,
        "norm_after_pool": after,
    }  # fmt: skip


def swin_config(model):
    if model.head.global_pool.pool_type != "avg":
        raise ValueError(f"global_pool {model.head.global_pool.pool_type!r}: the head must read the mean of the tokens")
    stages = [list(stage.blocks) for stage in model.layers]
    found = {"arch": "swin"} | common_config(model, stages[0]) | {
        "num_classes": classes(model.head.fc), "dim": stages[0][0].attn.qkv.in_features,
        "depths": [len(blocks) for blocks in stages],
        "heads": [one((block.attn.num_heads for block in blocks), "heads") for blocks in stages],
    }  # fmt: skip
    windows = [square(one((b.window_size for b in blocks), "their windows"), "a window") for blocks in stages]
    side = found["image_size"] // found["patch_size"]
    same = all(window == min(side >> stage, windows[0]) for stage, window in enumerate(windows))
    return found | {"window": windows[0] if same else windows}


def refuse_other_windows(theirs, ours):
    """timm pads maps that a window does not divide and may shift windows otherwise."""
    for s, (stage, layer) in enumerate(zip(theirs.layers, ours.layers, strict=True)):
        for i, (block, own) in enumerate(zip(stage.blocks, layer.blocks, strict=True)):
            found = tuple(block.window_size) + tuple(block.shift_size)
            expected = (own.attn.window,) * 2 + (own.attn.shift,) * 2
            if found != expected:
                raise ValueError(f"layers.{s}.blocks.{i}: window and shift are {found}, but must be {expected}")
