"""docs/models.md's table of the module on a small task, from what `ablation.py` kept."""

import statistics

HEAD = ["variant", "test accuracy, mean of 3 seeds", "lowest to highest", "deviation", "parameters", "MACs"]


def text(results):
    variants = list(dict.fromkeys(row["variant"] for row in results["runs"]))
    lines = [f"| {' | '.join(HEAD)} |", "|---" + "|---:" * (len(HEAD) - 1) + "|"]
    return "\n".join(lines + [row(name, [run for run in results["runs"] if run["variant"] == name]) for name in variants])


def row(variant, runs):
    """Mean, extremes and sample deviation of the seeds."""
    found = [100 * run["accuracy"] for run in runs]
    cells = [
        variant,
        f"{statistics.mean(found):.2f} %",
        f"{min(found):.2f} to {max(found):.2f} %",
        f"{statistics.stdev(found):.2f}",
        f"{runs[0]['params']:,}",
        f"{runs[0]['macs']:,}",
    ]
    return f"| {' | '.join(cells)} |"
