"""BENCHMARKS.md's and README's tables of the program beside its rivals, from what `peers.py` kept."""

import statistics

from machine import count, describe

OURS = "shuffle-vit"
LEVELS = {"avx2": "AVX2", "avx512": "AVX-512"}
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


def summary(groups):
    """README's table: one image on one thread, as the machine is."""
    group = next(g for g in groups if (g["threads"], g["batch"]) == (1, 1) and not restricted(g))
    head = [f"1 thread, {LEVELS.get(group['level'], group['level'])}", *engines(group)]
    lines = [f"| {' | '.join(head)} |", "|---" + "|---:" * (len(head) - 1) + "|"]
    lines += [f"| {' | '.join([row['name'], *times(group, row)])} |" for row in group["models"]]
    return "\n".join([*lines, "", f"Measured {describe(group)}."])


def restricted(group):
    return group["level"] == "avx2"


def title(group):
    level = "restricted to AVX2" if restricted(group) else LEVELS.get(group["level"], group["level"])
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


def times(group, row):
    """Ours in bold, then each rival's with its ratio to ours."""
    ms = medians(row)
    ours = ms[OURS]
    rivals = [f"{ms[name]:.1f} ({ms[name] / ours:.2f}x)" if name in ms else "crashes" for name in engines(group)[1:]]
    return [f"**{ours:.1f}**", *rivals]


def cells(group, row):
    ms = medians(row)
    ours = ms[OURS]
    fastest = min(ms[engine] for engine in ms if engine != OURS)
    images = 1e3 * group["batch"] / ours
    return [row["name"], *times(group, row), f"**{fastest / ours:.2f}**", f"{row['gmacs'] * images:.1f}", f"{images:.1f}"]


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
