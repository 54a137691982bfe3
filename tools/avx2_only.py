"""Keeps the rivals of a process to AVX2, so that they can be compared with the program at that level.

oneDNN, PyTorch and MKL have environment variables for it. The products of ONNX Runtime and of OpenVINO come from MLAS,
which asks the processor and cannot be told otherwise: of these two, changed copies are loaded, in which the test of CPUID's
AVX-512 bit tests no bit. They then do what they do on a processor that ends at AVX2.
"""

import importlib.util
import os
import re
import sys
from importlib.metadata import version
from pathlib import Path

# Read by the libraries when they are loaded.
VARIABLES = {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2", "MKL_ENABLE_INSTRUCTIONS": "AVX2"}

ONNX_RUNTIME = "onnxruntime.capi.onnxruntime_pybind11_state"
DEVICE = "CPUAVX2"  # OpenVINO wants the plugin's own name in it

# MLAS_PLATFORM's constructor: `test reg, 0x10000` (AVX512F in EBX of CPUID's leaf 7), and within a few instructions the
# mask 0xe0 of the registers that the system saves.
AVX512F = re.compile(
    rb"\xf7[\xc0-\xc7](\x00\x00\x01\x00)(?=.{0,24}?(?:\xa8\xe0|\x81[\xe0-\xe7]\xe0\x00\x00\x00))", re.DOTALL
)


def restart():
    """Runs the script again with the variables, unless they are set."""
    if any(os.environ.get(key) != value for key, value in VARIABLES.items()):
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], os.environ | VARIABLES)


def changed(package, pattern, cache):
    """A copy of the package's library whose MLAS finds no AVX-512."""
    (path,) = Path(importlib.util.find_spec(package).submodule_search_locations[0]).glob(pattern)
    copy = cache / f"avx2-{package}-{version(package)}" / path.name
    if not copy.exists():
        code = bytearray(path.read_bytes())
        tests = [match.start(1) for match in AVX512F.finditer(code)]
        assert len(tests) == 1, f"{path.name}: {len(tests)} places look like MLAS's test for AVX-512, expected one"
        code[tests[0] : tests[0] + 4] = bytes(4)
        copy.parent.mkdir(parents=True, exist_ok=True)
        for needed in path.parent.glob("*_shared.so"):
            (copy.parent / needed.name).symlink_to(needed)
        part = copy.with_suffix(".part")
        part.write_bytes(code)
        part.rename(copy)
    return copy


def load_onnx_runtime(cache):
    """Puts the changed library where `import onnxruntime` will find it."""
    copy = changed("onnxruntime", "capi/onnxruntime_pybind11_state*.so", cache)
    spec = importlib.util.spec_from_file_location(ONNX_RUNTIME, copy)
    sys.modules[ONNX_RUNTIME] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules[ONNX_RUNTIME])


def register_open_vino(core, cache):
    """Makes the changed plugin known to OpenVINO; returns the name of its device."""
    core.register_plugin(str(changed("openvino", "libs/libopenvino_intel_cpu_plugin.so", cache)), DEVICE)
    return DEVICE
