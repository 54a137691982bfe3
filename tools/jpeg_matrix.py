"""Makes more than a thousand small JPEG files of every kind that the standard knows, and compares a decoder with Pillow on them.

    python tools/jpeg_matrix.py FOLDER                  # writes FOLDER/*.jpg, the same ones every time
    cargo run --example pixels -- FOLDER/*.jpg          # writes a .ppm beside each that it can read, or why not as .txt
    python tools/jpeg_matrix.py FOLDER --compare        # counts right, refused and wrong ones

The comparison fails if a picture differs from Pillow's by a single value, or if a file that Pillow reads is called damaged
instead of unsupported. Needs numpy, Pillow (13.0.0) and the programs `cjpeg` and `jpegtran` of libjpeg-turbo (Debian:
libjpeg-turbo-progs).
"""

import argparse
import collections
import random
import struct
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

SEED = 2310

# ---- an encoder that writes what no other would: any sampling, any order of scans, any markers

ZIGZAG = sorted(range(64), key=lambda k: (k // 8 + k % 8, (k // 8 if (k // 8 + k % 8) % 2 else k % 8)))
COSINES = np.array([[np.cos((2 * x + 1) * u * np.pi / 16) * (0.5 if u else np.sqrt(1 / 8)) for x in range(8)] for u in range(8)])
# The Huffman tables of the standard's annex K.3: how many codes there are of each length, and their values.
DC_COUNTS = [[0, 1, 5, 1, 1, 1, 1, 1, 1] + [0] * 7, [0, 3] + [1] * 9 + [0] * 5]
DC_VALUES = list(range(12))
AC_COUNTS = [
    [0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 0x7D],
    [0, 2, 1, 2, 4, 4, 3, 4, 7, 5, 4, 4, 0, 1, 2, 0x77],
]
AC_VALUES = [
    bytes.fromhex(
        "01020300041105122131410613516107227114328191a1082342b1c11552d1f02433627282090a161718191a25262728292a3435363738393a"
        "434445464748494a535455565758595a636465666768696a737475767778797a838485868788898a92939495969798999aa2a3a4a5a6a7a8"
        "a9aab2b3b4b5b6b7b8b9bac2c3c4c5c6c7c8c9cad2d3d4d5d6d7d8d9dae1e2e3e4e5e6e7e8e9eaf1f2f3f4f5f6f7f8f9fa"
    ),
    bytes.fromhex(
        "0001020311040521310612415107617113223281081442 91a1b1c109233352f0156272d10a162434e125f11718191a262728292a35363738"
        "393a434445464748494a535455565758595a636465666768696a737475767778797a82838485868788898a92939495969798999aa2a3a4a5"
        "a6a7a8a9aab2b3b4b5b6b7b8b9bac2c3c4c5c6c7c8c9cad2d3d4d5d6d7d8d9dae2e3e4e5e6e7e8e9eaf2f3f4f5f6f7f8f9fa".replace(" ", "")
    ),
]


def codes(counts, values):
    """The canonical Huffman code: value -> (code, length)."""
    table, code, at = {}, 0, 0
    for length, count in enumerate(counts, 1):
        for _ in range(count):
            table[values[at]] = (code, length)
            code, at = code + 1, at + 1
        code <<= 1
    return table


DC_CODES = [codes(counts, DC_VALUES) for counts in DC_COUNTS]
AC_CODES = [codes(counts, values) for counts, values in zip(AC_COUNTS, AC_VALUES)]


@dataclass
class Component:
    id: int
    h: int
    v: int
    table: int  # of quantisation and of Huffman codes


@dataclass
class Recipe:
    """What a file is made of."""

    width: int
    height: int
    components: list
    scans: list  # lists of indices of components
    restart: int = 0
    quality: int = 4  # the step of the finest coefficients
    jfif: bool = True
    adobe: int | None = None
    sof: int = 0xC0
    huffman_tables: bool = True
    wide_quantisation: bool = False
    extra: dict = field(default_factory=dict)  # bytes before "dqt", "sof", "sos"; "end" replaces the end-of-image marker


class Bits:
    def __init__(self):
        self.out, self.value, self.count = bytearray(), 0, 0

    def put(self, value, length):
        self.value, self.count = (self.value << length) | value, self.count + length
        while self.count >= 8:
            byte = (self.value >> (self.count - 8)) & 0xFF
            self.out += b"\xff\0" if byte == 0xFF else bytes([byte])
            self.count -= 8
            self.value &= (1 << self.count) - 1

    def align(self):
        if self.count:
            self.put((1 << (8 - self.count)) - 1, 8 - self.count)


def magnitude(bits, value, code, length):
    size = int(abs(value)).bit_length()
    bits.put(code, length)
    if size:
        bits.put(value if value > 0 else value + (1 << size) - 1, size)


def put_block(bits, block, previous, table):
    """One block in zigzag order; returns its DC for the next one's prediction."""
    difference = int(block[0]) - previous
    magnitude(bits, difference, *DC_CODES[table][abs(difference).bit_length()])
    run = 0
    last = max((k for k in range(1, 64) if block[k]), default=0)
    for k in range(1, last + 1):
        value = int(block[k])
        if not value:
            run += 1
            continue
        while run > 15:
            bits.put(*AC_CODES[table][0xF0])
            run -= 16
        magnitude(bits, value, *AC_CODES[table][run << 4 | abs(value).bit_length()])
        run = 0
    if last < 63:
        bits.put(*AC_CODES[table][0])
    return int(block[0])


def segment(marker, data):
    return struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data


def ceil(a, b):
    return -(-a // b)


def encode(recipe, seed):
    """A sequential Huffman JPEG of a seeded picture."""
    components = recipe.components
    h_max, v_max = max(c.h for c in components), max(c.v for c in components)
    mcus = ceil(recipe.width, 8 * h_max), ceil(recipe.height, 8 * v_max)
    steps = [np.array([min(255, recipe.quality * (1 + t + i // 3)) for i in range(64)]) for t in range(2)]  # zigzag
    blocks = []
    for c, plane in zip(components, planes(recipe, mcus, seed)):
        rows, columns = plane.shape[0] // 8, plane.shape[1] // 8
        tiles = plane.reshape(rows, 8, columns, 8).swapaxes(1, 2) - 128.0
        spectrum = (COSINES @ tiles @ COSINES.T).reshape(rows, columns, 64)[..., ZIGZAG]
        blocks.append(np.clip(np.rint(spectrum / steps[c.table]), -1023, 1023).astype(int))
    out = bytearray(b"\xff\xd8")
    if recipe.jfif:
        out += segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0")
    if recipe.adobe is not None:
        out += segment(0xEE, b"Adobe\0d\0\0\0\0" + bytes([recipe.adobe]))
    out += recipe.extra.get("dqt", b"")
    for t in sorted({c.table for c in components}):
        if recipe.wide_quantisation:
            out += segment(0xDB, bytes([0x10 | t]) + steps[t].astype(">u2").tobytes())
        else:
            out += segment(0xDB, bytes([t]) + bytes(steps[t].tolist()))
    out += recipe.extra.get("sof", b"")
    height = 0 if "dnl" in recipe.extra else recipe.height
    frame = struct.pack(">BHHB", 8, height, recipe.width, len(components))
    out += segment(recipe.sof, frame + b"".join(bytes([c.id, c.h << 4 | c.v, c.table]) for c in components))
    if recipe.huffman_tables:
        for t in sorted({c.table for c in components}):
            out += segment(0xC4, bytes([t, *DC_COUNTS[t], *DC_VALUES]))
            out += segment(0xC4, bytes([0x10 | t, *AC_COUNTS[t]]) + AC_VALUES[t])
    if recipe.restart:
        out += segment(0xDD, struct.pack(">H", recipe.restart))
    for n, scan in enumerate(recipe.scans):
        out += recipe.extra.get("sos", b"")
        chosen = b"".join(bytes([components[i].id, components[i].table * 0x11]) for i in scan)
        out += segment(0xDA, bytes([len(scan)]) + chosen + b"\0\x3f\0")
        out += entropy_coded(recipe, scan, blocks, mcus, (h_max, v_max))
        if n == 0 and "dnl" in recipe.extra:
            out += segment(0xDC, struct.pack(">H", recipe.height))
    return bytes(out + recipe.extra.get("end", b"\xff\xd9"))


def entropy_coded(recipe, scan, blocks, mcus, maximum):
    """The data of a scan, with restart markers."""
    components = recipe.components
    if len(scan) == 1:
        c = components[scan[0]]
        columns = ceil(ceil(recipe.width * c.h, maximum[0]), 8)
        rows = ceil(ceil(recipe.height * c.v, maximum[1]), 8)
        units = [[(scan[0], y, x)] for y in range(rows) for x in range(columns)]
    else:
        units = [
            [
                (i, my * components[i].v + y, mx * components[i].h + x)
                for i in scan
                for y in range(components[i].v)
                for x in range(components[i].h)
            ]
            for my in range(mcus[1])
            for mx in range(mcus[0])
        ]
    bits, previous = Bits(), collections.Counter()
    for n, unit in enumerate(units):
        if recipe.restart and n and n % recipe.restart == 0:
            bits.align()
            bits.out += bytes([0xFF, 0xD0 + (n // recipe.restart - 1) % 8])
            previous.clear()
        for i, y, x in unit:
            previous[i] = put_block(bits, blocks[i][y, x], previous[i], components[i].table)
    bits.align()
    return bytes(bits.out)


def planes(recipe, mcus, seed):
    """A seeded plane a component, as large as its blocks: smooth, with hard edges and noise."""
    rng = np.random.default_rng(seed)
    for n, c in enumerate(recipe.components):
        y, x = np.mgrid[: mcus[1] * c.v * 8, : mcus[0] * c.h * 8]
        smooth = 128 + 100 * np.sin(x / (4 + n) + seed % 7) * np.cos(y / (6 - n) - n)
        edges = np.where((x // 11 + y // 9 + n) % 4 == 0, 255.0 * ((x // 11) % 2), smooth)
        yield np.clip(edges + rng.normal(0, 5, edges.shape), 0, 255)


# ---- kinds of files

SAMPLINGS = [
    [(1, 1), (1, 1), (1, 1)],
    [(2, 1), (1, 1), (1, 1)],
    [(2, 2), (1, 1), (1, 1)],
    [(1, 2), (1, 1), (1, 1)],
    [(4, 1), (1, 1), (1, 1)],
    [(4, 2), (1, 1), (1, 1)],
    [(1, 4), (1, 1), (1, 1)],
    [(2, 4), (1, 1), (1, 1)],
    [(3, 1), (1, 1), (1, 1)],
    [(3, 2), (1, 1), (1, 1)],
    [(1, 3), (1, 1), (1, 1)],
    [(2, 2), (2, 1), (2, 1)],
    [(2, 2), (1, 2), (1, 2)],
    [(2, 2), (2, 1), (1, 2)],
    [(2, 2), (1, 1), (2, 2)],
    [(4, 2), (2, 2), (1, 1)],
    [(1, 1), (2, 2), (1, 1)],  # chroma finer than luma
    [(1, 1), (2, 1), (2, 1)],
    [(1, 2), (2, 2), (2, 2)],
    [(2, 2), (2, 2), (2, 2)],  # no finer than 1x1
    [(3, 1), (2, 1), (1, 1)],  # no whole ratio: libjpeg refuses
    [(2, 3), (1, 2), (1, 1)],
]
SIZES = [(1, 1), (2, 3), (7, 5), (8, 8), (9, 16), (17, 33), (23, 19), (40, 31), (64, 48), (3, 70), (97, 6), (5, 5), (33, 34)]
ORDERS = [[[0, 1, 2]], [[0], [1], [2]], [[0, 1], [2]], [[0], [1, 2]], [[2], [1], [0]], [[1, 2], [0]], [[1], [0, 2]], [[2, 0, 1]]]


def fits(components, scans):
    return all(len(scan) == 1 or sum(components[i].h * components[i].v for i in scan) <= 10 for scan in scans)


def sequential(rng):
    """Samplings x scan orders x restart intervals x sizes."""
    for sampling in SAMPLINGS:
        for order in ORDERS[:7]:
            for restart in (0, rng.choice([1, 2, 3, 5, 7])):
                size = rng.choice(SIZES)
                components = [Component(i + 1, h, v, min(i, 1)) for i, (h, v) in enumerate(sampling)]
                if fits(components, order):
                    name = "seq_%s_%s_r%d_%dx%d" % (text(sampling), scans_text(order), restart, *size)
                    yield name, Recipe(*size, components, order, restart)


def other_colours(rng):
    """Grey, RGB, CMYK and YCCK, with every marker that says or contradicts it."""
    for h, v in [(1, 1), (2, 2), (3, 2), (4, 4)]:
        for restart in (0, 2):
            size = rng.choice(SIZES)
            yield f"grey_{h}x{v}_r{restart}_{size[0]}x{size[1]}", Recipe(*size, [Component(1, h, v, 0)], [[0]], restart)
    ids = {"123": (1, 2, 3), "RGB": (82, 71, 66), "012": (0, 1, 2), "other": (10, 200, 33)}
    for key, three in ids.items():
        for jfif in (False, True):
            for adobe in (None, 0, 1, 2):
                size = rng.choice(SIZES)
                sampling = rng.choice(SAMPLINGS[:4])
                components = [Component(id, *hv, min(i, 1)) for i, (id, hv) in enumerate(zip(three, sampling))]
                name = f"colour_{key}_{'jfif' if jfif else 'plain'}_adobe{adobe}_{text(sampling)}"
                yield name, Recipe(*size, components, rng.choice(ORDERS[:3]), rng.choice([0, 3]), jfif=jfif, adobe=adobe)
    four = [[(1, 1)] * 4, [(2, 2), (1, 1), (1, 1), (2, 2)], [(2, 1), (1, 1), (1, 1), (2, 1)], [(1, 2), (1, 1), (1, 1), (1, 1)]]
    orders = [[[0, 1, 2, 3]], [[0], [1], [2], [3]], [[0, 3], [1, 2]], [[3], [0, 1, 2]]]
    for sampling in four:
        for order in orders:
            for adobe in (None, 0, 2, 1):
                size = rng.choice(SIZES)
                components = [Component(i + 1, h, v, i % 2) for i, (h, v) in enumerate(sampling)]
                if fits(components, order):
                    name = f"four_{text(sampling)}_{scans_text(order)}_adobe{adobe}_{size[0]}x{size[1]}"
                    yield name, Recipe(*size, components, order, rng.choice([0, 0, 2]), jfif=False, adobe=adobe)
    two = [Component(1, 1, 1, 0), Component(2, 1, 1, 1)]
    yield "two_components", Recipe(16, 16, two, [[0, 1]])


def markers(rng):
    """What stands around the data: valid oddities, and damage that libjpeg overlooks."""
    three = lambda: [Component(1, 2, 2, 0), Component(2, 1, 1, 1), Component(3, 1, 1, 1)]
    noise = bytes(rng.randrange(255) for _ in range(300))
    cases = {
        "plain": {},
        "no_end": {"end": b""},
        "no_end_trailer": {"end": noise},
        "trailer": {"end": b"\xff\xd9" + noise},
        "second_picture": {"end": b"\xff\xd9\xff\xd8" + noise},
        "trailer_zeros": {"end": bytes(500)},
        "fill": {"sof": b"\xff" * 5, "sos": b"\xff" * 3},
        "comment": {"dqt": segment(0xFE, b"hello"), "sos": segment(0xFE, b"there")},
        "application": {"sof": segment(0xE5, b"\xff\xd9\xff\xda" * 3), "sos": segment(0xEC, b"\xff\xd8")},
        "reserved": {"sof": segment(0xF0, b"\1\2\3")},
        "junk": {"sof": b"\1\2\3"},
        "junk_before_scan": {"sos": b"\0\0\0\0"},
        "dnl": {"dnl": True},
        "end_fill": {"end": b"\xff\xff\xff\xd9"},
    }
    for key, extra in cases.items():
        for order in ORDERS[:2]:
            for restart in (0, 3):
                yield f"markers_{key}_{scans_text(order)}_r{restart}", Recipe(33, 27, three(), order, restart, extra=extra)
    for order in ORDERS[:2]:
        tag = scans_text(order)
        yield f"webcam_{tag}", Recipe(48, 33, three(), order, huffman_tables=False, jfif=False)
        yield f"wide_quantisation_{tag}", Recipe(48, 33, three(), order, wide_quantisation=True, sof=0xC1)
        yield f"extended_{tag}", Recipe(48, 33, three(), order, sof=0xC1)
        for step in (1, 60, 255):
            yield f"step{step}_{tag}", Recipe(48, 33, three(), order, quality=step)
    for sof in (0xC3, 0xC5, 0xC6, 0xC7, 0xC8, 0xCB, 0xCD, 0xCE, 0xCF):
        yield f"sof_{sof:x}", Recipe(24, 24, three(), ORDERS[0], sof=sof)


def text(sampling):
    return "-".join(f"{h}{v}" for h, v in sampling)


def scans_text(order):
    return "+".join("".join(map(str, scan)) for scan in order)


# ---- transcoded by libjpeg-turbo: progressive, arithmetic, optimised


def progressive_script(rng, components, complete=True):
    """A random legal order of progressive scans."""
    n = len(components)
    low = rng.choice([0, 0, 1, 2])
    together = fits(components, [list(range(n))]) and rng.random() < 0.6
    groups = [list(range(n))] if together else rng.sample([[i] for i in range(n)], n)
    scans = [(group, 0, 0, 0, low) for group in groups]
    later = [[(group, 0, 0, bit + 1, bit)] for bit in reversed(range(low)) for group in groups]
    for i in range(n):
        edges = sorted(rng.sample(range(2, 64), rng.choice([0, 1, 2, 3])))
        for first, last in zip([1, *edges], [*(e - 1 for e in edges), 63]):
            high = rng.choice([0, 0, 1, 2])
            later.append([([i], first, last, 0, high)] + [([i], first, last, bit + 1, bit) for bit in reversed(range(high))])
    # Keeps the order within each list; DC refinements are lists of one and must keep theirs too.
    refinements = [entry for entry in later if entry[0][1] == 0]
    chains = [entry for entry in later if entry[0][1] != 0]
    if refinements:
        chains.append([scan for entry in refinements for scan in entry])
    while any(chains):
        chain = rng.choice([chain for chain in chains if chain])
        scans.append(chain.pop(0))
    if not complete:
        keep = rng.randrange(len(groups), len(scans)) if len(scans) > len(groups) else len(scans)
        scans = scans[:keep]
    return "".join("%s: %d %d %d %d;\n" % (" ".join(map(str, g)), s, e, h, l) for g, s, e, h, l in scans)


def transcode(folder, data, *options, script=None):
    if script:
        (folder / "script").write_text(script)
        options = (*options, "-scans", str(folder / "script"))
    done = subprocess.run(["jpegtran", *options], input=data, capture_output=True)
    return done.stdout if done.returncode == 0 else None


def transcoded(rng, folder):
    colours = [([Component(i + 1, h, v, min(i, 1)) for i, (h, v) in enumerate(s)], {}) for s in SAMPLINGS[:19]]
    colours.append(([Component(1, 1, 1, 0)], {}))
    for adobe in (0, 2):
        four = [Component(i + 1, *hv, i % 2) for i, hv in enumerate([(2, 2), (1, 1), (1, 1), (2, 2)])]
        colours.append((four, {"jfif": False, "adobe": adobe}))
        colours.append(([Component(i + 1, 1, 1, i % 2) for i in range(4)], {"jfif": False, "adobe": adobe}))
    for n, (components, options) in enumerate(colours):
        for k in range(16):
            size = rng.choice(SIZES)
            scans = [[i] for i in range(len(components))]
            data = encode(Recipe(*size, components, scans, **options), SEED + 100 * n + k)
            restart = rng.choice([(), (), ("-restart", f"{rng.choice([1, 2, 5])}B"), ("-restart", "1")])
            tag = "-".join(f"{c.h}{c.v}" for c in components) + f"_{'_'.join(map(str, options.values()))}_{size[0]}x{size[1]}_{k}"
            kind, switches, script = {
                0: ("simple", ("-progressive",), None),
                1: ("arithmetic", ("-arithmetic",), None),
                2: ("arithmetic_progressive", ("-arithmetic", "-progressive"), None),
                3: ("optimised", ("-optimize",), None),
                4: ("incomplete", ("-progressive",), progressive_script(rng, components, complete=False)),
                5: ("incomplete", ("-progressive",), progressive_script(rng, components, complete=False)),
            }.get(k, ("script", ("-progressive",), progressive_script(rng, components)))
            result = transcode(folder, data, *switches, *restart, script=script)
            if result:
                yield f"{kind}_{tag}_{''.join(restart)}", result


def photographs(rng, folder):
    """As people's programs write them: by Pillow and by `cjpeg`, of a picture with RGB's correlations."""
    for n in range(160):
        width, height = rng.choice([*SIZES, (120, 90), (63, 130)])
        y, x = np.mgrid[:height, :width]
        waves = [np.sin(x / rng.uniform(3, 20) + rng.uniform(0, 6)) * np.cos(y / rng.uniform(3, 20)) for _ in range(3)]
        noise = np.random.default_rng(n).normal(0, 8, (height, width, 3))
        rgb = np.clip(128 + 60 * np.dstack(waves) + 50 * waves[0][..., None] + noise, 0, 255).astype(np.uint8)
        path = folder / "source.ppm"
        Image.fromarray(rgb).save(path)
        if n % 4 == 0:
            image = Image.fromarray(rgb)
            mode = rng.choice(["RGB", "RGB", "L", "CMYK"])
            out = folder / "source.jpg"
            options = {"progressive": rng.random() < 0.5, "optimize": rng.random() < 0.5}
            image.convert(mode).save(out, quality=rng.choice([5, 30, 75, 95, 100]), subsampling=rng.choice([0, 1, 2]), **options)
            yield f"pillow_{mode}_{n}", out.read_bytes()
            continue
        sample = rng.choice(["1x1", "2x1", "2x2", "1x2", "4x1", "4x2", "1x4", "2x2,2x1,1x1", "2x2,1x2,1x2"])
        switches = ["-quality", str(rng.choice([5, 30, 75, 95, 100])), "-sample", sample]
        switches += rng.choice([[], ["-progressive"], ["-optimize"], ["-baseline"], ["-arithmetic"]])
        switches += rng.choice([[], ["-restart", "1"], ["-restart", "2B"]])
        switches += rng.choice([[], [], ["-rgb"], ["-grayscale"]])
        done = subprocess.run(["cjpeg", *switches, str(path)], capture_output=True)
        if done.returncode == 0:
            yield f"cjpeg_{n}_{'_'.join(s.strip('-') for s in switches)}", done.stdout


# ---- the folder, and the comparison


def write(folder):
    folder.mkdir(parents=True, exist_ok=True)
    rng = random.Random(SEED)
    count = 0
    for maker in (sequential, other_colours, markers):
        for seed, (name, recipe) in enumerate(maker(rng)):
            (folder / f"{name}.jpg").write_bytes(encode(recipe, seed))
            count += 1
    for maker in (transcoded, photographs):
        for name, data in maker(rng, folder):
            (folder / f"{name}.jpg").write_bytes(data)
            count += 1
    for scratch in ("script", "source.ppm", "source.jpg"):
        (folder / scratch).unlink(missing_ok=True)
    print(f"{count} files in {folder}")


def pillow(path):
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB")).astype(int)
    except Exception as error:
        return str(error)


def verdict_on(expected, path):
    """What came of one file, and by how much its pixels differ from Pillow's on average."""
    result, refusal = path.with_suffix(".ppm"), path.with_suffix(".txt")
    readable = not isinstance(expected, str)
    if not result.exists():
        kind = "unsupported" if "is not supported" in refusal.read_text() else "damaged"
        if readable:
            # A file that Pillow reads is sound, whatever else it is.
            return ("unsupported, Pillow reads it" if kind == "unsupported" else "WRONGLY damaged"), 0
        return f"{kind}, Pillow refuses it", 0
    if not readable:
        return "read, Pillow refuses it", 0
    found = np.asarray(Image.open(result).convert("RGB")).astype(int)
    if found.shape != expected.shape:
        return "WRONG shape", 0
    difference = np.abs(found - expected)
    return ("WRONG" if difference.any() else "equal"), difference.mean()


def compare(folder, verbose):
    tally = collections.defaultdict(collections.Counter)
    for path in sorted(folder.glob("*.jpg")):
        expected = pillow(path)
        verdict, mean = verdict_on(expected, path)
        tally[path.name.split("_")[0]][verdict] += 1
        tally["all"][verdict] += 1
        if verbose and verdict != "equal":
            refusal = path.with_suffix(".txt")
            said = refusal.read_text() if refusal.exists() else ""
            print(f"{path.name}: {verdict} ({mean:.2f} off) {said} {expected if isinstance(expected, str) else ''}")
    for kind, counts in tally.items():
        print(f"{kind:>12}: " + ", ".join(f"{count} {verdict}" for verdict, count in sorted(counts.items())))
    return not any("WRONG" in verdict for verdict in tally["all"])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--compare", action="store_true", help="count right, refused and wrong results instead of writing")
    parser.add_argument("--verbose", action="store_true", help="also name each file whose result is not Pillow's")
    arguments = parser.parse_args()
    if not arguments.compare:
        write(arguments.folder)
    elif not compare(arguments.folder, arguments.verbose):
        sys.exit(1)


if __name__ == "__main__":
    main()
