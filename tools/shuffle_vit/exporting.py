"""Writes models of timm and of this package as checkpoints that the Rust program runs."""

import os
from pathlib import Path

import torch

from .checkpoint import save
from .convert import convert, require
from .cost import macs

DTYPES = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}


def export(model, path, labels=None, dtype="f32"):
    """Writes a timm DeiT or Swin, or a model of this package, with its `config`; returns name, params, macs and bytes.

    The description is read from the model: dimensions, and what timm knows of image preparation and class names.
    `labels` are the names of the classes, in the order of the logits (None where one has no name); `[]` leaves them out.
    `dtype` is `f32`, `f16` or `bf16`.

        shuffle_vit.export(model, "mine.safetensors", labels=["cat", "dog"])
    """
    dtype = {value: name for name, value in DTYPES.items()}.get(dtype, dtype)
    if dtype not in DTYPES:
        raise ValueError(f"dtype is {dtype!r}, not one of {', '.join(DTYPES)}")
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder: give the file to write")
    model = convert(model)
    config = model.config | {"num_classes": len(model.head.weight)}
    if labels is None and len(config.get("labels", ())) != config["num_classes"]:
        config.pop("labels", None)  # the head was replaced
    elif labels is not None:
        config["labels"] = checked(list(labels), config["num_classes"])
    tensors = model.state_dict()
    require(tensors, config, "the model is not what its `config` describes")
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


def checked(labels, classes):
    if labels and len(labels) != classes:
        raise ValueError(f"{len(labels)} labels for {classes} classes")
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
