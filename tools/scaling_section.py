"""BENCHMARKS.md's section on how the cost grows, from what `scaling.py` kept."""

import json
import statistics
from dataclasses import dataclass

from machine import count, describe

# What grows in each sweep.
AXES = {
    "batch": "images a call",
    "tokens": "tokens (with the class token)",
    "depth": "layers",
    "width": "channels that a layer attends to (64 a head)",
}

INTRODUCTION = """\
`shuffle-vit bench` while one thing grows and the rest stays. Lines are the theory: multiply-accumulates as `bench` counts
them, at the rate of the base point, which is the model as its name says with one image a call. Dotted lines are the layers
alone, N tokens on C attended channels costing `(4+2r) N C^2 + 2 N^2 C` each, without embedding and head. Right in each
chart is the rate that the times mean: level where cost grows as theory says. In the tables, what the module adds as measured
and in multiply-accumulates."""


@dataclass
class Results:
    """Where it was measured, and for each sweep and model the points, in order, with the median over rounds as `ms`."""

    about: dict
    points: dict

    def pairs(self):
        """Vanilla and shuffled names."""
        return list(zip(self.about["models"][::2], self.about["models"][1::2]))

    def charts(self):
        return [(pair, sweep) for pair in self.pairs() for sweep in AXES if (sweep, pair[0]) in self.points]


def read(path):
    about, *runs = [json.loads(line) for line in path.read_text().splitlines()]
    times = {}
    for run in runs:
        times.setdefault((run["sweep"], run["model"]), {}).setdefault(run["value"], []).append(run)
    return Results(about, {key: [merged(rounds) for rounds in values.values()] for key, values in times.items()})


def merged(rounds):
    return rounds[0] | {"ms": statistics.median(run["median_ms"] for run in rounds)}


def text(results):
    lines = ["## How the cost grows", "", INTRODUCTION]
    for pair, sweep in results.charts():
        lines += ["", f"### {pair[0]}: {sweep}", "", f"![{pair[0]}: {sweep}](docs/{chart(pair, sweep)})", ""]
        lines += table(results, pair, sweep)
    about = results.about
    threads, rounds = count(about["threads"], "thread"), count(about["rounds"], "round")
    where = f"{threads}, {about['level']}, medians of {rounds} around all points"
    return "\n".join([*lines, "", f"{where}. {describe(about)}; `{about['command']}`."])


def chart(pair, sweep):
    return f"scaling-{pair[0]}-{sweep}.svg"


def table(results, pair, sweep):
    vanilla, shuffled = (results.points[sweep, model] for model in pair)
    head = [AXES[sweep], *(f"{model}, ms" for model in pair), "shuffled / vanilla", "in theory"]
    lines = [f"| {' | '.join(head)} |", "|---:" * len(head) + "|"]
    for a, b in zip(vanilla, shuffled):
        times = [f"{a['ms']:.2f}", f"{b['ms']:.2f}"]
        ratios = [f"{b['ms'] / a['ms']:.3f}", f"{b['work'] / a['work']:.3f}"]
        lines.append(f"| {' | '.join([label(a), *times, *ratios])} |")
    return lines


def label(point):
    side = f" ({point['value']} x {point['value']} pixels)" if point["sweep"] == "tokens" else ""
    return f"{point['x']}{side}{' (base)' if point['base'] else ''}"
