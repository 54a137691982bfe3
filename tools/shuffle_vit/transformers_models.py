"""Models of Hugging Face transformers: ViT, DeiT, Swin, DINOv2 and DINOv2 with registers."""

import json
import tempfile
from pathlib import Path

from .checkpoint import read_tensors
from .names import from_transformers
from .timm_models import ratio

PLAIN = ("vit", "deit", "dinov2", "dinov2_with_registers")
PREPROCESSOR = "preprocessor_config.json"


def is_transformers(model):
    return type(model).__module__.startswith("transformers.")


def open_model(source, random=False):
    """(model, what its preprocessor_config.json says, None if there is none) of a folder or of a name on the Hugging Face hub."""
    import transformers
    from huggingface_hub import hf_hub_download

    config = transformers.AutoConfig.from_pretrained(source)
    names = config.architectures or []
    if len(names) != 1 or not hasattr(transformers, names[0]):
        raise ValueError(f"{source}: config.json names {names or 'no architecture'}, which transformers does not have")
    kind = getattr(transformers, names[0])
    model = kind(config).eval() if random else kind.from_pretrained(source)
    path = Path(source, PREPROCESSOR)
    if not Path(source).is_dir():
        path = Path(hf_hub_download(source, PREPROCESSOR))
    return model, json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def state_dict(model):
    """The tensors under their public names.

    Versions of transformers differ in the names that live models use, but not in those that they save.
    """
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        files = sorted(Path(folder).glob("*.safetensors"))
        return from_transformers({name: tensor for file in files for name, tensor in read_tensors(file)[0].items()})


def configuration(model):
    """The `config` of a model, read from transformers' own."""
    theirs = model.config
    if theirs.model_type != "swin" and theirs.model_type not in PLAIN:
        raise TypeError(f"transformers' {theirs.model_type} is none of {', '.join(PLAIN)}, swin")
    if theirs.hidden_act != "gelu":
        raise TypeError(f"hidden_act is {theirs.hidden_act!r}, but this package's is the exact GELU")
    classes = theirs.num_labels if "ForImageClassification" in type(model).__name__ else 0
    common = {
        "image_size": theirs.image_size, "patch_size": theirs.patch_size, "in_channels": theirs.num_channels,
        "num_classes": classes, "qkv_bias": theirs.qkv_bias, "layer_norm_eps": theirs.layer_norm_eps,
        "shuffle": False, "rescale": "none",
    }  # fmt: skip
    labels = [theirs.id2label.get(index) for index in range(classes)]
    if labels and labels != [f"LABEL_{index}" for index in range(classes)]:
        common["labels"] = labels
    return common | (swin_config(theirs) if theirs.model_type == "swin" else vit_config(theirs, type(model).__name__))


def swin_config(theirs):
    if theirs.use_absolute_embeddings:
        raise TypeError("a Swin with absolute position embeddings: this package has none")
    return {
        "arch": "swin", "dim": theirs.embed_dim, "depths": list(theirs.depths), "heads": list(theirs.num_heads),
        "window": theirs.window_size, "mlp_ratio": float(theirs.mlp_ratio),
    }  # fmt: skip


def vit_config(theirs, kind):
    dino, distilled = theirs.model_type.startswith("dinov2"), theirs.model_type == "deit"
    if dino and theirs.use_swiglu_ffn:
        raise TypeError("a DINOv2 with SwiGLU: this package has no such layer")
    found = {
        "arch": "vit", "dim": theirs.hidden_size, "depth": theirs.num_hidden_layers, "heads": theirs.num_attention_heads,
        "mlp_ratio": float(theirs.mlp_ratio) if dino else ratio(theirs.intermediate_size, theirs.hidden_size),
        "layer_scale": dino, "register_tokens": getattr(theirs, "num_register_tokens", 0),
        "pool": "cls_avg" if dino and "ForImageClassification" in kind else "cls",
    }  # fmt: skip
    if distilled and not kind.endswith("WithTeacher"):
        # its distillation token takes part in attention but no classifier reads it: a register with a position
        return found | {"register_tokens": 1, "embed_registers": True}
    return found | {"distilled": distilled}
