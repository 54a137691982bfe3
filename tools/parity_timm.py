"""Compares timm's DeiT with this project's PyTorch model and, if it is built, with the Rust program.

The models have seeded random weights, so nothing is downloaded. For each: timm's state dict goes through
`shuffle_vit.save`, PlainViT and `shuffle-vit run` load that file, and all get the same two images. The table shows the
largest difference to timm's logits, relative to the largest logit; above 1e-5 the exit code is 1. The shuffled model has no
counterpart in timm; for it PlainViT in f64 is the reference.
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

TINY = {"name": "deit_tiny", "arch": "vit", "dim": 192, "depth": 12, "heads": 3}
CASES = {
    "deit_tiny_patch16_224": TINY,
    "deit_tiny_distilled_patch16_224": TINY | {"name": "deit_tiny_distilled", "distilled": True},
    "vit_tiny_patch16_224": TINY | {"name": "vit_tiny_avg", "pool": "avg", "norm_after_pool": True},
    "shuffle_deit_tiny": TINY | {"name": "shuffle_deit_tiny", "shuffle": True, "rescale": "learned"},
}
TOLERANCE = 1e-5


def reference(name, config):
    """The model whose logits are right: timm's where it has one, with all parameters randomised."""
    if name == "shuffle_deit_tiny":
        model = shuffle_vit.PlainViT(config)
    elif config.get("pool") == "avg":
        model = timm.create_model(name, global_pool="avg", fc_norm=True)
    else:
        model = timm.create_model(name)
    randomise(model, torch.Generator().manual_seed(7))
    return model.eval()


def rust_logits(program, checkpoint, image, folder):
    write_tensors(folder / "in.safetensors", {"image": image})
    command = [program, "run", "--model", checkpoint, "--input", folder / "in.safetensors", "--output", folder / "out.safetensors"]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{program} failed: {done.stderr}")
    return read_tensors(folder / "out.safetensors")[0]["logits"]


def compare(name, config, program, folder):
    model = reference(name, config)
    checkpoint = folder / f"{config['name']}.safetensors"
    shuffle_vit.save(checkpoint, model.state_dict(), config)
    ours = shuffle_vit.PlainViT(config)
    ours.load_state_dict(shuffle_vit.load(checkpoint)[0])
    image = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(8))
    right = model.double()(image.double())

    def difference(logits):
        return ((logits - right).abs().max() / right.abs().max()).item()

    row = {"PlainViT f64": difference(ours.double()(image.double())), "PlainViT f32": difference(ours.float()(image))}
    if program:
        row["shuffle-vit"] = difference(rust_logits(program, checkpoint, image, folder))
    return row


@torch.no_grad()
def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example: cargo build --release && python tools/parity_timm.py --program target/release/shuffle-vit",
    )  # fmt: skip
    parser.add_argument("--program", type=Path, help="the Rust program; without it only the PyTorch models are compared")
    args = parser.parse_args()
    worst = 0.0
    with tempfile.TemporaryDirectory() as folder:
        for name, config in CASES.items():
            row = compare(name, config, args.program, Path(folder))
            worst = max(worst, *row.values())
            print(f"{name:34}" + "  ".join(f"{what} {value:.1e}" for what, value in row.items()), flush=True)
    sys.exit(worst > TOLERANCE)


if __name__ == "__main__":
    main()
