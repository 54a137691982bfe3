"""Checkpoints: safetensors files whose metadata entry `config` describes the model.

The files can be used without a copy: the header is padded so that the data starts on a 64-byte boundary, and wide
types come before narrow ones, so that every tensor is aligned to its element.
"""

import json
import os
from pathlib import Path

import torch
from safetensors import safe_open

DTYPES = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.uint8: "U8"}
ALIGNMENT = 64


def write_tensors(path, tensors, metadata=None):
    """Writes named tensors, atomically; those whose length is a multiple of 64 bytes come first within their type."""

    def place(item):
        size = item[1].element_size()
        return -size, item[1].numel() * size % ALIGNMENT != 0, item[0]

    header, blobs, offset = {}, [], 0
    if metadata:
        header["__metadata__"] = metadata
    for name, tensor in sorted(tensors.items(), key=place):
        blob = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
        header[name] = {
            "dtype": DTYPES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [offset, offset + len(blob)],
        }
        offset += len(blob)
        blobs.append(blob)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-(8 + len(text)) % ALIGNMENT)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    with open(part, "wb") as file:
        file.write(len(text).to_bytes(8, "little"))
        file.write(text)
        file.writelines(blobs)
    os.replace(part, path)


def read_tensors(path):
    """(tensors, metadata) of a safetensors file"""
    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}


def save(path, tensors, config, dtype=torch.float32):
    """Writes a state dict and its description; `config` may also hold name, labels and how images are prepared."""
    tensors = {name: tensor.to(dtype) for name, tensor in tensors.items()}
    write_tensors(path, tensors, {"config": json.dumps(config)})


def load(path):
    """(state dict in F32, config) of a checkpoint"""
    tensors, metadata = read_tensors(path)
    if "config" not in metadata:
        raise ValueError(f"{path} has no `config` in its metadata")
    return {name: tensor.float() for name, tensor in tensors.items()}, json.loads(metadata["config"])
