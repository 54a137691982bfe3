"""What numbers were measured on and with: the machine, the program, the compilers and libraries."""

import datetime
import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile")


def machine():
    """The processor, the cores that this process may use, vector extensions and kernel."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    found = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    known = found.get("flags", "").split()
    family = f" (family {found['cpu family']}, model {found['model']})" if "cpu family" in found else ""
    return {
        "cpu": found.get("model name", platform.processor() or platform.machine()) + family,
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "flags": [flag for flag in FLAGS if flag in known],
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
    }


def output(*command):
    """First line of what a command prints; empty if there is no such command."""
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return (done.stdout.splitlines() or [""])[0]


def revision():
    """The commit, and whether what the program is built from differs from it."""
    changed = output("git", "status", "--porcelain", "--", "crates", "Cargo.toml", "Cargo.lock")
    return output("git", "describe", "--always") + ("-dirty" if changed else "")


def versions(packages=()):
    """Revision of the program, the compiler, Python and the packages that are installed."""
    found = {"shuffle-vit": revision(), "rustc": output("rustc", "--version").removeprefix("rustc ").split(" (")[0]}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            pass
    return found


def circumstances(packages=()):
    """All of it, and the day."""
    return {"date": str(datetime.date.today()), "machine": machine(), "versions": versions(packages)}


def describe(found):
    """Circumstances on one line for people."""
    names = ", ".join(f"{name} {number}" for name, number in found["versions"].items())
    return f"{found['date']}; {describe_machine(found['machine'])}; {names}"


def describe_machine(found):
    return f"{found['cpu']}, {count(found['cores'], 'core')}, {' '.join(found['flags'])}, {found['system']}"


def count(number, noun):
    return f"{number} {noun}{'' if number == 1 else 's'}"
