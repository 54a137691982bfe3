"""Times the program beside OpenVINO, ONNX Runtime and PyTorch, in alternation on one machine.

All run the same seeded weights in f32 on the same images with the same number of threads, and must agree on the logits
first. Rounds go around the engines, so that a machine that changes its speed changes it for all. Results are kept as
JSON (tools/results/peers.json), a group for each number of threads, batch and instruction set; measuring a group again
replaces it. `pages.py` writes README's and BENCHMARKS.md's sections and charts from them.

    python tools/peers.py --suite                                    everything that BENCHMARKS.md has
    python tools/peers.py --models deit_tiny shuffle_deit_tiny --threads 2
    python tools/peers.py --models deit_tiny --batch 8 --no-store    printed only
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

import avx2_only
import pages
from machine import ROOT, circumstances

VANILLA_AND_SHUFFLED = ["deit_tiny", "shuffle_deit_tiny"]
MODELS = [
    *VANILLA_AND_SHUFFLED, "deit_small", "swin_extra_tiny", "shuffle_swin_extra_tiny",
    "t2t_vit_7", "shuffle_t2t_vit_7", "swin_tiny",
]  # fmt: skip
# Threads, batch, level and models of each group.
SUITE = [
    (1, 1, "auto", MODELS),
    (2, 1, "auto", MODELS),
    (1, 1, "avx2", [*VANILLA_AND_SHUFFLED, "swin_extra_tiny", "t2t_vit_7"]),
    (1, 8, "auto", VANILLA_AND_SHUFFLED),
    (1, 32, "auto", VANILLA_AND_SHUFFLED),
]
# Seconds to export (once), compile and check a model in all engines, beyond its timed calls.
SET_UP_SECONDS = 6


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=VANILLA_AND_SHUFFLED, metavar="NAME")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, default=1, help="images a call; the rivals' exports have it as a fixed shape")
    parser.add_argument("--level", default="auto", help="the program's instruction set; avx2 keeps rivals to AVX2, too")
    parser.add_argument("--rounds", type=int, default=7, help="times around all engines")
    parser.add_argument(
        "--calls", type=int, default=10, help="images that an engine is timed on in a round, at least 2 calls"
    )
    parser.add_argument("--program", type=Path, default=ROOT / "target/release/shuffle-vit")
    parser.add_argument("--cache", type=Path, default=ROOT / "target/peers", help="folder that keeps the exports")
    parser.add_argument("--results", type=Path, default=pages.PEERS, help="the kept results")
    parser.add_argument("--no-store", action="store_true", help="print and keep nothing")
    parser.add_argument("--suite", action="store_true", help="measure every group of BENCHMARKS.md, then write it")
    parser.add_argument("--probe", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def calls_of(args):
    """Calls of a round: fewer of large batches."""
    return max(2, round(args.calls / args.batch))


def measure(args, name):
    """Milliseconds of every engine in every round, and the level that the program ran on."""
    import rivals  # not before they are restricted, if they are

    export = rivals.Export(name, args.batch, args.cache)
    runners = rivals.engines(args, export)
    if args.level == "avx2" and not survives(args, name):
        del runners["OpenVINO"]
    rivals.check_equal(name, runners)
    times = {engine: [] for engine in runners}
    for _ in range(args.rounds):
        for engine, runner in runners.items():
            times[engine].append(round(runner.time(calls_of(args)), 3))
    return times, runners[rivals.OURS].level


def flags(args):
    """Those that a process of this script needs to do the same."""
    words = ["--models", *args.models, "--threads", args.threads, "--batch", args.batch, "--level", args.level]
    words += ["--rounds", args.rounds, "--calls", args.calls, "--program", args.program]
    return [*map(str, words), "--cache", str(args.cache), "--results", str(args.results)]


def survives(args, name):
    """Whether OpenVINO gets through a call: restricted to AVX2 it crashes on some models."""
    one = argparse.Namespace(**vars(args) | {"models": [name]})
    return subprocess.run([sys.executable, __file__, *flags(one), "--probe"]).returncode == 0


def probe(args):
    import rivals

    rivals.open_vino(args, rivals.Export(args.models[0], args.batch, args.cache)).infer()


def measure_group(args):
    """All models at one number of threads, batch and level."""
    group = {
        "threads": args.threads,
        "batch": args.batch,
        "level": args.level,
        "rounds": args.rounds,
        "calls": calls_of(args),
    }
    group |= {"command": command(args)} | circumstances(["openvino", "onnxruntime", "torch"])
    group["models"] = []
    for name in args.models:
        times, group["level"] = measure(args, name)
        group["models"].append({"name": name, "gmacs": gmacs(args)[name], "ms": times})
        medians = {engine: statistics.median(values) for engine, values in times.items()}
        print(f"{name:24}" + "".join(f"  {engine} {ms:.2f}" for engine, ms in medians.items()), flush=True)
    return group


def command(args):
    words = ["python tools/peers.py", "--models", *args.models, f"--threads {args.threads}"]
    words += [f"--batch {args.batch}"] * (args.batch > 1) + [f"--level {args.level}"] * (args.level != "auto")
    return " ".join([*words, f"--rounds {args.rounds}", f"--calls {args.calls}"])


def gmacs(args):
    """Of an image, of every built-in model."""
    table = subprocess.run([args.program, "table", "--json"], check=True, capture_output=True)
    return {row["name"]: row["macs"] / 1e9 for row in json.loads(table.stdout)}


def store(args, group):
    """Puts the group in the place of the one that it measures anew."""
    same = ("threads", "batch", "level")
    kept = json.loads(args.results.read_text()) if args.results.exists() else []
    kept = [other for other in kept if any(other[key] != group[key] for key in same)]
    kept = sorted([*kept, group], key=lambda g: (g["level"] == "avx2", g["batch"], g["threads"]))
    args.results.parent.mkdir(parents=True, exist_ok=True)
    args.results.write_text(as_json(kept))


def as_json(groups):
    """A line for each model, so that a measurement shows as what it changes."""

    def lines(group):
        head = json.dumps(group | {"models": []}).removesuffix("]}")
        return f" {head}\n  " + ",\n  ".join(map(json.dumps, group["models"])) + "]}"

    return "[\n" + ",\n".join(map(lines, groups)) + "\n]\n"


def rate(args):
    """GMAC/s of the program on one thread, for estimates."""
    bench = [args.program, "bench", "--arch", "deit_tiny", "--threads", "1", "--iters", "5", "--json"]
    return json.loads(subprocess.run(bench, check=True, capture_output=True).stdout)["gmacs_per_s"]


def estimate(args, gmacs_per_s):
    """Seconds that a group will take: four engines, the rivals a third slower than we are, three calls to warm up."""
    calls = calls_of(args)
    speed = gmacs_per_s * args.threads**0.8 * (0.6 if args.level == "avx2" else 1)
    images = args.batch * args.rounds * (calls + 3 + 3 * 1.33 * (calls + min(calls, 3)))
    return sum(SET_UP_SECONDS + images * gmacs(args)[name] / speed for name in args.models)


def suite(args):
    """Each group in a process of its own, since engines read their restrictions when they are loaded."""
    groups = [
        argparse.Namespace(**vars(args) | {"threads": threads, "batch": batch, "level": level, "models": models})
        for threads, batch, level, models in SUITE
    ]
    for group in groups:
        # Batches are long and repeat the image, so fewer rounds tell as much.
        group.rounds = group.rounds if group.batch == 1 else -(-group.rounds // 2)
    gmacs_per_s = rate(args)
    print(f"about {sum(estimate(group, gmacs_per_s) for group in groups) / 60:.0f} minutes", flush=True)
    start = time.monotonic()
    for group in groups:
        print(f"-- threads {group.threads}, batch {group.batch}, level {group.level}", flush=True)
        subprocess.run([sys.executable, __file__, *flags(group)], check=True)
    print(f"took {(time.monotonic() - start) / 60:.1f} minutes", flush=True)


def main():
    args = arguments()
    if args.level == "avx2":
        avx2_only.restart()
        avx2_only.load_onnx_runtime(args.cache)
    if args.probe:
        return probe(args)
    if args.suite:
        suite(args)
        pages.write()
        pages.draw()
    else:
        group = measure_group(args)
        if not args.no_store:
            store(args, group)


if __name__ == "__main__":
    main()
