"""Compares the program with timm and transformers on models of the sizes that people have, in each form in which they are stored.

Each model has seeded random weights, is saved as its library saves it, and is run by the program, with no help from Python, and
by the public code in f64. The largest difference of the outputs, relative to the largest output, is kept in
tools/results/hub.json, of which `pages.py` writes the table in docs/checkpoints.md; above 1e-5 the exit code is 1.

    cargo build --release && python tools/parity_hub.py
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import timm
import torch
import transformers
from safetensors.torch import load_file, save_file
from timm.models._hub import save_for_hf

import pages
from goldens import randomise
from goldens_hub import microsoft
from machine import ROOT, circumstances
from shuffle_vit.checkpoint import read_tensors, write_tensors

TOLERANCE = 1e-5
VIT_TINY = {"hidden_size": 192, "num_attention_heads": 3, "intermediate_size": 768}
# transformers: the class of the model, of its configuration, and what that is made with
HUGGING_FACE = {
    "ViT-Tiny": ("ViTForImageClassification", "ViTConfig", VIT_TINY | {"num_labels": 1000}),
    "ViT-Base in shards": ("ViTForImageClassification", "ViTConfig", {"num_labels": 1000}),
    "ViT-Tiny without a head": ("ViTModel", "ViTConfig", VIT_TINY),
    "DeiT-Tiny, no teacher": ("DeiTForImageClassification", "DeiTConfig", VIT_TINY | {"num_labels": 1000}),
    "DeiT-Tiny, distilled": ("DeiTForImageClassificationWithTeacher", "DeiTConfig", VIT_TINY | {"num_labels": 1000}),
    "Swin-Tiny": ("SwinForImageClassification", "SwinConfig", {"num_labels": 1000}),
    "DINOv2-Small, classifier": ("Dinov2ForImageClassification", "Dinov2Config",
                                 {"hidden_size": 384, "num_attention_heads": 6, "image_size": 518, "patch_size": 14, "num_labels": 1000}),
    "DINOv2-Small with registers": ("Dinov2WithRegistersModel", "Dinov2WithRegistersConfig",
                                    {"hidden_size": 384, "num_attention_heads": 6, "image_size": 518, "patch_size": 14}),
}  # fmt: skip
# timm's folders
TIMM = [
    "vit_tiny_patch16_224.augreg_in21k_ft_in1k", "vit_small_patch32_224.augreg_in21k_ft_in1k", "vit_base_patch16_224.augreg_in1k",
    "vit_small_patch16_36x1_224", "vit_base_patch8_224.augreg_in21k_ft_in1k", "deit_tiny_patch16_224.fb_in1k",
    "deit_small_distilled_patch16_224.fb_in1k", "deit3_small_patch16_224.fb_in22k_ft_in1k", "vit_small_patch14_dinov2.lvd142m",
    "vit_small_patch14_reg4_dinov2.lvd142m", "vit_medium_patch16_gap_256", "vit_medium_patch16_reg4_gap_256",
    "vit_base_patch32_clip_224.laion2b_ft_in1k", "vit_betwixt_patch16_reg4_gap_256.sbb_in1k", "swin_tiny_patch4_window7_224.ms_in1k",
    "swin_base_patch4_window12_384.ms_in1k", "swin_s3_tiny_224.ms_in1k",
]  # fmt: skip


def draw(size, channels=3):
    return torch.randn(1, channels, size, size, generator=torch.Generator().manual_seed(8))


def randomised(model):
    randomise(model, torch.Generator().manual_seed(7))
    return model.eval()


def of_transformers(name, folder):
    kind, configuration, options = HUGGING_FACE[name]
    model = randomised(getattr(transformers, kind)(getattr(transformers, configuration)(**options)))
    model.save_pretrained(folder, max_shard_size="100MB" if "shards" in name else "5GB")
    image = draw(model.config.image_size)
    found = model.double()(image.double())
    return [], image, found.logits if "logits" in found else found.last_hidden_state[:, 0]


def of_timm(name, folder):
    model = randomised(timm.create_model(name))
    save_for_hf(model, folder, safe_serialization=True)
    image = draw(model.patch_embed.img_size[0])
    return [], image, model.double()(image.double())


# Files of weights alone: the model and how it is saved, and the flags that a user then needs.


def renamed(prefix, architecture="vit_tiny_patch16_224"):
    """A state dict whose names have a prefix."""

    def save(folder):
        model = randomised(timm.create_model(architecture))
        save_file({prefix + name: tensor for name, tensor in model.state_dict().items()}, folder / "model.safetensors")
        return model

    return save


def with_others(folder):
    model = renamed("model.")(folder)
    tensors = load_file(folder / "model.safetensors")
    save_file(tensors | {"n_averaged": torch.tensor(3), "criterion.weight": torch.ones(1000)}, folder / "model.safetensors")
    return model


def two_models(folder):
    model = renamed("ema.")(folder)
    tensors = load_file(folder / "model.safetensors")
    save_file(tensors | {name.replace("ema.", "model."): 2 * t for name, t in tensors.items()}, folder / "model.safetensors")
    return model


def of_type(dtype):
    """All values are of a type; the public code computes with what the file then holds."""

    def save(folder):
        model = randomised(timm.create_model("deit_tiny_patch16_224")).to(dtype)
        save_file(model.state_dict(), folder / "model.safetensors")
        return model

    return save


def microsofts(folder):
    model = randomised(timm.create_model("swin_tiny_patch4_window7_224"))
    save_file(microsoft(model), folder / "model.safetensors")
    return model


TINY = ["--arch", "timm:vit_tiny_patch16_224"]
FILES = {
    "timm's names alone": (renamed(""), TINY),
    "timm's names alone, sizes from the tensors": (renamed("", "vit_small_patch16_224"), []),
    "compiled: _orig_mod.": (renamed("_orig_mod."), TINY),
    "wrapped twice: module._orig_mod.": (renamed("module._orig_mod."), TINY),
    "of a detector: backbone.": (renamed("backbone."), TINY),
    "of a self-supervised pair: student.": (renamed("student."), TINY),
    "beside an optimizer's and a loss function's tensors": (with_others, [*TINY, "--ignore", "n_averaged", "--ignore", "criterion.*"]),
    "two models: model. and ema.": (two_models, [*TINY, "--prefix", "ema."]),
    "F16": (of_type(torch.float16), ["--arch", "deit_tiny"]),
    "BF16": (of_type(torch.bfloat16), ["--arch", "deit_tiny"]),
    "F64": (of_type(torch.float64), ["--arch", "deit_tiny"]),
    "Microsoft's names and buffers, Swin-Tiny": (microsofts, ["--arch", "swin_tiny"]),
}


def of_file(name, folder):
    save, flags = FILES[name]
    model = save(folder)
    image = draw(model.patch_embed.img_size[0])
    return flags, image, model.double()(image.double())


def smaller_dinov2(name, folder):
    """DINOv2 at 224 pixels, from its positions for 518: timm's way of resampling them."""
    model = randomised(timm.create_model("vit_small_patch14_dinov2"))
    save_for_hf(model, folder, safe_serialization=True)
    smaller = timm.create_model(f"local-dir:{folder}", pretrained=True, img_size=224).eval()
    image = draw(224)
    return ["--resize-positions=224"], image, smaller.double()(image.double())


FORMS = (
    [("transformers", name, of_transformers) for name in HUGGING_FACE]
    + [("timm", name, of_timm) for name in TIMM]
    + [("timm", "vit_small_patch14_dinov2 with --resize-positions=224", smaller_dinov2)]
    + [("a file", name, of_file) for name in FILES]
)


def run(program, folder, flags, image):
    write_tensors(folder / "in.safetensors", {"image": image})
    model = folder if (folder / "config.json").exists() else folder / "model.safetensors"
    words = ["--model", model, "--input", folder / "in.safetensors", "--output", folder / "out.safetensors", *flags]
    done = subprocess.run([program, "run", *map(str, words)], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{program} run {' '.join(map(str, words))}: {done.stderr}")
    tensors, _ = read_tensors(folder / "out.safetensors")
    return tensors["logits" if "logits" in tensors else "features"]


@torch.no_grad()
def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", type=Path, default=ROOT / "target/release/shuffle-vit")
    parser.add_argument("--only", default="", metavar="TEXT", help="only the forms whose names hold this text; nothing is kept")
    args = parser.parse_args()
    rows = []
    for source, name, make in FORMS:
        if args.only not in name:
            continue
        with tempfile.TemporaryDirectory() as path:
            folder = Path(path)
            flags, image, right = make(name, folder)
            found = run(args.program.resolve(), folder, flags, image)
        difference = ((found - right).abs().max() / right.abs().max()).item()
        rows.append({"source": source, "form": name, "flags": flags, "difference": float(f"{difference:.2g}")})
        print(f"{source:13} {name:60} {difference:.1e}", flush=True)
    if not args.only:
        results = circumstances(("timm", "transformers", "torch")) | {"rows": rows}
        pages.HUB.write_text(json.dumps(results, indent=1) + "\n")
        pages.write()
    sys.exit(not all(row["difference"] <= TOLERANCE for row in rows))


if __name__ == "__main__":
    main()
