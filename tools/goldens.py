"""Writes small checkpoints and what PyTorch computes from them, for the Rust tests to agree with.

For each name below: `NAME.safetensors`, a checkpoint with seeded random weights, and `NAME.golden.safetensors` with
`image` [B, in_channels, S, S], `logits` [B, classes] and `tap.{i}` [B, tokens, channels], computed in f64 from the
weights as the file stores them and rounded to F32. B is 2, or 1 to keep a large file small. The weights are scaled so
that activations stay of order 1 and every tensor matters: no norm, bias or rescaling scalar is left at its neutral value.
"""

import argparse
import json
import zlib
from pathlib import Path

import torch

import shuffle_vit
from shuffle_vit.checkpoint import write_tensors

FOLDER = Path(__file__).resolve().parent.parent / "crates/weights/tests/goldens"
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
# `tokens_to_token` has 64 channels and some 150 000 weights however small the rest: F16, and few of them
T2T = {"num_classes": 5, "dim": 8, "depth": 2, "heads": 2, "mlp_ratio": 2.0, "qkv_bias": False,
       "layer_norm_eps": 1e-5, "dtype": "f16", "batch": 1}  # fmt: skip
PERFORMER, TRANSFORMER = T2T | {"tokens": "t2t_performer"}, T2T | {"tokens": "t2t_transformer"}
T2T_MODELS = {
    # 144, 36 and 9 tokens; the norms of the embedding keep their eps of 1e-5 when the blocks have another
    "performer_shuffle_learned": PERFORMER | SHUFFLE | {"image_size": 48, "layer_norm_eps": 0.05},
    # 400, 100 and 25 tokens; the fixed sinusoid as pos_embed
    "transformer": TRANSFORMER | {"image_size": 80, "in_channels": 1, "sinusoid": True},
}
SWIN = {"arch": "swin", "num_classes": 5}
GREY = SWIN | {"in_channels": 1}
SHUFFLED = SHUFFLE | GREY
SWIN_MODELS = {
    # maps of 28, 14 and 7: 4 x 4 windows, 2 x 2, and one that is not shifted
    "window_7": GREY | {"image_size": 56, "patch_size": 2, "dim": 4, "depths": [2, 2, 2], "heads": [1, 2, 4],
                        "batch": 1},
    "window_7_shuffle_learned": SHUFFLED | {"image_size": 56, "dim": 6, "depths": [4, 1], "heads": [2, 3], "batch": 1},
    # maps of 8, 4 and 2: the last is smaller than the window
    "window_4_shuffle_half": SWIN | {"image_size": 16, "patch_size": 2, "window": 4, "dim": 6, "depths": [2, 1, 2],
                                     "heads": [2, 3, 6], "shuffle": True, "rescale": "half", "dtype": "f16"},
    # 3 x 3 windows, one stage, one head
    "window_4_shuffle_none": GREY | {"image_size": 24, "patch_size": 2, "window": 4, "dim": 6, "depths": [3],
                                     "heads": [1], "shuffle": True},
    # an odd window: 4 x 4, 2 x 2 and 1; rescaling without shuffling
    "window_3_learned": GREY | {"image_size": 48, "window": 3, "dim": 4, "depths": [2, 3, 1], "heads": [2, 2, 4],
                                "rescale": "learned", "dtype": "f16", "batch": 1},
    # 3 x 3 windows of 5, then no more stages: 15 is odd
    "window_5": SWIN | {"image_size": 15, "patch_size": 1, "window": 5, "dim": 6, "depths": [2], "heads": [2],
                        "batch": 1},
    # maps of 8, 4, 2 and 1 in windows of 2
    "window_2_shuffle_learned": SHUFFLED | {"image_size": 32, "window": 2, "dim": 4, "depths": [2, 2, 2, 1],
                                            "heads": [1, 2, 4, 8], "dtype": "bf16"},
    # every map smaller than the window; no qkv bias, a hidden width that is rounded down, another eps
    "map_smaller": SWIN | SHUFFLE | {"image_size": 12, "dim": 8, "patch_size": 2, "depths": [2, 2], "heads": [2, 2],
                                     "qkv_bias": False, "mlp_ratio": 3.3, "layer_norm_eps": 1e-6, "dtype": "bf16"},
    # 3 x 3 windows of 7, the map of 21 rolled by 3
    "window_7_odd": SHUFFLED | {"image_size": 21, "patch_size": 1, "dim": 4, "depths": [2], "heads": [2], "batch": 1},
}  # fmt: skip
FOLDERS = {".": {name: SMALL | model for name, model in MODELS.items()}, "t2t": T2T_MODELS, "swin": SWIN_MODELS}
DTYPES = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}


def randomise(model, generator):
    """Replaces all parameters by seeded random ones of realistic size."""
    for name, parameter in model.named_parameters():
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
        if name.endswith("attention1.w") or name.endswith("attention2.w"):
            value = 0.7 * noise  # rows of length sqrt(32), as the orthogonal ones have
        if "kqv" in name:
            # phi falls as exp(-|u|^2 / 2): with k and q of deviation 1 every weight would drown in the 1e-8
            value[: 2 * value.shape[0] // 3] *= 0.25
        parameter.copy_(value)


def golden(name, config, folder):
    """Writes the two files of one model; returns the largest tap and logit."""
    config = {"arch": "vit", "name": name} | config
    dtype, batch = DTYPES[config.pop("dtype", "f32")], config.pop("batch", 2)
    keep_positions = config.pop("sinusoid", False)
    generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))
    model = shuffle_vit.build(config)
    positions = model.pos_embed.clone() if keep_positions else None
    randomise(model, generator)
    if keep_positions:
        model.pos_embed.copy_(positions)
    model.to(dtype)
    # the keys that equal the defaults of the format are left to them
    write_tensors(folder / f"{name}.safetensors", model.state_dict(), {"config": json.dumps(config)})
    image = torch.randn((batch, model.config["in_channels"]) + (config["image_size"],) * 2, generator=generator)
    taps = []
    logits = model.double()(image.double(), taps)
    tensors = {"image": image, "logits": logits} | {f"tap.{i}": tap for i, tap in enumerate(taps)}
    write_tensors(folder / f"{name}.golden.safetensors", {key: value.float() for key, value in tensors.items()})
    return max(tap.abs().max().item() for tap in taps), logits.abs().max().item()


@torch.no_grad()
def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example: python tools/goldens.py && cargo test -p shuffle-vit-weights",
    )  # fmt: skip
    parser.add_argument("--folder", type=Path, default=FOLDER)
    args = parser.parse_args()
    for family, models in FOLDERS.items():
        folder = args.folder / family
        for name, config in models.items():
            tap, logit = golden(name, config, folder)
            size = sum(file.stat().st_size for file in folder.glob(f"{name}.*"))
            print(f"{folder.name}/{name}: {size} bytes, largest activation {tap:.1f}, largest logit {logit:.2f}")
        print(f"{folder.name}: {sum(file.stat().st_size for file in folder.glob('*.safetensors'))} bytes in all")


if __name__ == "__main__":
    main()
