"""BENCHMARKS.md's tables of the program beside its rivals, from what `peers.py` kept."""

import statistics

from machine import count, describe

OURS = "shuffle-vit"
INTRODUCTION = """\
Milliseconds a call, f32, 224x224, equal weights, equal threads, logits compared first; in brackets the rival's time divided
by ours. Rounds go around all engines: the rivals in one process, the program as `shuffle-vit bench` in processes of its own.
Loading and compiling are not counted. OpenVINO has the hints f32, latency and the number of threads, and reads its input in
place. GMAC/s are of the work as defined, not as executed. To measure all of it again, in an environment with
`tools/requirements-peers.txt`: `python tools/peers.py --suite`."""

RESTRICTED = """\
All engines are kept to AVX2 (`tools/avx2_only.py`): oneDNN, PyTorch and MKL by `ONEDNN_MAX_CPU_ISA=AVX2`,
`ATEN_CPU_CAPABILITY=avx2` and `MKL_ENABLE_INSTRUCTIONS=AVX2`; ONNX Runtime and OpenVINO, whose products come from MLAS,
which asks the processor and has no switch, by copies of their libraries in which it finds no AVX-512. Where OpenVINO crashes, it
does so under that restriction of oneDNN alone, too."""


def text(groups):
    lines = ["## Beside OpenVINO, ONNX Runtime and PyTorch", "", INTRODUCTION]
    for group in groups:
        lines += ["", f"### {title(group)}", "", *table(group), ""]
        lines += [RESTRICTED, ""] if restricted(group) else []
        lines += [f"![{title(group)}](docs/{chart(group)})", "", *circumstances(group)]
    return "\n".join(lines)


def restricted(group):
    return group["level"] == "avx2"


def title(group):
    level = {"avx2": "restricted to AVX2", "avx512": "AVX-512"}.get(group["level"], group["level"])
    return f"{count(group['threads'], 'thread')}, {count(group['batch'], 'image')} a call, {level}"


def chart(group):
    return f"peers-threads{group['threads']}-batch{group['batch']}-{group['level']}.svg"


def medians(row):
    return {engine: statistics.median(times) for engine, times in row["ms"].items()}


def engines(group):
    """Those that ran at least one of the models, in the order in which they ran."""
    return list(dict.fromkeys(engine for row in group["models"] for engine in row["ms"]))


def table(group):
    head = ["model", *engines(group), "fastest rival / ours", "GMAC/s", "images/s"]
    lines = [f"| {' | '.join(head)} |", "|---" + "|---:" * (len(head) - 1) + "|"]
    return lines + [f"| {' | '.join(cells(group, row))} |" for row in group["models"]]


def cells(group, row):
    ms = medians(row)
    ours = ms[OURS]
    times = [f"**{ours:.1f}**"]
    for engine in engines(group)[1:]:
        times.append(f"{ms[engine]:.1f} ({ms[engine] / ours:.2f}x)" if engine in ms else "crashes")
    fastest = min(ms[engine] for engine in ms if engine != OURS)
    images = 1e3 * group["batch"] / ours
    return [row["name"], *times, f"**{fastest / ours:.2f}**", f"{row['gmacs'] * images:.1f}", f"{images:.1f}"]


def circumstances(group):
    rounds = f"Medians of {count(group['rounds'], 'round')} of {count(group['calls'], 'call')}"
    return [
        f"{rounds}; the middle half of an engine's rounds was at most {100 * spread(group):.1f} % around its median.",
        f"{describe(group)}; `{group['command']}`.",
    ]


def spread(group):
    """Half the width of the middle half of the rounds, relative to their median: the largest of the group."""
    return max(half_width(times) / statistics.median(times) for row in group["models"] for times in row["ms"].values())


def half_width(times):
    if len(times) < 2:
        return 0.0
    low, _, high = statistics.quantiles(times, n=4, method="inclusive")
    return (high - low) / 2
