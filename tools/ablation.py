"""The paper's Table IV in small: does shuffling help, and does rescaling help on top of it?

Three variants (vanilla, shuffle, shuffle with learned rescaling), three seeds each, of one small ViT on Fashion-MNIST
with 16 tokens. Dim, depth, heads, MLP ratio and the whole recipe are the same, so the variants differ in MACs only by
what the module itself adds. The only tuned value is the learning rate, one for all: `--tune` trains each variant once
with each candidate on the training set less its last 5,000 images, which judge it; the best mean over the three wins.
The result is each run's last weights (their moving average) on the test images, never the best epoch.
"""

import argparse
import json
import statistics
from pathlib import Path

import torch

import train
from shuffle_vit.cost import cost

VARIANTS = {
    "vanilla": [],
    "shuffle": ["--shuffle"],
    "shuffle, learned rescaling": ["--shuffle", "--rescale", "learned"],
}
SEEDS = (0, 1, 2)
MODEL = "--dim 32 --depth 6 --heads 2 --mlp-ratio 4 --patch 7 --pool avg"
RECIPE = "--batch 128 --warmup 1 --weight-decay 0.05 --smoothing 0.1 --ema 0.999 --bf16 --compile"
EPOCHS, LEARNING_RATE = 12, 4e-3
TUNE_EPOCHS, HOLDOUT, CANDIDATES = 4, 5000, (1e-3, 2e-3, 4e-3)
RESULTS = Path(__file__).parent / "results"


def slug(variant):
    return variant.replace(", ", "-").replace(" ", "-")


def run(args, variant, name, extra):
    """Trains one run, or finishes it, or reads it if it is complete; returns (log, config)."""
    words = [args.data, str(args.runs / name), "--name", slug(variant), "--threads", str(args.threads), "--resume"]
    options = train.parse_args(words + MODEL.split() + RECIPE.split() + VARIANTS[variant] + extra)
    torch.compiler.reset()
    print(f"== {name}", flush=True)
    return train.train(options), train.model_config(options)


def tune(args):
    """Accuracy on the held-out training images for each variant and learning rate."""
    rows = []
    for rate in CANDIDATES:
        for variant in VARIANTS:
            extra = f"--epochs {TUNE_EPOCHS} --holdout {HOLDOUT} --seed 100 --lr {rate}".split()
            log, _ = run(args, variant, f"tune-{slug(variant)}-{rate}", extra)
            rows.append({"variant": variant, "lr": rate, "accuracy": log[-1]["accuracy"]})
    write("tuning.json", {"epochs": TUNE_EPOCHS, "holdout": HOLDOUT, "runs": rows})
    for rate in CANDIDATES:
        found = [row["accuracy"] for row in rows if row["lr"] == rate]
        print(f"lr {rate}: mean {statistics.mean(found):.4f}  " + "  ".join(f"{value:.4f}" for value in found))


def ablate(args):
    runs = []
    for seed in SEEDS:
        for variant in VARIANTS:
            extra = f"--epochs {EPOCHS} --lr {LEARNING_RATE} --seed {seed}".split()
            log, config = run(args, variant, f"{slug(variant)}-{seed}", extra)
            params, macs = cost(config)
            runs.append({
                "variant": variant, "seed": seed, "accuracy": log[-1]["accuracy"], "test_loss": log[-1]["test_loss"],
                "train_loss": log[-1]["loss"], "params": params, "macs": macs,
                "minutes": round(sum(line["seconds"] for line in log) / 60, 2),
            })  # fmt: skip
    write("ablation.json", {
        "model": MODEL, "recipe": f"{RECIPE} --epochs {EPOCHS} --lr {LEARNING_RATE}", "data": "Fashion-MNIST, 60,000 / 10,000",
        "runs": runs,
    })  # fmt: skip


def write(name, value):
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / name).write_text(json.dumps(value, indent=1) + "\n")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="examples:\n  python tools/ablation.py package runs --tune\n  python tools/ablation.py package runs",
    )  # fmt: skip
    parser.add_argument("data", help="as for train.py")
    parser.add_argument("runs", type=Path, help="folder for the runs; complete ones are kept, cut ones go on")
    parser.add_argument("--tune", action="store_true", help="compare learning rates on held-out training images")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    tune(args) if args.tune else ablate(args)


if __name__ == "__main__":
    main()
