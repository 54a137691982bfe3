"""Writes small checkpoints and what PyTorch computes from them, for the Rust tests to agree with.

For each name below: `NAME.safetensors`, a checkpoint with seeded random weights, and `NAME.golden.safetensors` with
`image` [2, in_channels, S, S], `logits` [2, classes] and `tap.{i}` [2, tokens, channels], computed in f64 from the
weights as the file stores them and rounded to F32. The weights are scaled so that activations stay of order 1 and every
tensor matters: no norm, bias or rescaling scalar is left at its neutral value.
"""

import argparse
import json
import zlib
from pathlib import Path

import torch

import shuffle_vit
from shuffle_vit.checkpoint import write_tensors

FOLDER = Path(__file__).resolve().parent.parent / "crates/weights/tests/goldens"
BATCH = 2
SMALL = {"image_size": 16, "patch_size": 4, "in_channels": 3, "num_classes": 10, "dim": 16, "depth": 3, "heads": 2}
SHUFFLE = {"shuffle": True, "rescale": "learned"}
MODELS = {
    "vanilla": {"dim": 24, "heads": 3, "depth": 2},
    "vanilla_learned": {"rescale": "learned", "depth": 2},
    "shuffle_none": {"shuffle": True, "depth": 5},
    "shuffle_half": {"shuffle": True, "rescale": "half", "depth": 4},
    "shuffle_learned": SHUFFLE | {"depth": 4, "dim": 24, "heads": 3},
    "distilled": {"distilled": True},
    "shuffle_distilled": SHUFFLE | {"distilled": True},
    "pool_avg": SHUFFLE | {"pool": "avg"},
    "norm_after_pool": {"pool": "avg", "norm_after_pool": True},
    "shuffle_norm_after_pool": SHUFFLE | {"pool": "avg", "norm_after_pool": True, "depth": 2},
    "no_qkv_bias": SHUFFLE | {"qkv_bias": False},
    # 26 tokens, 3 heads of 8, a hidden width that is rounded down (79.2), one channel, another eps
    "awkward": SHUFFLE | {"image_size": 40, "patch_size": 8, "in_channels": 1, "num_classes": 7, "dim": 24, "heads": 3,
                          "mlp_ratio": 3.3, "layer_norm_eps": 1e-5},
    # one patch, heads of one channel
    "smallest": SHUFFLE | {"image_size": 4, "num_classes": 2, "dim": 4, "depth": 2, "heads": 4},
    # more tokens than one and than four panels of 48
    "tokens_50": SHUFFLE | {"image_size": 28, "in_channels": 1},
    "tokens_65_f16": SHUFFLE | {"image_size": 32, "dim": 24, "heads": 2, "depth": 2, "dtype": "f16"},
    "tokens_226": SHUFFLE | {"image_size": 60, "in_channels": 1, "dim": 12, "depth": 2},
    "bf16": SHUFFLE | {"depth": 4, "dtype": "bf16"},
}  # fmt: skip
DTYPES = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}


def randomise(model, generator):
    """Replaces all parameters by seeded random ones of realistic size."""
    for name, parameter in model.state_dict().items():
        noise = torch.randn(parameter.shape, generator=generator)
        if name.endswith((".alpha", ".beta")):
            value = 0.8 + 0.3 * noise
        elif "norm" in name:
            value = 1 + 0.3 * noise if name.endswith("weight") else 0.3 * noise
        elif name.endswith("weight"):
            fan_in = parameter[0].numel()
            value = noise * fan_in**-0.5
        elif name.endswith("bias"):
            value = 0.2 * noise
        else:  # tokens and positions
            value = 0.5 * noise
        parameter.copy_(value)


def golden(name, folder):
    """Writes the two files of one model; returns the largest tap and logit."""
    config = {"name": name} | SMALL | MODELS[name]
    dtype = DTYPES[config.pop("dtype", "f32")]
    generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))
    model = shuffle_vit.PlainViT(config)
    randomise(model, generator)
    model.to(dtype)
    # the keys that equal the defaults of the format are left to them
    write_tensors(folder / f"{name}.safetensors", model.state_dict(), {"config": json.dumps({"arch": "vit"} | config)})
    image = torch.randn((BATCH, config["in_channels"]) + (config["image_size"],) * 2, generator=generator)
    taps = []
    logits = model.double()(image.double(), taps)
    tensors = {"image": image, "logits": logits} | {f"tap.{i}": tap for i, tap in enumerate(taps)}
    write_tensors(folder / f"{name}.golden.safetensors", {key: value.float() for key, value in tensors.items()})
    return max(tap.abs().max().item() for tap in taps), logits.abs().max().item()


@torch.no_grad()
def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example: python tools/goldens.py && cargo test -p weights",
    )  # fmt: skip
    parser.add_argument("--folder", type=Path, default=FOLDER)
    args = parser.parse_args()
    for name in MODELS:
        tap, logit = golden(name, args.folder)
        size = sum(file.stat().st_size for file in args.folder.glob(f"{name}*.safetensors") if file.name.startswith(f"{name}."))
        print(f"{name}: {size} bytes, largest activation {tap:.1f}, largest logit {logit:.2f}")
    print(f"total {sum(file.stat().st_size for file in args.folder.glob('*.safetensors'))} bytes")


if __name__ == "__main__":
    main()
