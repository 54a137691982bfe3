"""The names that tensors have in a checkpoint: PyTorch's in the public code of DeiT, T2T-ViT and Swin."""

BUFFERS = ("attn_mask", "relative_position_index")
PREFIXES = ("module.", "model.")


def public_names(tensors):
    """The tensors under their public names, from a state dict of timm, of the public code or of a wrapped model.

    timm's Swin has each `downsample` on the stage that follows, and `head.fc` for `head`. A prefix on every name goes,
    and so do the buffers that follow from the sizes.
    """
    for prefix in PREFIXES:
        if tensors and all(name.startswith(prefix) for name in tensors):
            tensors = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
    tensors = {name: tensor for name, tensor in tensors.items() if not name.endswith(BUFFERS)}
    if any(name.startswith("head.fc.") for name in tensors):
        tensors = {from_timm_swin(name): tensor for name, tensor in tensors.items()}
    return tensors


def from_timm_swin(name):
    parts = name.split(".")
    if parts[0] == "layers" and parts[2] == "downsample":
        parts[1] = str(int(parts[1]) - 1)
    return ".".join(parts).replace("head.fc.", "head.")
