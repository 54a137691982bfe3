"""Measures how soon the program has logits and the memory it takes, for deit_tiny; writes tools/results/footprint.json.

A checkpoint and its packed form are run in processes of their own, in turn: from the start of the process to its end, which is
one image's logits written to a file. The files are in the page cache. Memory is what `bench` had resident at most. BENCHMARKS.md's
section is written from the results.

    cargo build --release && python tools/footprint.py
"""

import argparse
import json
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

import pages
from machine import ROOT, circumstances

MODEL = "deit_tiny"
SCRATCH_OF = ("deit_tiny", "shuffle_deit_tiny", "t2t_vit_7", "swin_extra_tiny")
# How a model comes into memory: the name of the way, the file, and what the command line says besides.
WAYS = [("checkpoint", "safetensors", []), ("packed", "packed", []), ("packed, mapped", "packed", ["--map"])]


def run(program, *arguments):
    subprocess.run([program, *map(str, arguments)], check=True, stdout=subprocess.DEVNULL)


def files_of(folder, way):
    _, extension, flags = way
    return ["--model", str(folder / f"model.{extension}"), *flags]


def first_logits(program, folder, way, threads):
    """Milliseconds of a process that computes the logits of one image."""
    start = time.perf_counter()
    tensors = ["--input", folder / "image.safetensors", "--output", folder / "out.safetensors"]
    run(program, "run", *files_of(folder, way), *tensors, "--threads", threads)
    return 1e3 * (time.perf_counter() - start)


def measure(program, rounds):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run(program, "export-random", "--arch", MODEL, "--seed", 7, folder / "model.safetensors")
        run(program, "pack", folder / "model.safetensors", folder / "model.packed")
        image = np.random.default_rng(7).standard_normal((1, 3, 224, 224), dtype=np.float32)
        save_file({"image": image}, folder / "image.safetensors")
        cases = [(way, threads) for way in WAYS for threads in (1, 2)]
        found = [[first_logits(program, folder, *case) for case in cases] for _ in range(rounds)]
        peaks = [bench(program, files_of(folder, way), threads, 1)["peak_rss_bytes"] for way, threads in cases]
    return [
        {
            "way": way[0],
            "threads": threads,
            "first_logits_ms": round(statistics.median(times), 1),
            "peak_rss_bytes": peak,
        }
        for (way, threads), times, peak in zip(cases, zip(*found), peaks)
    ]


def bench(program, subject, threads, iterations):
    """What `bench` says of a model: `--model FILE` or `--arch NAME`."""
    command = [program, "bench", *subject, "--threads", str(threads), "--iters", str(iterations), "--json"]
    return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--program", type=Path, default=ROOT / "target/release/shuffle-vit")
    args = parser.parse_args()
    program = args.program.resolve()
    results = circumstances() | {
        "model": MODEL,
        "rounds": args.rounds,
        "program_bytes": program.stat().st_size,
        "weight_bytes": bench(program, ["--arch", MODEL], 1, 1)["weight_bytes"],
        "image_ms": {str(threads): round(bench(program, ["--arch", MODEL], threads, 50)["median_ms"], 1) for threads in (1, 2)},
        "starts": measure(program, args.rounds),
        "scratch_bytes": {name: bench(program, ["--arch", name], 1, 1)["scratch_bytes"] for name in SCRATCH_OF},
    }
    pages.FOOTPRINT.write_text(json.dumps(results, indent=1) + "\n")
    pages.write()


if __name__ == "__main__":
    main()
