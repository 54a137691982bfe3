"""Times the program beside ONNX Runtime, OpenVINO and PyTorch, in alternation on one machine, and writes a markdown table.

All run the same seeded weights in f32 on batch 1 with the same number of threads, and must agree on the logits first.
Rounds go around the rivals, so that a machine that changes its speed changes it for all; the table has medians, and each
rival's time divided by ours.

    python tools/peers.py --models deit_tiny shuffle_deit_tiny --threads 1 --out BENCHMARKS.md
"""

import argparse
import datetime
import json
import platform
import statistics
import subprocess
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import numpy
import onnxruntime
import openvino
import torch

from export_onnx import export
from shuffle_vit.checkpoint import read_tensors, write_tensors


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["deit_tiny", "shuffle_deit_tiny"])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=7, help="times around all rivals")
    parser.add_argument("--calls", type=int, default=10, help="calls of a rival in a round, after 3 that do not count")
    parser.add_argument("--program", type=Path, default=Path("target/release/shuffle-vit"))
    parser.add_argument("--level", default="auto", help="the program's instruction set")
    parser.add_argument("--out", type=Path, help="markdown file to append the table to; printed otherwise")
    return parser.parse_args()


class Program:
    """`shuffle-vit bench` on the checkpoint, a process a round; loading is not counted."""

    def __init__(self, args, name, folder):
        self.args, self.name, self.folder = args, name, folder

    def call(self, command, *rest):
        model = ["--model", self.folder / f"{self.name}.safetensors"]
        flags = ["--threads", str(self.args.threads), "--level", self.args.level, "--json"]
        done = subprocess.run([self.args.program, command, *model, *flags, *rest], check=True, capture_output=True)
        return json.loads(done.stdout)

    def logits(self):
        files = [self.folder / "image.safetensors", self.folder / "logits.safetensors"]
        self.call("run", "--input", files[0], "--output", files[1])
        return read_tensors(files[1])[0]["logits"]

    def times(self):
        return [self.call("bench", "--iters", str(self.args.calls))["median_ms"]]


class InProcess:
    """A rival that runs in this process: `infer` is one call."""

    def __init__(self, infer, calls):
        self.infer, self.calls = infer, calls

    def logits(self):
        return torch.from_numpy(numpy.array(self.infer())).reshape(1, -1)

    def times(self):
        for _ in range(3):
            self.infer()
        times = []
        for _ in range(self.calls):
            start = time.perf_counter()
            self.infer()
            times.append(1e3 * (time.perf_counter() - start))
        return [statistics.median(times)]


def rivals(args, name, model, image, folder):
    """Name and runner of each rival, ours first."""
    onnx = folder / f"{name}.onnx"
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = args.threads, 1
    session = onnxruntime.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])
    core = openvino.Core()
    core.set_property("CPU", {"INFERENCE_NUM_THREADS": args.threads, "INFERENCE_PRECISION_HINT": "f32"})
    request = core.compile_model(onnx, "CPU").create_infer_request()
    pixels = image.numpy()

    def eager():
        with torch.inference_mode():
            return model(image).numpy()

    return {
        "shuffle-vit": Program(args, name, folder),
        "ONNX Runtime": InProcess(lambda: session.run(None, {"image": pixels})[0], args.calls),
        "OpenVINO": InProcess(lambda: request.infer({0: pixels})[0], args.calls),
        "PyTorch": InProcess(eager, args.calls),
    }


def measure(args, name):
    """Median milliseconds of every rival."""
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        model = export(name, folder)
        image = torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(1))
        write_tensors(folder / "image.safetensors", {"image": image})
        runners = rivals(args, name, model, image, folder)
        logits = {rival: runner.logits() for rival, runner in runners.items()}
        for rival, found in logits.items():
            difference = (found - logits["PyTorch"]).abs().max() / logits["PyTorch"].abs().max()
            assert difference < 1e-4, f"{name}: {rival} and PyTorch differ by {difference}"
        times = {rival: [] for rival in runners}
        for _ in range(args.rounds):
            for rival, runner in runners.items():
                times[rival] += runner.times()
        return {rival: statistics.median(values) for rival, values in times.items()}


def processor():
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    found = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    flags = [flag for flag in ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile") if flag in found.get("flags", "").split()]
    return f"{found.get('model name', platform.processor())} family {found.get('cpu family')} model {found.get('model')} ({', '.join(flags)})"


def main():
    args = arguments()
    torch.set_num_threads(args.threads)
    versions = ", ".join(f"{p} {version(p)}" for p in ("onnxruntime", "openvino", "torch"))
    lines = [
        f"## {args.threads} thread{'s' * (args.threads > 1)}, batch 1, f32, level {args.level}, milliseconds ({datetime.date.today()})",
        "",
        f"{processor()}; {versions}; `python tools/peers.py --models {' '.join(args.models)} --threads {args.threads}`",
        "",
    ]
    for i, name in enumerate(args.models):
        times = measure(args, name)
        if i == 0:
            lines += [f"| model | {' | '.join(times)} |", f"|---|{'---|' * len(times)}"]
        ours = times["shuffle-vit"]
        cells = [f"**{ours:.1f}**"] + [f"{ms:.1f} ({ms / ours:.2f}x)" for rival, ms in times.items() if rival != "shuffle-vit"]
        lines.append(f"| {name} | {' | '.join(cells)} |")
        print(lines[-1], flush=True)
    text = "\n".join(lines) + "\n\n"
    if args.out:
        args.out.write_text((args.out.read_text() if args.out.exists() else "") + text)
    else:
        print(text)


if __name__ == "__main__":
    main()
