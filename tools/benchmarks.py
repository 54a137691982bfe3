"""Writes the measured sections of BENCHMARKS.md, and their charts in docs/, from the results in tools/results.

Each section lies between two comments and is replaced as a whole; the rest of the file stays as it is. `peers.py`,
`scaling.py` and `engines.py` measure and then call this.

    python tools/benchmarks.py
"""

import json

import peers_section
import scaling_section
from machine import ROOT

PEERS = ROOT / "tools/results/peers.json"
SCALING = ROOT / "tools/results/scaling.jsonl"
ENGINES = ROOT / "tools/results/engines.md"
PAGE = ROOT / "BENCHMARKS.md"
CHARTS = ROOT / "docs"
TITLE = "# Benchmarks\n\nWhat was measured, on what, and how to measure it again.\n"


def replace_section(page, name, body):
    """The page with that section's text anew; a section that it does not have yet comes last."""
    begin, end = f"<!-- {name}: written by tools/benchmarks.py -->\n", f"<!-- {name}: end -->\n"
    section = f"{begin}{body.strip()}\n{end}"
    if begin in page and end in page:
        return page[: page.index(begin)] + section + page[page.index(end) + len(end) :]
    return page.rstrip("\n") + "\n\n" + section


def write(peers=PEERS, scaling=SCALING, engines=ENGINES, page=PAGE, folder=CHARTS):
    """Everything that there are results for."""
    import charts  # tests and measuring without a page do without matplotlib

    folder.mkdir(exist_ok=True)
    text = page.read_text() if page.exists() else TITLE
    if peers.exists():
        groups = json.loads(peers.read_text())
        text = replace_section(text, "peers", peers_section.text(groups))
        for group in groups:
            charts.peers(group, folder / peers_section.chart(group))
    if scaling.exists():
        results = scaling_section.read(scaling)
        text = replace_section(text, "scaling", scaling_section.text(results))
        for pair, sweep in results.charts():
            charts.scaling(results, pair, sweep, folder / scaling_section.chart(pair, sweep))
    if engines.exists():
        text = replace_section(text, "engines", engines.read_text())
    page.write_text(text)


if __name__ == "__main__":
    write()
