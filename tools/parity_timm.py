"""Compares every built-in model between timm, this project's PyTorch models and, if it is built, the Rust program.

The models have seeded random weights, so nothing is downloaded. Where timm has the model, its state dict is the
checkpoint, under timm's own names, and its logits are right; the others are computed by `shuffle_vit` in f64. The table
shows the largest difference, relative to the largest value, of the logits and, for the program, of the worst tap; above
1e-5 the exit code is 1. After the built-in models come a few of other sizes, with every way of rescaling.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import timm
import torch

import shuffle_vit
from goldens import randomise
from shuffle_vit.checkpoint import read_tensors, write_tensors

TIMM = {
    "deit_tiny": ("deit_tiny_patch16_224", {}),
    "deit_tiny_distilled": ("deit_tiny_distilled_patch16_224", {}),
    "deit_small": ("deit_small_patch16_224", {}),
    "deit_small_distilled": ("deit_small_distilled_patch16_224", {}),
    "swin_tiny": ("swin_tiny_patch4_window7_224", {}),
    "swin_extra_tiny": ("swin_tiny_patch4_window7_224", {"embed_dim": 48, "depths": (2, 2, 5, 2)}),
    "vit_tiny_avg": ("vit_tiny_patch16_224", {"global_pool": "avg", "fc_norm": True}),
}
HALF, UNSCALED, LEARNED = ({"shuffle": True, "rescale": rescale} for rescale in ("half", "none", "learned"))
OTHERS = {
    "vit_tiny_avg": shuffle_vit.named("deit_tiny") | {"pool": "avg", "norm_after_pool": True},
    "deit_half": shuffle_vit.named("deit_tiny") | HALF | {"depth": 3, "image_size": 80},
    "t2t_half": shuffle_vit.named("t2t_vit_7") | HALF | {"depth": 3, "image_size": 96},
    "t2t_unscaled": shuffle_vit.named("t2t_vit_7") | UNSCALED | {"depth": 2, "image_size": 80, "in_channels": 1},
    "t2t_vanilla_learned": shuffle_vit.named("t2t_vit_7") | {"rescale": "learned", "depth": 2, "image_size": 16},
    "t2t_t_half": shuffle_vit.named("t2t_vit_t_14") | HALF | {"depth": 2, "image_size": 112},
    "t2t_t_avg": shuffle_vit.named("t2t_vit_t_14") | LEARNED | {"depth": 2, "image_size": 64, "pool": "avg"},
    "swin_half": shuffle_vit.named("swin_extra_tiny") | HALF,
    "swin_unscaled_112": shuffle_vit.named("swin_extra_tiny") | UNSCALED
    | {"image_size": 112, "depths": [3, 2, 2], "heads": [3, 6, 12]},
    "swin_window_4": shuffle_vit.named("swin_extra_tiny") | LEARNED | {"image_size": 128, "window": 4},
    "swin_window_3": shuffle_vit.named("swin_extra_tiny") | {"image_size": 96, "window": 3, "in_channels": 1},
    "swin_small_map": shuffle_vit.named("swin_extra_tiny") | LEARNED
    | {"image_size": 24, "depths": [2, 2], "heads": [3, 6]},
}  # fmt: skip
MODELS = {name: shuffle_vit.named(name) for name in shuffle_vit.MODELS} | {n: c | {"name": n} for n, c in OTHERS.items()}
TOLERANCE = 1e-5


def reference(config):
    """A model with random parameters: timm's where it has one."""
    name, options = TIMM.get(config["name"], (None, None))
    model = timm.create_model(name, **options).eval() if name else shuffle_vit.build(config)
    randomise(model, torch.Generator().manual_seed(7))
    return model


def difference(found, right):
    return ((found - right).abs().max() / right.abs().max()).item()


def rust(program, checkpoint, image, folder):
    """What the program writes: `logits` and every `tap.{i}`."""
    write_tensors(folder / "in.safetensors", {"image": image})
    files = ["--input", folder / "in.safetensors", "--output", folder / "out.safetensors"]
    command = [program, "run", "--model", checkpoint, *files, "--taps"]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{program} failed: {done.stderr}")
    return read_tensors(folder / "out.safetensors")[0]


def compare(config, program, folder):
    model = reference(config)
    checkpoint = folder / "model.safetensors"
    shuffle_vit.save(checkpoint, model.state_dict(), config)
    ours = shuffle_vit.build(config)
    ours.load_state_dict(shuffle_vit.public_names(shuffle_vit.load(checkpoint)[0]))
    side = ours.config["image_size"]
    image = torch.randn(2, ours.config["in_channels"], side, side, generator=torch.Generator().manual_seed(8))
    row, taps = {"f32": ours(image)}, []
    row["f64"] = ours.double()(image.double(), taps)
    right = model.double()(image.double())
    row = {f"shuffle_vit {kind}": difference(logits, right) for kind, logits in row.items()}
    if program:
        found = rust(program, checkpoint, image, folder)
        row["program"] = difference(found["logits"], right)
        row["its taps"] = max(difference(found[f"tap.{i}"], tap) for i, tap in enumerate(taps))
    return row


@torch.no_grad()
def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example: cargo build --release && python tools/parity_timm.py --program target/release/shuffle-vit",
    )  # fmt: skip
    parser.add_argument("--program", type=Path, help="the Rust program; without it only the PyTorch models are compared")
    parser.add_argument("--only", default="", metavar="TEXT", help="only the models whose names hold this text")
    args = parser.parse_args()
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        for name, config in MODELS.items():
            if args.only not in name:
                continue
            row = compare(config, args.program, Path(folder))
            failed |= not all(value <= TOLERANCE for value in row.values())  # a NaN fails
            against = "timm" if name in TIMM else "f64 "
            print(f"{name:30} {against}  " + "  ".join(f"{what} {value:.1e}" for what, value in row.items()), flush=True)
    sys.exit(failed)


if __name__ == "__main__":
    main()
