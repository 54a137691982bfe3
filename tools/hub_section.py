"""docs/checkpoints.md's table of models as people have them, from what `parity_hub.py` kept."""

from machine import describe


def text(results):
    rows = results["rows"]
    lines = ["| from | form | flags | largest difference |", "|---|---|---|---:|"]
    lines += [f"| {row['source']} | {row['form']} | {flags(row)} | {row['difference']:.1e} |" for row in rows]
    worst = max(row["difference"] for row in rows)
    return "\n".join([
        f"{len(rows)} forms, each with random weights at its true size: the largest difference of the outputs from the public code's in f64,"
        f" relative to the largest output. The worst is {worst:.1e}.", "", *lines, "",
        f"Measured {describe(results)}; `python tools/parity_hub.py`.",
    ])  # fmt: skip


def flags(row):
    return f"`{' '.join(row['flags'])}`" if row["flags"] else ""
