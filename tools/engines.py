"""Times the program beside Rust engines: exports the models, runs `benches/peers`, keeps its tables, writes BENCHMARKS.md.

    python tools/engines.py
    python tools/engines.py -- deit_tiny          only what criterion's filter lets through, printed and not kept
"""

import os
import subprocess
import sys

import pages
from export_onnx import FOLDER, export
from machine import ROOT, circumstances, describe

MODELS = [prefix + name for name in ("deit_tiny", "swin_extra_tiny", "t2t_vit_7") for prefix in ("", "shuffle_")]
PEERS = ROOT / "benches/peers"
INTRODUCTION = """## Beside Rust engines

One thread each, f32, batch 1, 224x224, the same weights, logits within 1e-4 of each other; the engines of a row in turn,
medians, and each one's time divided by ours. Memory and loading are of a process each that runs one image 11 times."""


def export_missing():
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in MODELS:
        if not all((FOLDER / f"{name}.{extension}").exists() for extension in ("onnx", "safetensors")):
            export(name, FOLDER)


def run(arguments):
    """What the benchmark prints, of which a person sees all."""
    environment = os.environ | {"PEERS_MODELS": str(FOLDER)}
    command = ["cargo", "bench", "--locked", "--bench", "peers", "--", *arguments]
    with subprocess.Popen(command, cwd=PEERS, env=environment, stdout=subprocess.PIPE, text=True) as bench:
        lines = []
        for line in bench.stdout:
            print(line, end="", flush=True)
            lines.append(line.rstrip("\n"))
    if bench.returncode:
        sys.exit(bench.returncode)
    return lines


def tables(lines):
    """The lines of markdown tables, an empty one between two tables."""
    kept = [line for line, before in zip(lines, ["", *lines]) if line.startswith("|") or before.startswith("|")]
    return "\n".join(kept).strip()


def versions():
    """The engines' versions, as Cargo.toml pins them."""
    lines = (PEERS / "Cargo.toml").read_text().splitlines()
    pinned = [line.split("=", 1) for line in lines if '"=' in line]
    return {name.strip(): rest.split('"=')[1].split('"')[0] for name, rest in pinned}


def main():
    arguments = [argument for argument in sys.argv[1:] if argument != "--"]
    if "--help" in arguments:
        sys.exit(__doc__)
    export_missing()
    found = tables(run(arguments))
    if arguments:
        return
    when = circumstances()
    when["versions"] |= versions()
    text = f"{INTRODUCTION}\n\n{describe(when)}; `python tools/engines.py`\n\n{found}\n"
    pages.ENGINES.write_text(text)
    pages.write()


if __name__ == "__main__":
    main()
