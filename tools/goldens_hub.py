"""Writes tiny models the way timm, transformers and Microsoft's Swin save them, with what PyTorch computes from each.

Every name below becomes a folder in `crates/weights/tests/goldens/hub` with the files that the public code writes
(`model.safetensors`, `config.json`, ...) and `expected.safetensors`: `image` [1, channels, S, S], already normalised, and
what the model computes in f64 from the weights as stored, rounded to F32: `logits` [1, classes], or for a model without
a head `features` [1, channels], the pooled and normed tokens. The weights are random and seeded: no tensor is neutral.

Where timm can resample the positions of a file for another image size, `expected.safetensors` also holds `image_at` of
that size and `features_at`.
"""

import argparse
import json
import shutil
import zlib
from pathlib import Path

import timm
import torch
import transformers
from safetensors.torch import save_file
from timm.models._hub import save_for_hf
from timm.models.vision_transformer import checkpoint_filter_fn

from goldens import FOLDER, randomise
from shuffle_vit import public_names
from shuffle_vit.checkpoint import write_tensors

HUB = FOLDER / "hub"
LABELS = ["tench", "goldfish", "great white shark", "tiger shark", "hammerhead"]
IDENTIFIERS = ["n01440764", "n01443537", "n01484850", "n01491361", "n01494475"]

# transformers

# 4 x 4 patches of 4 x 4 pixels, and 5 classes
PLAIN = {
    "image_size": 16, "patch_size": 4, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
    "intermediate_size": 40, "id2label": dict(enumerate(LABELS)), "label2id": {v: k for k, v in enumerate(LABELS)},
}  # fmt: skip
DINO = {key: value for key, value in PLAIN.items() if key != "intermediate_size"} | {"mlp_ratio": 3}
WINDOWS = {
    "image_size": 32, "patch_size": 2, "embed_dim": 8, "depths": [2, 2], "num_heads": [2, 4], "window_size": 4,
    "id2label": PLAIN["id2label"], "label2id": PLAIN["label2id"],
}  # fmt: skip
HALF = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}
IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
VIT_IMAGES = {"do_resize": True, "size": {"height": 16, "width": 16}, "resample": 2, "do_rescale": True,
              "rescale_factor": 1 / 255, "do_normalize": True, "image_processor_type": "ViTImageProcessor"} | HALF  # fmt: skip
# as facebook/deit-tiny-patch16-224 has it, with sizes as plain numbers
DEIT_IMAGES = {"do_center_crop": True, "do_normalize": True, "do_resize": True, "crop_size": 16, "size": 18, "resample": 3,
               "feature_extractor_type": "DeiTFeatureExtractor"} | IMAGENET  # fmt: skip
DINO_IMAGES = {"do_center_crop": True, "crop_size": {"height": 16, "width": 16}, "do_resize": True, "do_convert_rgb": True,
               "size": {"shortest_edge": 18}, "resample": 3, "do_rescale": True, "rescale_factor": 1 / 255,
               "do_normalize": True, "image_processor_type": "BitImageProcessor"} | IMAGENET  # fmt: skip
SWIN_IMAGES = VIT_IMAGES | IMAGENET | {"size": {"height": 32, "width": 32}, "resample": 3}
TRANSFORMERS = {
    "hf_vit": ("ViTForImageClassification", "ViTConfig", PLAIN, VIT_IMAGES),
    # with a `pooler`, which plays no part in the features
    "hf_vit_no_head": ("ViTModel", "ViTConfig", PLAIN, VIT_IMAGES),
    "hf_vit_sharded": ("ViTForImageClassification", "ViTConfig", PLAIN | {"qkv_bias": False}, VIT_IMAGES),
    "hf_deit": ("DeiTForImageClassification", "DeiTConfig", PLAIN, DEIT_IMAGES),
    "hf_deit_distilled": ("DeiTForImageClassificationWithTeacher", "DeiTConfig", PLAIN, DEIT_IMAGES),
    "hf_swin": ("SwinForImageClassification", "SwinConfig", WINDOWS, SWIN_IMAGES),
    "hf_swin_no_head": ("SwinModel", "SwinConfig", WINDOWS | {"depths": [1, 1]}, SWIN_IMAGES),
    "hf_dinov2": ("Dinov2ForImageClassification", "Dinov2Config", DINO, DINO_IMAGES),
    "hf_dinov2_no_head": ("Dinov2Model", "Dinov2Config", DINO, DINO_IMAGES),
    "hf_dinov2_registers": ("Dinov2WithRegistersForImageClassification", "Dinov2WithRegistersConfig",
                            DINO | {"num_register_tokens": 3}, DINO_IMAGES),
}  # fmt: skip

# timm: a model, options of its own, and how the folder is written

VIT = {"img_size": 16, "patch_size": 4, "embed_dim": 16, "depth": 2, "num_heads": 2, "num_classes": 5}
SWIN = {"img_size": 32, "patch_size": 2, "embed_dim": 8, "depths": (2, 2), "num_heads": (2, 4), "window_size": 4,
        "num_classes": 5}  # fmt: skip
TIMM = {
    # class names as timm has ImageNet's: an identifier for each index, a description for each identifier
    "timm_vit": ("vit_tiny_patch16_224.augreg_in21k_ft_in1k", VIT,
                 {"label_names": IDENTIFIERS, "label_descriptions": dict(zip(IDENTIFIERS, LABELS))}),
    # keys of `pretrained_cfg` at the top level, as timm wrote it before 0.9
    "timm_vit_flat": ("vit_tiny_patch16_224.augreg_in21k_ft_in1k", VIT,
                      {"file": "flat", "label_names": LABELS}),
    "timm_distilled": ("deit_tiny_distilled_patch16_224.fb_in1k", VIT, {}),
    # the state dict and nothing else, with heads of 64 channels
    "timm_vit_plain_file": ("vit_tiny_patch16_224", VIT | {"embed_dim": 64, "num_heads": 1, "mlp_ratio": 1, "depth": 1},
                            {"file": "weights", "dtype": torch.float16}),
    "timm_deit3": ("deit3_small_patch16_224.fb_in22k_ft_in1k", VIT, {"label_names": LABELS}),
    "timm_registers": ("vit_small_patch16_224", VIT | {"reg_tokens": 4, "no_embed_class": True}, {}),
    "timm_registers_embedded": ("vit_small_patch16_224", VIT | {"reg_tokens": 4}, {}),
    "timm_registers_no_class": ("vit_small_patch16_224", VIT | {"reg_tokens": 2, "class_token": False,
                                "no_embed_class": True, "global_pool": "avg"}, {}),
    "timm_no_class": ("vit_small_patch16_224", VIT | {"class_token": False, "global_pool": "avg", "fc_norm": True}, {}),
    "timm_average": ("vit_small_patch16_224", VIT | {"global_pool": "avg", "fc_norm": False}, {}),
    "timm_pre_norm": ("vit_small_patch16_224", VIT | {"pre_norm": True, "norm_layer": "layernorm"}, {}),
    "timm_qk_norm": ("vit_small_patch16_224", VIT | {"qk_norm": True, "init_values": 1e-5}, {}),
    "timm_no_head": ("vit_small_patch16_224", VIT | {"num_classes": 0}, {}),
    "timm_f64": ("vit_small_patch16_224", VIT | {"depth": 1}, {"dtype": torch.float64}),
    # positions of 5 x 5 patches, run with 3 x 3 of them as well
    "timm_dinov2": ("vit_small_patch14_dinov2.lvd142m", VIT | {"img_size": 20, "num_classes": 0}, {"at": 12}),
    "timm_dinov2_registers": ("vit_small_patch14_reg4_dinov2.lvd142m", VIT | {"img_size": 20, "num_classes": 0}, {"at": 12}),
    "timm_swin": ("swin_tiny_patch4_window7_224.ms_in22k_ft_in1k", SWIN,
                  {"label_names": dict(enumerate(LABELS))}),
    # heads of 32 channels, as all sizes from tiny to large have them, and nothing that says how many there are
    "timm_swin_plain_file": ("swin_base_patch4_window7_224", SWIN | {"img_size": 16, "embed_dim": 32, "depths": (1, 1),
                             "num_heads": (1, 2), "mlp_ratio": 1},
                             {"file": "weights", "dtype": torch.float16}),
    # a window for each stage: 4 of 16, all 8 of 8, 2 of 4
    "timm_swin_s3": ("swin_s3_tiny_224.ms_in1k", SWIN | {"depths": (2, 2, 2), "num_heads": (1, 2, 4), "embed_dim": 4,
                     "window_size": (4, 8, 2)}, {}),
    # Microsoft's names and buffers, the window other than 7
    "microsoft_swin": ("swin_base_patch4_window12_384", SWIN | {"img_size": 24, "window_size": 6, "depths": (2, 1)},
                       {"file": "microsoft"}),
}  # fmt: skip


def prepare(model, name):
    """The model in f64 with seeded random weights that F32 holds."""
    generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))
    randomise(model, generator)
    return model.eval(), generator


def draw(generator, channels, size):
    return torch.randn((1, channels, size, size), generator=generator)


# transformers


def write_transformers(name, folder):
    """Saves one model as `save_pretrained` does, and returns its input and output."""
    model_class, config_class, options, images = TRANSFORMERS[name]
    config = getattr(transformers, config_class)(**options)
    model, generator = prepare(getattr(transformers, model_class)(config), name)
    model.save_pretrained(folder, max_shard_size="16KB" if "sharded" in name else "5GB")
    write_json(folder / "preprocessor_config.json", images)
    image = draw(generator, config.num_channels, config.image_size)
    found = model.double()(image.double())
    if "logits" in found:
        return {"image": image, "logits": found.logits}
    # what a head would read; ViTModel's own `pooler_output` has a layer more, which no classifier uses
    features = found.pooler_output if config.model_type == "swin" else found.last_hidden_state[:, 0]
    return {"image": image, "features": features}


# timm


def write_timm(name, folder):
    """Saves one model as timm does, or its weights alone, and returns its inputs and outputs."""
    architecture, options, how = TIMM[name]
    how = dict(how)
    kind, at, dtype = how.pop("file", "folder"), how.pop("at", None), how.pop("dtype", torch.float32)
    model, generator = prepare(timm.create_model(architecture, **options), name)
    model.to(dtype)
    if dtype == torch.float64:
        for parameter in model.parameters():
            parameter.mul_(1 + 1e-9)  # values that F32 does not hold
    weights = folder / "model.safetensors"
    if kind == "weights":
        save_file(model.state_dict(), weights)
    elif kind == "microsoft":
        save_file(microsoft(model), weights)
    else:
        save_for_hf(model, folder, model_config=how, safe_serialization=True)
    if kind == "flat":
        flatten(folder / "config.json")
    state = model.state_dict()
    found = timm_output(model, draw(generator, 3, options["img_size"]))
    if at:
        smaller = timm.create_model(architecture, **options | {"img_size": at}).eval()
        smaller.load_state_dict(checkpoint_filter_fn({k: v.float() for k, v in state.items()}, smaller))
        found |= {f"{key}_at": value for key, value in timm_output(smaller, draw(generator, 3, at)).items()}
    return found


def timm_output(model, image):
    kind = "logits" if model.num_classes else "features"
    return {"image": image, kind: model.double()(image.double())}


def microsoft(model):
    """A state dict as microsoft/Swin-Transformer saves it: its own names, and the buffers of the windows."""
    tensors = public_names(model.state_dict())
    for s, stage in enumerate(model.layers):
        for i, block in enumerate(stage.blocks):
            tensors[f"layers.{s}.blocks.{i}.attn.relative_position_index"] = block.attn.relative_position_index
            if block.attn_mask is not None:
                tensors[f"layers.{s}.blocks.{i}.attn_mask"] = block.attn_mask
    return {name: tensor.contiguous() for name, tensor in tensors.items()}


def flatten(path):
    """Moves what `pretrained_cfg` holds to the top level of a config.json."""
    config = json.loads(path.read_text())
    del config["global_pool"]
    write_json(path, config.pop("pretrained_cfg") | config)


def write_json(path, content):
    path.write_text(json.dumps(content, indent=2) + "\n")


def write(name, folder):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    found = write_transformers(name, folder) if name in TRANSFORMERS else write_timm(name, folder)
    found = {key: value.float() for key, value in found.items()}
    write_tensors(folder / "expected.safetensors", found)
    return found


@torch.no_grad()
def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example: python tools/goldens_hub.py && cargo test -p shuffle-vit-weights",
    )  # fmt: skip
    parser.add_argument("--folder", type=Path, default=HUB)
    parser.add_argument("--only", default="", metavar="TEXT", help="only the models whose names hold this text")
    args = parser.parse_args()
    total = 0
    for name in [*TRANSFORMERS, *TIMM]:
        if args.only not in name:
            continue
        found = write(name, args.folder / name)
        size = sum(file.stat().st_size for file in (args.folder / name).iterdir())
        total += size
        values = ", ".join(f"{key} {list(value.shape)} up to {value.abs().max():.2f}" for key, value in found.items())
        print(f"{name}: {size} bytes, {values}", flush=True)
    print(f"{total} bytes in all")


if __name__ == "__main__":
    main()
