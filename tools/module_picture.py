"""Draws docs/channel-shuffle.svg, the README's picture of the channel-shuffle module.

    python tools/module_picture.py
"""

import argparse

from machine import ROOT

HALF = 4  # channels that a block works on: C
CHANNELS = 2 * HALF
ROW, GAP, WIDTH = 22, 4, 54
TOP = 62
COLUMNS = (26, 236, 366, 576, 706)
SHADES = ("#dbe4f3", "#8fb0e0", "#3d6fbf")  # channels that no block, one block or two blocks have changed


def y(row):
    """The upper edge of a row; the two halves stand a little apart."""
    return TOP + row * (ROW + GAP) + (10 if row >= HALF else 0)


def middle(row):
    return y(row) + ROW / 2


def text(x, at, words, size=13, anchor="middle", colour="#333", weight="normal"):
    style = f'font-size="{size}" text-anchor="{anchor}" fill="{colour}" font-weight="{weight}"'
    return f'<text x="{x}" y="{at}" {style}>{words}</text>'


def shuffled(channels):
    """`cat(a, i).reshape(2, C).transpose().reshape(2C)`."""
    return [channels[half * HALF + j] for j in range(HALF) for half in range(2)]


def column(x, channels, changed):
    """One bar a channel, labelled with the row of memory that holds it."""
    for row, channel in enumerate(channels):
        shade = changed[channel]
        yield f'<rect x="{x}" y="{y(row)}" width="{WIDTH}" height="{ROW}" rx="3" fill="{SHADES[shade]}" stroke="#5b6b84"/>'
        yield text(x + WIDTH / 2, middle(row) + 4.5, f"row {channel}", 12, colour="#fff" if shade == 2 else "#222")


def block(left, right, number):
    """The box between two columns: the upper half goes through, the lower half passes by."""
    x, width = left + WIDTH + 14, right - left - WIDTH - 28
    height = y(HALF - 1) + ROW - TOP
    yield f'<rect x="{x}" y="{TOP}" width="{width}" height="{height}" rx="6" fill="#f7efe0" stroke="#b08a3c"/>'
    for line, words in enumerate((f"block {number}", "attention,", "then MLP")):
        weight = "bold" if line == 0 else "normal"
        yield text(x + width / 2, TOP + height / 2 - 14 + 20 * line, words, 14, weight=weight)
    for row in range(HALF):
        yield arrow(left + WIDTH + 1, middle(row), x - 2, middle(row))
        yield arrow(x + width + 1, middle(row), right - 2, middle(row))
    for row in range(HALF, CHANNELS):
        yield arrow(left + WIDTH + 1, middle(row), right - 2, middle(row), "#aaa")
    yield text(x + width / 2, y(CHANNELS - 1) + ROW + 16, "the other half idles", 12, colour="#777")


def arrow(x1, y1, x2, y2, colour="#5b6b84"):
    return f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" stroke="{colour}" stroke-width="1.3" marker-end="url(#head)"/>'


def shuffle(left, right, before, after):
    for row, channel in enumerate(before):
        yield arrow(left + WIDTH + 1, middle(row), right - 2, middle(after.index(channel)))


def picture():
    channels, changed, stride = list(range(CHANNELS)), [0] * CHANNELS, 1
    lines = []
    strides = []
    for number, x in enumerate(COLUMNS):
        lines += column(x, channels, changed)
        strides.append(stride)
        if number == len(COLUMNS) - 1:
            break
        if number % 2 == 0:
            lines += block(x, COLUMNS[number + 1], number // 2 + 1)
            for channel in channels[:HALF]:
                changed[channel] += 1
        else:
            after = shuffled(channels)
            lines += shuffle(x, COLUMNS[number + 1], channels, after)
            channels, stride = after, stride * HALF % (CHANNELS - 1)
    bottom = y(CHANNELS - 1) + ROW
    lines.append(text(COLUMNS[0] + WIDTH / 2, TOP - 30, "embedding", 14, weight="bold"))
    lines.append(text(COLUMNS[0] + WIDTH / 2, TOP - 12, "2C channels", 12, colour="#777"))
    lines.append(text((COLUMNS[1] + COLUMNS[2] + WIDTH) / 2, TOP - 30, "channel shuffle", 14, weight="bold"))
    lines.append(text((COLUMNS[1] + COLUMNS[2] + WIDTH) / 2, TOP - 12, "the halves interleave", 12, colour="#777"))
    for x, value in zip(COLUMNS, strides, strict=True):
        lines.append(text(x + WIDTH / 2, bottom + 44, f"stride {value}", 13, weight="bold", colour="#3d6fbf"))
    width, height = COLUMNS[-1] + WIDTH + 26, bottom + 100
    note = (
        "In memory no row moves. Only the stride changes: position p of these 8 channels",
        "is row (p * stride) mod 7, the last position is row 7, and a shuffle multiplies the stride by 4.",
    )
    lines += [text(width / 2, bottom + 70 + 18 * i, words, 13) for i, words in enumerate(note)]
    head = (
        '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="6" markerHeight="6" orient="auto">'
        '<path d="M0,0 L8,4 L0,8 z" fill="#5b6b84"/></marker></defs>'
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="Helvetica, Arial, sans-serif">'
        f'<rect width="{width}" height="{height}" fill="#fff"/>{head}' + "\n".join(lines) + "</svg>\n"
    )


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    (ROOT / "docs/channel-shuffle.svg").write_text(picture())
