"""The engines that `peers.py` measures: the program, OpenVINO, ONNX Runtime and PyTorch on one model with equal weights.

Exports are slow, so they are kept in a folder whose name tells what they were made from.
"""

import hashlib
import json
import statistics
import subprocess
import time
from pathlib import Path

import numpy
import onnxruntime
import openvino
import torch

import avx2_only
import shuffle_vit
from export_onnx import seeded, write_onnx
from shuffle_vit.checkpoint import read_tensors, write_tensors

OURS = "shuffle-vit"


class Export:
    """A model with seeded weights as each engine reads it, and a batch of images."""

    def __init__(self, name, batch, cache):
        self.model = seeded(name)
        size, channels = self.model.config["image_size"], self.model.config["in_channels"]
        self.image = torch.randn(batch, channels, size, size, generator=torch.Generator().manual_seed(1))
        folder = cache / fingerprint() / name
        self.checkpoint = kept(folder / "model.safetensors", self.write_checkpoint)
        self.input = kept(folder / f"image-{batch}.safetensors", self.write_image)
        self.onnx = kept(folder / f"batch-{batch}.onnx", lambda path: write_onnx(self.model, path, batch))

    def write_checkpoint(self, path):
        shuffle_vit.save(path, self.model.state_dict(), self.model.config)

    def write_image(self, path):
        write_tensors(path, {"image": self.image})


def fingerprint():
    """A name that changes with whatever an export depends on."""
    tools = Path(__file__).parent
    sources = [*sorted(tools.glob("shuffle_vit/*.py")), tools / "goldens.py", tools / "export_onnx.py"]
    text = b"".join(path.read_bytes() for path in sources) + torch.__version__.encode()
    return hashlib.sha256(text).hexdigest()[:12]


def kept(path, write):
    """The file, written if it is not there yet; one that was cut while it was written does not count."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        write(part)
        part.rename(path)
    return path


class Program:
    """`shuffle-vit bench` on the checkpoint, a process a round; loading is not counted."""

    def __init__(self, args, export):
        self.args, self.export, self.level = args, export, None

    def call(self, command, *rest):
        model = ["--model", self.export.checkpoint]
        flags = ["--threads", str(self.args.threads), "--level", self.args.level, "--json"]
        done = subprocess.run([self.args.program, command, *model, *flags, *rest], check=True, capture_output=True)
        return json.loads(done.stdout)

    def logits(self):
        out = self.export.checkpoint.with_name("logits.safetensors")
        self.call("run", "--input", self.export.input, "--output", out)
        return read_tensors(out)[0]["logits"]

    def time(self, calls):
        timing = self.call("bench", "--batch", str(self.args.batch), "--iters", str(calls))
        self.level = timing["level"]
        return timing["median_ms"]


class InProcess:
    """A rival that runs in this process: `infer` is one call and returns logits."""

    def __init__(self, infer):
        self.infer = infer

    def logits(self):
        return torch.from_numpy(numpy.array(self.infer()))

    def time(self, calls):
        for _ in range(min(calls, 3)):
            self.infer()
        times = []
        for _ in range(calls):
            start = time.perf_counter()
            self.infer()
            times.append(1e3 * (time.perf_counter() - start))
        return statistics.median(times)


def open_vino(args, export):
    hints = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": args.threads}
    core = openvino.Core()
    device = avx2_only.register_open_vino(core, args.cache) if args.level == "avx2" else "CPU"
    request = core.compile_model(export.onnx, device, hints).create_infer_request()
    pixels = export.image.numpy()
    request.set_input_tensor(openvino.Tensor(pixels, shared_memory=True))

    def infer():
        request.infer()
        return request.get_output_tensor().data

    return InProcess(infer)


def onnx_runtime(args, export):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = args.threads, 1
    session = onnxruntime.InferenceSession(export.onnx, options, providers=["CPUExecutionProvider"])
    pixels = export.image.numpy()
    return InProcess(lambda: session.run(None, {"image": pixels})[0])


def py_torch(args, export):
    torch.set_num_threads(args.threads)

    def infer():
        with torch.inference_mode():
            return export.model(export.image).numpy()

    return InProcess(infer)


def engines(args, export):
    """Name and runner of each engine, ours first."""
    return {
        OURS: Program(args, export),
        "OpenVINO": open_vino(args, export),
        "ONNX Runtime": onnx_runtime(args, export),
        "PyTorch": py_torch(args, export),
    }


def check_equal(name, runners):
    """Engines that compute something else are not compared."""
    logits = {engine: runner.logits() for engine, runner in runners.items()}
    expected = logits["PyTorch"]
    for engine, found in logits.items():
        difference = (found - expected).abs().max() / expected.abs().max()
        assert difference < 1e-4, f"{name}: {engine} and PyTorch differ by {difference}"
