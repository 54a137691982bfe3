"""From a model of timm to this package's model of the same configuration and weights.

Everything is read from the model itself. What this package would compute otherwise is refused: a layer of a kind that it
does not have, a tensor that it has no place for, a way of pooling or of windowing that it does not know.
"""

import math
import warnings

import torch
from torch import nn

from . import swin
from .model import PlainViT
from .names import public_names
from .registry import build

OURS = (PlainViT, swin.Swin)
VIT_LAYERS = {
    "VisionTransformer", "VisionTransformerDistilled", "PatchEmbed", "Block", "Attention", "Mlp", "LayerNorm", "GELU", "Linear",
    "Conv2d", "Sequential", "Identity", "Dropout", "DropPath",
}  # fmt: skip
SWIN_LAYERS = {
    "SwinTransformer", "SwinTransformerStage", "SwinTransformerBlock", "WindowAttention", "PatchMerging", "PatchEmbed", "Mlp",
    "ClassifierHead", "SelectAdaptivePool2d", "FastAdaptiveAvgPool", "LayerNorm", "GELU", "Softmax", "Linear", "Conv2d",
    "Sequential", "Identity", "Dropout", "DropPath",
}  # fmt: skip
INTERPOLATIONS = ("bicubic", "bilinear", "nearest")
SHOWN = 20


def unwrap(model):
    """The model inside of `torch.compile`, `DataParallel` and their like."""
    for attribute in ("_orig_mod", "module"):
        inner = getattr(model, attribute, None)
        if isinstance(inner, nn.Module):
            return unwrap(inner)
    return model


def convert(model):
    """This package's model with the configuration and weights of a timm DeiT or Swin; a model of this package as it is.

    Its `config` also says how timm prepares images and, where timm knows them, what the classes are called. Dropout and
    stochastic depth do not come along.
    """
    model = unwrap(model)
    if isinstance(model, OURS):
        return model
    kind = type(model).__name__ if type(model).__module__.startswith("timm.") else None
    if kind in ("VisionTransformer", "VisionTransformerDistilled"):
        refuse_other_layers(model, VIT_LAYERS)
        config = vit_config(model)
    elif kind == "SwinTransformer":
        refuse_other_layers(model, SWIN_LAYERS)
        config = swin_config(model)
    else:
        raise TypeError(
            f"{type(model).__module__}.{type(model).__name__} is neither timm's VisionTransformer (DeiT), distilled or not,"
            " nor timm's SwinTransformer, nor a PlainViT, T2TViT or Swin of this package; for a model of other code, load"
            " its state dict into shuffle_vit.build(shuffle_vit.named(NAME))"
        )
    tensors = public_names(model.state_dict())
    require(tensors, config, f"{type(model).__name__} is not a model that this package knows")
    ours = build(config | preparation(model, config))
    ours.load_state_dict(tensors)
    if isinstance(ours, swin.Swin):
        refuse_other_windows(model, ours)
    like = next(model.parameters())
    return ours.to(like.device, like.dtype).train(model.training)


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
    if not isinstance(head, nn.Linear):
        raise TypeError("the model has no classifier: create it with num_classes")
    return head.out_features


def common_config(model, blocks):
    """What the families describe alike."""
    return {
        "image_size": square(model.patch_embed.img_size, "the image"),
        "patch_size": square(model.patch_embed.patch_size, "a patch"),
        "in_channels": model.patch_embed.proj.in_channels,
        "mlp_ratio": ratio(blocks[0].mlp.fc1.out_features, blocks[0].attn.qkv.in_features),
        "qkv_bias": blocks[0].attn.qkv.bias is not None,
        "layer_norm_eps": one((m.eps for m in model.modules() if isinstance(m, nn.LayerNorm)), "the eps of their norms"),
    }


def vit_config(model):
    if model.global_pool not in ("token", "avg") or getattr(model, "pool_include_prefix", False):
        raise ValueError(f"global_pool {model.global_pool!r}: the head must read the class token or the mean of the patches")
    blocks = list(model.blocks)
    pool = "avg" if model.global_pool == "avg" else "cls"
    return {"arch": "vit"} | common_config(model, blocks) | {
        "num_classes": classes(model.head), "dim": blocks[0].attn.qkv.in_features, "depth": len(blocks),
        "heads": one((block.attn.num_heads for block in blocks), "heads"), "tokens": "patch",
        "distilled": hasattr(model, "head_dist"), "pool": pool,
        "norm_after_pool": pool == "avg" and isinstance(model.fc_norm, nn.LayerNorm), "shuffle": False, "rescale": "none",
    }  # fmt: skip


def swin_config(model):
    if model.head.global_pool.pool_type != "avg":
        raise ValueError(f"global_pool {model.head.global_pool.pool_type!r}: the head must read the mean of the tokens")
    stages = [list(stage.blocks) for stage in model.layers]
    return {"arch": "swin"} | common_config(model, stages[0]) | {
        "num_classes": classes(model.head.fc), "dim": stages[0][0].attn.qkv.in_features,
        "depths": [len(blocks) for blocks in stages],
        "heads": [one((block.attn.num_heads for block in blocks), "heads") for blocks in stages],
        "window": square(stages[0][0].window_size, "a window"), "shuffle": False, "rescale": "none",
    }  # fmt: skip


def refuse_other_windows(theirs, ours):
    """timm pads maps that a window does not divide and may shift windows otherwise."""
    for s, (stage, layer) in enumerate(zip(theirs.layers, ours.layers, strict=True)):
        for i, (block, own) in enumerate(zip(stage.blocks, layer.blocks, strict=True)):
            found = tuple(block.window_size) + tuple(block.shift_size)
            expected = (own.attn.window,) * 2 + (own.attn.shift,) * 2
            if found != expected:
                raise ValueError(f"layers.{s}.blocks.{i}: window and shift are {found}, but must be {expected}")


def preparation(model, config):
    """How timm prepares the model's images, its name, and the names of its classes, as keys of a `config`."""
    source = getattr(model, "pretrained_cfg", None) or {}
    found = {"name": source["architecture"]} if source.get("architecture") else {}
    for key in ("mean", "std"):
        if source.get(key) is not None and len(source[key]) == config["in_channels"]:
            found[key] = list(source[key])
    if source.get("crop_pct"):
        found["crop_pct"] = source["crop_pct"]
    if source.get("interpolation") in INTERPOLATIONS:
        found["interpolation"] = source["interpolation"]
    elif source.get("interpolation"):
        warnings.warn(f"interpolation {source['interpolation']!r} is not one of {', '.join(INTERPOLATIONS)}: left out")
    if source.get("crop_mode", "center") != "center":
        warnings.warn(f"crop_mode {source['crop_mode']!r} is none of the format: images will be cropped at their centre")
    labels = class_names(source, config["num_classes"])
    return found | ({"labels": labels} if labels else {})


def class_names(source, count):
    """From timm's description of the weights: a model whose head was replaced by one of another size has none."""
    if source.get("label_names") and len(source["label_names"]) == count:
        return list(source["label_names"])
    return imagenet_names() if source.get("num_classes") == count == 1000 else None


def imagenet_names():
    """The 1000 classes of ImageNet-1k, as timm names them."""
    from timm.data import ImageNetInfo  # here, so that timm is needed only with its models

    return ImageNetInfo("imagenet-1k").label_descriptions()


def require(tensors, config, what):
    """Raises ValueError with all the differences between a state dict and the one that `config` describes."""
    with torch.device("meta"):
        expected = {name: list(tensor.shape) for name, tensor in build(config).state_dict().items()}
    found = {name: list(tensor.shape) for name, tensor in tensors.items()}
    problems = [f"missing: {name} {expected[name]}" for name in expected if name not in found]
    problems += [f"unexpected: {name} {found[name]}" for name in found if name not in expected]
    problems += [
        f"{name} is {found[name]}, but should be {shape}"
        for name, shape in expected.items()
        if name in found and found[name] != shape
    ]
    if problems:
        rest = [f"and {len(problems) - SHOWN} more"] if len(problems) > SHOWN else []
        raise ValueError("\n  ".join([f"{what}: {len(problems)} tensors differ", *problems[:SHOWN], *rest]))
