"""Measures how the program's cost grows with the batch, the tokens, the depth and the width, vanilla beside shuffled.

Every point is a run of `shuffle-vit bench --json`; rounds go around all points, so that a machine that changes its speed
changes it for all. What `bench` prints is kept as JSON lines (tools/results/scaling.jsonl), the first of which says where
it was measured. Charts and tables beside the theory's lines are written into docs/ and BENCHMARKS.md.

    python tools/scaling.py
    python tools/scaling.py --models deit_tiny t2t_vit_7 --rounds 5
    python tools/scaling.py --sweeps batch depth --rounds 1 --calls 3 --results scaling.jsonl
"""

import argparse
import json
import subprocess
import time
from pathlib import Path

import pages
from machine import ROOT, circumstances

# The numbers that each sweep goes through; the named model itself is added, as the base of the theory's line.
SWEEPS = {
    "batch": (1, 2, 4, 8, 16, 32, 64),
    "tokens": range(96, 385, 32),  # sides of the image
    "depth": (1, 2, 4, 6, 8, 12, 16, 24),
    "width": (64, 128, 192, 256, 320, 384, 512),
}
HEAD_DIM = 64
IMAGE_SIZE, PATCH_SIZE = 224, 16
WARM_UP_CALLS = 3  # of `bench`


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["deit_tiny"], metavar="NAME", help="vanilla DeiT or T2T-ViT")
    parser.add_argument("--sweeps", nargs="+", default=list(SWEEPS), choices=SWEEPS, metavar="SWEEP", help=", ".join(SWEEPS))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--level", default="auto", help="the program's instruction set")
    parser.add_argument("--rounds", type=int, default=3, help="times around all points")
    parser.add_argument("--calls", type=int, default=10, help="images of a point and round, at least 2 calls")
    parser.add_argument("--program", type=Path, default=ROOT / "target/release/shuffle-vit")
    parser.add_argument("--results", type=Path, default=pages.SCALING, help="the kept JSON lines")
    return parser.parse_args()


def run(args, *words):
    done = subprocess.run([args.program, *map(str, words), "--json"], check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def base_of(args, name):
    """What the model's name stands for, in each sweep."""
    layers = [layer for layer in run(args, "inspect", "--arch", name)["layers"] if layer["name"].startswith("blocks.")]
    width = next(layer["params"] for layer in layers if layer["name"].endswith("norm1")) // 2
    depth = sum(layer["name"].endswith("norm1") for layer in layers)
    return {"batch": 1, "tokens": IMAGE_SIZE, "depth": depth, "width": width}


def settings(sweep, value):
    """The description's keys that make a point of a sweep."""
    keys = {
        "batch": {},
        "tokens": {"image_size": value},
        "depth": {"depth": value},
        "width": {"dim": value, "heads": value // HEAD_DIM},
    }[sweep]
    return [word for key, number in keys.items() for word in ("--set", f"{key}={number}")]


def points_of(args, name, sweep, base):
    """All points of a sweep over a model: the flags of `bench`, and what theory says."""
    points = []
    for value in sorted({*SWEEPS[sweep], base}):
        model = ["--arch", name, *settings(sweep, value)]
        inspection = run(args, "inspect", *model)
        batch = value if sweep == "batch" else 1
        flags = [*model, "--batch", batch, "--threads", args.threads, "--level", args.level]
        layers = [layer for layer in inspection["layers"] if layer["name"].startswith("blocks.")]
        about = {
            "sweep": sweep,
            "model": name,
            "value": value,
            "x": (value // PATCH_SIZE) ** 2 + 1 if sweep == "tokens" else value,
            "base": value == base,
            "work": inspection["gmacs"] * batch,
            "layers": sum(layer["macs"] for layer in layers) / 1e9 * batch,
        }
        points.append((about, [*flags, "--iters", max(2, round(args.calls / batch))]))
    return points


def all_points(args):
    points = []
    for vanilla in args.models:
        base = base_of(args, vanilla)
        for sweep in args.sweeps:
            vanilla_and_shuffled = [points_of(args, f"{module}{vanilla}", sweep, base[sweep]) for module in ("", "shuffle_")]
            points += [point for pair in zip(*vanilla_and_shuffled) for point in pair]
    return points


def estimate(args, points):
    """Seconds that all rounds take, at the rate of the first model."""
    rate = run(args, "bench", "--arch", args.models[0], "--threads", args.threads, "--iters", 5)["gmacs_per_s"]
    return args.rounds * sum(about["work"] * (flags[-1] + WARM_UP_CALLS) / rate + 0.2 for about, flags in points)


def command(args):
    words = ["python tools/scaling.py", "--models", *args.models, "--sweeps", *args.sweeps]
    words += [f"--level {args.level}"] * (args.level != "auto")
    return " ".join([*words, f"--threads {args.threads} --rounds {args.rounds} --calls {args.calls}"])


def measure(args):
    """The lines to keep: the circumstances, and then every run."""
    points = all_points(args)
    print(f"{len(points)} points, about {estimate(args, points) / 60:.1f} minutes", flush=True)
    start = time.monotonic()
    runs = []
    for number in range(args.rounds):
        runs += [about | {"round": number} | run(args, "bench", *flags) for about, flags in points]
        print(f"round {number + 1} of {args.rounds}: {time.monotonic() - start:.0f} s", flush=True)
    models = [f"{module}{vanilla}" for vanilla in args.models for module in ("", "shuffle_")]
    about = {"models": models, "threads": args.threads, "level": runs[0]["level"], "rounds": args.rounds}
    return [about | {"command": command(args)} | circumstances(), *runs]


def main():
    args = arguments()
    lines = [json.dumps(line) for line in measure(args)]
    args.results.write_text("\n".join(lines) + "\n")
    if args.results == pages.SCALING:
        pages.write()
        pages.draw()


if __name__ == "__main__":
    main()
