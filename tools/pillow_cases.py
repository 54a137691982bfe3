"""Makes crates/image/tests/data/kinds/: small files of each kind that decoders get wrong, and what Pillow makes of them.

    python tools/pillow_cases.py crates/image/tests/data/kinds

Needs numpy, Pillow (13.0.0) and the programs `cjpeg` and `jpegtran` of libjpeg-turbo (Debian: libjpeg-turbo-progs). Every line
of `pillow.tsv` is a file's name, width, height and the CRC-32 of the pixels of `exif_transpose(Image.open(file)).convert("RGB")`,
or `unsupported` where the Rust decoder refuses a file of that kind, or `damaged` where the file ends too early for both.
"""

import argparse
import collections
import io
import random
import struct
import tempfile
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageFile, ImageOps

import jpeg_matrix
from jpeg_matrix import Component, Recipe, encode, segment

UNSUPPORTED = ("arithmetic", "incomplete", "sof_", "ratio_", "markers_dnl", "markers_reserved", "two_components")
# Complete in pixels, though Pillow reads them only if it is told to be lenient.
LENIENT = ("no_end_trailer", "trailer_zeros", "wrong_crc_of_text")

# ---- JPEG: one of each kind


def jpegs():
    """(name, bytes)."""
    rng = random.Random(7)
    for n, sampling in enumerate(jpeg_matrix.SAMPLINGS):
        components = [Component(i + 1, h, v, min(i, 1)) for i, (h, v) in enumerate(sampling)]
        scans = jpeg_matrix.ORDERS[1:7][n % 6]
        scans = scans if jpeg_matrix.fits(components, scans) else [[0], [1], [2]]
        kind = "ratio" if sampling in jpeg_matrix.SAMPLINGS[20:] else "scans"
        name = f"{kind}_{jpeg_matrix.text(sampling)}_{jpeg_matrix.scans_text(scans)}_restart{n % 3}"
        yield name, encode(Recipe(19, 21, components, scans, n % 3), n)
    for n, (name, recipe) in enumerate(jpeg_matrix.other_colours(rng)):
        if n % 5 == 0 or "jfif_adobe0" in name or name == "two_components":
            recipe.width, recipe.height = 13, 11
            yield name.rsplit("_", 1)[0] if name[-1].isdigit() and "x" in name[-5:] else name, encode(recipe, n)
    for n, (name, recipe) in enumerate(jpeg_matrix.markers(rng)):
        if not name.endswith("_r3") and "step" not in name:
            yield name, encode(recipe, n)
    counts = collections.Counter()
    with tempfile.TemporaryDirectory() as folder:
        for name, data in jpeg_matrix.transcoded(rng, Path(folder)):
            kind = name.split("_")[0]
            counts[kind] += 1
            if counts[kind] % 20 == 1 if kind == "script" else counts[kind] <= 2:
                yield f"{kind}{counts[kind]}", data


# ---- orientation, wherever it may be written


def tiff(value, kind=3, big=False, more=b""):
    """A TIFF file of one tag, the orientation; none if the value is None."""
    order = ">" if big else "<"
    head = (b"MM" if big else b"II") + struct.pack(order + "HI", 42, 8)
    if value is None:
        entry = struct.pack(order + "HHII", 0x0131, 2, 4, 0x00414243)
    elif kind == 5:
        entry = struct.pack(order + "HHII", 0x0112, 5, 1, 26)
        more = struct.pack(order + "II", value, 1)
    elif kind == 2:
        entry = struct.pack(order + "HHI4s", 0x0112, 2, 2, str(value).encode() + b"\0")
    else:
        packed = struct.pack(order + {1: "B3x", 3: "H2x", 4: "I", 9: "i"}[kind], value)
        entry = struct.pack(order + "HHI", 0x0112, kind, 1) + packed
    return head + struct.pack(order + "H", 1) + entry + bytes(4) + more


def xmp(value, element=False):
    body = f"<tiff:Orientation>{value}</tiff:Orientation>" if element else ""
    attribute = "" if element else f' tiff:Orientation="{value}"'
    text = (
        '<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF'
        ' xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""'
        f' xmlns:tiff="http://ns.adobe.com/tiff/1.0/"{attribute}>{body}</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    )
    return text.encode()


EXIF = b"Exif\0\0"
XMP = b"http://ns.adobe.com/xap/1.0/\0"


def jpeg_orientations():
    three = [Component(1, 2, 2, 0), Component(2, 1, 1, 1), Component(3, 1, 1, 1)]
    blocks = {
        "short": [EXIF + tiff(6)],
        "short_big": [EXIF + tiff(8, big=True)],
        "long": [EXIF + tiff(6, kind=4)],
        "byte": [EXIF + tiff(3, kind=1)],
        "signed_long": [EXIF + tiff(5, kind=9, big=True)],
        "rational": [EXIF + tiff(7, kind=5)],
        "text": [EXIF + tiff(6, kind=2)],
        "nine": [EXIF + tiff(9)],
        "none": [EXIF + tiff(None)],
        "prefix_twice": [EXIF + EXIF + tiff(6)],
        "xmp": [XMP + xmp(6)],
        "xmp_element": [XMP + xmp(2, element=True)],
        "xmp_beside_none": [EXIF + tiff(None), XMP + xmp(4)],
        "exif_before_xmp": [EXIF + tiff(3), XMP + xmp(6)],
        "second_says": [EXIF + tiff(None), EXIF + tiff(6)],
        "first_says": [EXIF + tiff(6), EXIF + tiff(None)],
        "two_say": [EXIF + tiff(6), EXIF + tiff(3)],
        "broken": [EXIF + b"II*\0\xff\xff\xff\xff"],
        "truncated": [EXIF + tiff(6)[:20]],
    }
    for name, contents in blocks.items():
        extra = {"dqt": b"".join(segment(0xE1, content) for content in contents)}
        yield f"turned_{name}", encode(Recipe(21, 13, three, [[0, 1, 2]], extra=extra), 3)


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(before=b"", behind=b"", end=True):
    rows = np.random.default_rng(1).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    data = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 7, 5, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + before + chunk(b"IDAT", data) + behind + (chunk(b"IEND", b"") if end else b"")


def raw_profile(data):
    return f"\nexif\n{len(data):8}\n".encode() + b"\n".join(
        data.hex().encode()[at : at + 72] for at in range(0, 2 * len(data), 72)
    ) + b"\n"


def wrong_crc(made):
    return made[:-1] + bytes([made[-1] ^ 1])


def pngs():
    itxt = b"XML:com.adobe.xmp\0\0\0\0\0" + xmp(6)
    packed = b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(xmp(8))
    yield "turned_exif", png(chunk(b"eXIf", tiff(6)))
    yield "turned_exif_prefix", png(chunk(b"eXIf", EXIF + tiff(6)))
    yield "turned_exif_behind", png(behind=chunk(b"eXIf", tiff(8)))
    yield "turned_xmp", png(chunk(b"iTXt", itxt))
    yield "turned_xmp_packed", png(chunk(b"iTXt", packed))
    profile = raw_profile(EXIF + tiff(6))
    yield "turned_raw_profile", png(chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(profile)))
    yield "turned_raw_profile_text", png(chunk(b"tEXt", b"Raw profile type exif\0" + profile))
    yield "without_end", png(end=False)
    yield "trailer", png() + b"more"
    yield "wrong_crc_of_text", png(wrong_crc(chunk(b"tEXt", b"Comment\0hello")))


# ---- WebP, as Pillow writes it


def webp(image, **options):
    file = io.BytesIO()
    image.save(file, "WEBP", **options)
    return file.getvalue()


def webps():
    y, x = np.mgrid[:23, :37]
    colours = np.dstack([128 + 100 * np.sin(x / 5 + k) * np.cos(y / 7 - k) for k in range(4)]).astype(np.uint8)
    rgb, rgba = Image.fromarray(colours[..., :3]), Image.fromarray(colours)
    yield "lossy", webp(rgb, quality=60)
    yield "lossless", webp(rgb, lossless=True)
    yield "lossy_alpha", webp(rgba, quality=80)
    yield "lossless_alpha", webp(rgba, lossless=True, exact=True)
    yield "animated", webp(rgb, lossless=True, save_all=True, append_images=[rgb.rotate(180)], duration=50)
    yield "turned_exif", webp(rgb, lossless=True, exif=EXIF + tiff(6))
    yield "turned_xmp", webp(rgb, lossless=True, xmp=xmp(8))


# ---- what Pillow makes of them


def expected(path):
    if path.stem.startswith(UNSUPPORTED):
        return "unsupported"
    ImageFile.LOAD_TRUNCATED_IMAGES = any(word in path.stem for word in LENIENT)
    try:
        with Image.open(path) as image:
            upright = ImageOps.exif_transpose(image).convert("RGB")
    except OSError:
        return "damaged"
    return f"{upright.width}\t{upright.height}\t{zlib.crc32(upright.tobytes()):08x}"


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    lines = []
    made = [(f"{name}.jpg", data) for name, data in [*jpegs(), *jpeg_orientations()]]
    made += [(f"{name}.png", data) for name, data in pngs()] + [(f"{name}.webp", data) for name, data in webps()]
    for name, data in made:
        assert not (folder / name).exists(), name
        (folder / name).write_bytes(data)
        lines.append(f"{name}\t{expected(folder / name)}\n")
    (folder / "pillow.tsv").write_text("".join(lines))
    print(f"{len(lines)} files, {sum(len(data) for _, data in made)} bytes in {folder}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the files go; what is in it is removed")
    main(parser.parse_args().folder)
