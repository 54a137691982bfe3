"""The charts of BENCHMARKS.md as SVG: equal results give equal files."""

import statistics

import matplotlib

matplotlib.use("svg")
matplotlib.rcParams |= {
    "svg.hashsalt": "shuffle-vit",  # names of elements do not change from run to run
    "svg.fonttype": "none",  # text stays text
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
}

from matplotlib import pyplot  # noqa: E402
from matplotlib.ticker import FuncFormatter, NullLocator  # noqa: E402

import peers_section  # noqa: E402
from machine import count, describe_machine  # noqa: E402
from scaling_section import AXES  # noqa: E402

COLOURS = {"shuffle-vit": "#c44e52", "OpenVINO": "#4c72b0", "ONNX Runtime": "#55a868", "PyTorch": "#b0a090"}
MODEL_COLOURS = ("#4c72b0", "#c44e52")


def save(figure, path):
    figure.savefig(path, metadata={"Date": None, "Creator": None})
    pyplot.close(figure)


def peers(group, path):
    """Bars of milliseconds, a cluster for each model."""
    rows = group["models"]
    engines = peers_section.engines(group)
    figure, axes = pyplot.subplots(figsize=(9, 0.9 + 0.75 * len(rows)), layout="constrained")
    height = 0.8 / len(engines)
    for i, engine in enumerate(engines):
        measured = [(y, statistics.median(row["ms"][engine])) for y, row in enumerate(rows) if engine in row["ms"]]
        places, ms = zip(*((y + (i - (len(engines) - 1) / 2) * height, value) for y, value in measured))
        bars = axes.barh(places, ms, height * 0.92, label=engine, color=COLOURS[engine])
        axes.bar_label(bars, [f"{value:.1f}" for value in ms], padding=2, fontsize=8)
    axes.set_yticks(range(len(rows)), [row["name"] for row in rows])
    axes.invert_yaxis()
    axes.set_xlabel(f"milliseconds a call of {count(group['batch'], 'image')} (shorter is faster)")
    axes.grid(axis="x", alpha=0.3)
    figure.legend(frameon=False, loc="outside lower center", ncols=len(engines))
    figure.suptitle(heading("f32", group), fontsize=9)
    save(figure, path)


def scaling(results, pair, sweep, path):
    """Left the milliseconds with the theory's lines, right the rate that they mean."""
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(9, 4), layout="constrained", width_ratios=(3, 2))
    for model, colour in zip(pair, MODEL_COLOURS):
        points = results.points[sweep, model]
        draw_times(left, model, points, colour)
        x, rates = zip(*((point["x"], 1e3 * point["work"] / point["ms"]) for point in points))
        right.plot(x, rates, "o-", color=colour, markersize=4)
    for axes in (left, right):
        label_x(axes, x, AXES[sweep])
    left.set_yscale("log", base=2)
    left.yaxis.set_major_formatter(FuncFormatter(lambda ms, _: f"{ms:g}"))
    left.set_ylabel("milliseconds a call")
    left.legend(frameon=False, fontsize=8)
    right.set_ylim(bottom=0)
    right.set_ylabel("GMAC/s, as defined")
    figure.suptitle(heading(f"{pair[0]}, {sweep}", results.about), fontsize=9)
    save(figure, path)


def draw_times(axes, model, points, colour):
    x = [point["x"] for point in points]
    base = next(point for point in points if point["base"])
    rate = base["work"] / base["ms"]
    axes.plot(x, [point["work"] / rate for point in points], color=colour, linewidth=1, label=f"{model}, theory")
    axes.plot(x, [point["layers"] / rate for point in points], ":", color=colour, linewidth=1, label="its layers alone")
    axes.plot(x, [point["ms"] for point in points], "o", color=colour, markersize=5, label=f"{model}, measured")


def label_x(axes, x, title):
    axes.set_xscale("log", base=2)
    axes.set_xticks(x, [str(value) for value in x], rotation=45 if len(x) > 8 else 0, fontsize=8)
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel(title)
    axes.grid(alpha=0.3)


def heading(what, about):
    return f"{what}, {count(about['threads'], 'thread')}, {about['level']} — {describe_machine(about['machine'])}"
