"""Compares how the program prepares pictures with what timm's transforms and transformers' image processors make of them.

A small model with each preparation is saved as its library saves it. Pictures of odd sizes then go through the program, which
writes what the model is given (`classify --dump-input`), and through the library: timm's evaluation transform, and both of
transformers' processors, Pillow's and torchvision's. tools/results/images.json keeps for each the share of values that are the
same to the bit, and the largest difference.

The first two must agree to 1e-5, or the exit code is 1. torchvision's processor resizes otherwise than Pillow, by steps of 8
bits here and there, so that its difference is only told. Where half of a margin is not whole, timm rounds it to an even number,
as the program does, and transformers down: pictures whose crops are a pixel apart for that reason are counted as `shifted`.

    cargo build --release && python tools/parity_images.py
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import timm
import torch
import transformers
from PIL import Image
from timm.data import create_transform, resolve_data_config
from timm.models import get_arch_pretrained_cfgs
from timm.models._hub import save_for_hf

from goldens import randomise
from machine import ROOT, circumstances
from pillow_goldens import picture
from shuffle_vit.checkpoint import read_tensors
from timm_table import TABLE

RESULTS = ROOT / "tools/results/images.json"
TOLERANCE = 1e-5
# width and height: squares, odd margins on either side, small and large, long and narrow
SIZES = [
    (224, 224), (223, 225), (61, 43), (43, 61), (501, 333), (333, 501), (640, 479), (481, 641), (257, 1031), (1001, 37), (7, 5),
    (1, 1), (384, 518), (519, 385),
]  # fmt: skip

HALF = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}
IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
SQUARE = {"size": {"height": 224, "width": 224}}
TINY = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 1, "num_labels": 2}
VIT, DEIT = (("ViT", TINY | {"intermediate_size": 16}), ("DeiT", TINY | {"intermediate_size": 16}))
DINO = ("Dinov2", TINY | {"mlp_ratio": 1, "image_size": 224})
SWIN = ("Swin", {"embed_dim": 8, "depths": [1, 1], "num_heads": [1, 1], "num_labels": 2})
# the model, the processor, and what preprocessor_config.json says of it, as models on the hub have it
TRANSFORMERS = {
    "ViT: both sides resized, bilinear": (VIT, "ViT", SQUARE | HALF | {"resample": 2}),
    "ViT: sizes as numbers": (VIT, "ViT", {"size": 224, "resample": 2} | HALF),
    "ViT: values from 0 to 1, as they are": (VIT, "ViT", SQUARE | {"do_normalize": False, "resample": 3}),
    "DeiT: both sides resized, the centre": (
        DEIT, "DeiT", IMAGENET | {"size": {"height": 256, "width": 256}, "crop_size": {"height": 224, "width": 224}, "resample": 3},
    ),
    "DeiT: sizes as numbers": (DEIT, "DeiT", IMAGENET | {"size": 256, "crop_size": 224, "do_center_crop": True}),
    "DeiT: what the processor does by default": (DEIT, "DeiT", {}),
    "Swin: both sides resized, bicubic": (SWIN, "ViT", SQUARE | IMAGENET | {"resample": 3}),
    "DINOv2: the short side resized, the centre": (
        DINO, "Bit", IMAGENET | {"size": {"shortest_edge": 256}, "crop_size": {"height": 224, "width": 224}, "resample": 3},
    ),
    "DINOv2: the short side resized to an odd number": (
        DINO, "Bit", IMAGENET | {"size": {"shortest_edge": 249}, "do_center_crop": True, "crop_size": {"height": 224, "width": 224}, "resample": 2},
    ),
    "DINOv2: what the processor does by default": (DINO, "Bit", {}),
    "ViT: what the processor does by default": (VIT, "ViT", {}),
    "ViT: ConvNeXT's processor": (VIT, "ConvNext", IMAGENET | {"size": {"shortest_edge": 224}, "crop_pct": 0.875, "resample": 3}),
}  # fmt: skip


def pictures(folder):
    """Files of all sizes; the names keep their order."""
    for i, (width, height) in enumerate(SIZES):
        path = folder / f"{i:02}_{width}x{height}.png"
        Image.fromarray(picture(width, height, 3, i)).save(path)
        yield path


def prepared(program, model, files):
    """What the program gives the model: [N, 3, S, S]."""
    out = model / "input.safetensors"
    done = subprocess.run(
        [program, "classify", "--model", model, "--dump-input", out, *files], capture_output=True, text=True
    )
    if done.returncode:
        sys.exit(f"{program} classify --model {model}: {done.stderr}")
    return read_tensors(out)[0]["image"].numpy()


def timm_cases():
    """(name, model) for each preparation in timm's table, of the first weights that have it."""
    seen = set()
    for line in TABLE.read_text(encoding="utf-8").splitlines()[1:]:
        name, tag, description = line.split("\t")
        config = json.loads(description)
        keys = ("image_size", "mean", "std", "crop_pct", "interpolation", "crop_mode")
        what = json.dumps([config.get(key) for key in keys])
        if tag and what not in seen and get_arch_pretrained_cfgs(name):
            seen.add(what)
            swin = config["arch"] == "swin"
            small = {"embed_dim": 8, "depths": (1, 1), "num_heads": (1, 1)} if swin else {"embed_dim": 16, "depth": 1, "num_heads": 1}
            yield f"{name}.{tag}", timm.create_model(f"{name}.{tag}", num_classes=2, **small)


def of_timm(program, folder, files, images):
    for name, model in timm_cases():
        randomise(model, torch.Generator().manual_seed(7))
        path = folder / name
        save_for_hf(model, path, safe_serialization=True)
        transform = create_transform(**resolve_data_config(model=model), is_training=False)
        right = torch.stack([transform(image) for image in images]).numpy()
        yield compare("timm", name, prepared(program, path, files), right)


def of_transformers(program, folder, files, images):
    for number, (name, ((kind, options), processor, says)) in enumerate(TRANSFORMERS.items()):
        config = getattr(transformers, f"{kind}Config")(**options)
        model = getattr(transformers, f"{kind}ForImageClassification")(config)
        randomise(model, torch.Generator().manual_seed(7))
        path = folder / str(number)
        model.save_pretrained(path)
        says = says | {"image_processor_type": f"{processor}ImageProcessor"}
        (path / "preprocessor_config.json").write_text(json.dumps(says))
        found = prepared(program, path, files)
        for backend, suffix in (("Pillow", "Pil"), ("torchvision", "")):
            theirs = getattr(transformers, f"{processor}ImageProcessor{suffix}").from_pretrained(path)
            right = np.concatenate([theirs(image, return_tensors="np")["pixel_values"] for image in images])
            yield compare(f"transformers, {backend}", name, found, right, short_side(says, processor))


def short_side(says, processor):
    """What a processor resizes the short side to; None where both sides are resized."""
    size = says.get("size", {"shortest_edge": 224} if processor == "Bit" else {})
    short = size.get("shortest_edge") if isinstance(size, dict) else None
    return int(short / says.get("crop_pct", 1)) if short else None


def is_shifted(size, short):
    """Whether half of the margin of a crop of 224 pixels is rounded down by transformers and up by timm."""
    return short is not None and any((side * short // min(size) - 224) % 4 == 3 for side in size)


def compare(source, name, found, right, short=None):
    assert found.shape == right.shape, f"{name}: {found.shape}, {right.shape}"
    kept = [i for i, size in enumerate(SIZES) if not is_shifted(size, short)]
    found, right = found[kept].astype(np.float64), right[kept]
    return {
        "source": source, "preparation": name, "pictures": len(SIZES), "shifted": len(SIZES) - len(kept),
        "same": round(float((found == right).mean()), 6), "difference": float(f"{np.abs(found - right).max():.2g}"),
    }  # fmt: skip


@torch.no_grad()
def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", type=Path, default=ROOT / "target/release/shuffle-vit")
    args = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = list(pictures(folder))
        images = [Image.open(file).convert("RGB") for file in files]
        for cases in (of_timm, of_transformers):
            for row in cases(args.program.resolve(), folder, files, images):
                rows.append(row)
                print(f"{row['source']:26} {row['preparation']:60} {row['difference']:.1e} {row['same']:.4f} {row['shifted']}", flush=True)
    results = circumstances(("timm", "transformers", "torch", "torchvision", "pillow")) | {"rows": rows}
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    sys.exit(not all(row["difference"] <= TOLERANCE for row in rows if "torchvision" not in row["source"]))


if __name__ == "__main__":
    main()
