"""Writes what was measured into README.md, BENCHMARKS.md and docs/, from the results in tools/results.

Each section lies between two comments and is replaced as a whole; the rest of a page stays as it is. The scripts that measure
call this when they are done. With `--check` nothing is written: pages that say something else than the results are an error.

    python tools/pages.py
    python tools/pages.py --check
"""

import argparse
import json
import sys

import ablation_section
import footprint_section
import hub_section
import models_section
import peers_section
import scaling_section
from machine import ROOT

RESULTS = ROOT / "tools/results"
PEERS = RESULTS / "peers.json"
SCALING = RESULTS / "scaling.jsonl"
ENGINES = RESULTS / "engines.md"
FOOTPRINT = RESULTS / "footprint.json"
HUB = RESULTS / "hub.json"
CHARTS = ROOT / "docs"


def read_json(path):
    return json.loads(path.read_text())


# Page, section, the results that it shows, and what makes text of them.
SECTIONS = [
    ("README.md", "speed", PEERS, lambda path: peers_section.summary(read_json(path))),
    ("docs/models.md", "models", RESULTS / "models.json", lambda path: models_section.text(read_json(path))),
    ("docs/models.md", "ablation", RESULTS / "ablation.json", lambda path: ablation_section.text(read_json(path))),
    ("docs/checkpoints.md", "hub", HUB, lambda path: hub_section.text(read_json(path))),
    ("BENCHMARKS.md", "peers", PEERS, lambda path: peers_section.text(read_json(path))),
    ("BENCHMARKS.md", "footprint", FOOTPRINT, lambda path: footprint_section.text(read_json(path))),
    ("BENCHMARKS.md", "scaling", SCALING, lambda path: scaling_section.text(scaling_section.read(path))),
    ("BENCHMARKS.md", "engines", ENGINES, lambda path: path.read_text()),
]


def replace_section(page, name, body):
    """The page with that section's text anew; a section that it does not have yet comes last."""
    begin, end = f"<!-- {name}: written by tools/pages.py -->\n", f"<!-- {name}: end -->\n"
    section = f"{begin}{body.strip()}\n{end}"
    if begin in page and end in page:
        return page[: page.index(begin)] + section + page[page.index(end) + len(end) :]
    return page.rstrip("\n") + "\n\n" + section


def outdated(root=ROOT):
    """Pages whose sections differ from the results: `{path: (text as it should be, names of the sections)}`."""
    found = {}
    for page, name, results, text_of in SECTIONS:
        if not results.exists():
            continue
        path = root / page
        before, names = found.get(path, (path.read_text(), []))
        after = replace_section(before, name, text_of(results))
        found[path] = (after, names if after == before else [*names, name])
    return {path: (text, names) for path, (text, names) in found.items() if names}


def draw():
    """The charts that BENCHMARKS.md shows."""
    import charts  # checking and measuring without a page do without matplotlib

    for group in read_json(PEERS):
        charts.peers(group, CHARTS / peers_section.chart(group))
    results = scaling_section.read(SCALING)
    for pair, sweep in results.charts():
        charts.scaling(results, pair, sweep, CHARTS / scaling_section.chart(pair, sweep))


def write():
    for path, (text, _) in outdated().items():
        path.write_text(text)


def check():
    for path, (_, names) in (found := outdated()).items():
        print(f"{path.relative_to(ROOT)}: {', '.join(names)}: not what tools/results holds; run `python tools/pages.py`")
    return 1 if found else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 if a page is outdated")
    if parser.parse_args().check:
        sys.exit(check())
    write()
    draw()
