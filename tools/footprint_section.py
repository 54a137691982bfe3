"""BENCHMARKS.md's section on starting and memory, from what `footprint.py` kept."""

from machine import describe

INTRODUCTION = """\
`shuffle-vit run` on one image of {model}, whose weights are {weights}: from the start of the process to its end. The files are in the page
cache. Beside it, the most memory that `bench` had resident. A later image takes {one} ms on one thread and {two} ms on two. `pack` writes
the packed file; it is read into memory, unless `--map` maps it."""
HEAD = ["model file", "first logits, 1 thread", "2 threads", "resident at most, 1 thread", "2 threads"]


def text(found):
    numbers = {"model": found["model"], "weights": size(found["weight_bytes"]), "one": found["image_ms"]["1"], "two": found["image_ms"]["2"]}
    scratch = ", ".join(f"{name} {size(value)}" for name, value in found["scratch_bytes"].items())
    return "\n".join([
        "## Starting and memory", "", INTRODUCTION.format(**numbers), "",
        f"| {' | '.join(HEAD)} |", "|---|---:|---:|---:|---:|", *rows(found["starts"]), "",
        f"The program is a file of {size(found['program_bytes'])} with its embedded model. Working memory (`scratch`) on one thread: {scratch}.",
        "", f"Medians of {found['rounds']} rounds around all. {describe(found)}; `python tools/footprint.py`.",
    ])  # fmt: skip


def rows(starts):
    for way in dict.fromkeys(start["way"] for start in starts):
        one, two = (next(s for s in starts if s["way"] == way and s["threads"] == threads) for threads in (1, 2))
        times = [f"{start['first_logits_ms']:.1f} ms" for start in (one, two)]
        sizes = [size(start["peak_rss_bytes"]) for start in (one, two)]
        yield f"| {' | '.join([way, *times, *sizes])} |"


def size(count):
    return f"{count / 2**20:.1f} MiB"
