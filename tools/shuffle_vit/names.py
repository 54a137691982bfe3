"""The names that tensors have in a checkpoint: those of the public code of DeiT, T2T-ViT and Swin."""

import re

import torch

BUFFERS = ("attn_mask", "relative_position_index")
PREFIXES = ("module.", "model.")
# transformers' names, part by part, in this order
TRANSFORMERS = [
    (r"^(vit|deit|swin|dinov2|dinov2_with_registers)\.", ""),
    (r"^embeddings\.norm\.", "patch_embed.norm."),
    (r"^embeddings\.cls_token$", "cls_token"),
    (r"^embeddings\.distillation_token$", "dist_token"),
    (r"^embeddings\.register_tokens$", "reg_token"),
    (r"^embeddings\.position_embeddings$", "pos_embed"),
    (r"^embeddings\.patch_embeddings\.projection\.", "patch_embed.proj."),
    (r"^encoder\.layer\.", "blocks."),
    (r"^encoder\.layers\.", "layers."),
    (r"\.attention\.(attention|self)\.(query|key|value)\.", r".attn.\2."),
    (r"\.attention\.self\.", ".attn."),
    (r"\.attention\.output\.dense\.", ".attn.proj."),
    (r"\.intermediate\.dense\.", ".mlp.fc1."),
    (r"\.output\.dense\.", ".mlp.fc2."),
    (r"\.layernorm_before\.", ".norm1."),
    (r"\.layernorm_after\.", ".norm2."),
    (r"\.layer_scale([12])\.lambda1$", r".ls\1.gamma"),
    (r"^layernorm\.", "norm."),
    (r"^(cls_)?classifier\.", "head."),
    (r"^distillation_classifier\.", "head_dist."),
]
# what no classifier reads: tokens and layers of pretraining, and buffers
TRANSFORMERS_UNUSED = re.compile(r"(mask_token|relative_position_index)$|(^|\.)pooler\.")


def public_names(tensors):
    """The tensors under their public names, from a state dict of timm, of the public code or of a wrapped model.

    timm's Swin has each `downsample` on the stage that follows, and `head.fc` for `head`; DeiT III's own code calls
    LayerScale `gamma_1` and `gamma_2`. A prefix on every name goes, and so do the buffers that follow from the sizes.
    """
    for prefix in PREFIXES:
        if tensors and all(name.startswith(prefix) for name in tensors):
            tensors = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
    tensors = {name: tensor for name, tensor in tensors.items() if not name.endswith(BUFFERS)}
    if in_timm_order(tensors):
        tensors = {from_timm_swin(name): tensor for name, tensor in tensors.items()}
    return {re.sub(r"\.gamma_([12])$", r".ls\1.gamma", name): tensor for name, tensor in tensors.items()}


def in_timm_order(names):
    """Whether the stage after a `downsample` has it, as in timm, not the stage before."""
    stages = {name.split(".")[1] for name in names if re.match(r"layers\.\d+\.downsample\.", name)}
    return "0" not in stages if stages else any(name.startswith("head.fc.") for name in names)


def from_timm_swin(name):
    parts = name.split(".")
    if parts[0] == "layers" and parts[2] == "downsample":
        parts[1] = str(int(parts[1]) - 1)
    return ".".join(parts).replace("head.fc.", "head.")


def from_transformers(tensors):
    """The tensors of a file of Hugging Face transformers under their public names, with q, k and v joined."""
    renamed = {}
    for name, tensor in tensors.items():
        if not TRANSFORMERS_UNUSED.search(name):
            for pattern, replacement in TRANSFORMERS:
                name = re.sub(pattern, replacement, name)
            renamed[name] = tensor
    for name in [name for name in renamed if ".attn.query." in name]:
        parts = [renamed.pop(name.replace(".query.", f".{part}.")) for part in ("query", "key", "value")]
        renamed[name.replace(".query.", ".qkv.")] = torch.cat(parts)
    return renamed
