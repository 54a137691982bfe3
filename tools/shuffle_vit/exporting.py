"""Writes models of timm and of this package as checkpoints that the Rust program runs."""

import os
from pathlib import Path

import torch

from .checkpoint import save
from .convert import convert, require
from .cost import macs
from .timm_models import classes

DTYPES = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}


def export(model, path, labels=None, dtype="f32", fold_layer_scale=False):
    """Writes a model of timm, of transformers or of this package with its `config`; returns name, params, macs and bytes.

    The description is read from the model: dimensions, and what timm knows of image preparation and class names. (For a
    model of transformers, `convert(model, processor)` takes its preprocessor_config.json along.) `labels` are the names of the classes, in the order of the logits (None where one has no name); `[]` leaves them out.
    `dtype` is `f32`, `f16` or `bf16`. `fold_layer_scale` multiplies LayerScale into the layers in front of it, for programs
    that do not have it; the outputs stay the same but for rounding.

        shuffle_vit.export(model, "mine.safetensors", labels=["cat", "dog"])
    """
    dtype = {value: name for name, value in DTYPES.items()}.get(dtype, dtype)
    if dtype not in DTYPES:
        raise ValueError(f"dtype is {dtype!r}, not one of {', '.join(DTYPES)}")
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder: give the file to write")
    model = convert(model)
    config = model.config | {"num_classes": classes(model.head)}
    if labels is None and len(config.get("labels", ())) != config["num_classes"]:
        config.pop("labels", None)  # the head was replaced
    elif labels is not None:
        config["labels"] = checked(list(labels), config["num_classes"])
    tensors = model.state_dict()
    require(tensors, config, "the model is not what its `config` describes")
    if fold_layer_scale and config.get("layer_scale"):
        tensors, config = folded(tensors), config | {"layer_scale": False}
    tensors = {name: finite(name, tensor.detach(), dtype) for name, tensor in tensors.items()}
    try:
        save(path, tensors, config, DTYPES[dtype])
    finally:
        path.with_name(f"{path.name}.part").unlink(missing_ok=True)
    return {
        "name": config.get("name", type(model).__name__),
        "params": sum(tensor.numel() for tensor in tensors.values()),
        "macs": macs(config),
        "bytes": os.stat(path).st_size,
    }


def folded(tensors):
    """The tensors without `ls1` and `ls2`, which are factors of `attn.proj`'s and `mlp.fc2`'s outputs."""
    found = {name: tensor for name, tensor in tensors.items() if not name.endswith(".gamma")}
    for name in tensors.keys() - found.keys():
        block, scale, _ = name.rsplit(".", 2)
        layer = f"{block}.{'attn.proj' if scale == 'ls1' else 'mlp.fc2'}"
        gamma = tensors[name].double()
        for part, factor in (("weight", gamma.unsqueeze(1)), ("bias", gamma)):
            found[f"{layer}.{part}"] = (tensors[f"{layer}.{part}"].double() * factor).to(tensors[name].dtype)
    return found


def checked(labels, count):
    if labels and len(labels) != count:
        raise ValueError(f"{len(labels)} labels for {count} classes")
    if not all(label is None or isinstance(label, str) for label in labels):
        raise TypeError("labels must be strings, or None where a class has no name")
    return labels


def finite(name, tensor, dtype):
    """The tensor in its type of the file, in which no value may be infinite or NaN."""
    cast = tensor.to(DTYPES[dtype])
    bad = cast.numel() - int(cast.isfinite().sum())
    if bad:
        largest = tensor.abs().max().item()
        raise ValueError(f"{name}: {bad} values are not finite as {dtype}; the largest in the model is {largest:g}")
    return cast
