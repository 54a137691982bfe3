"""Makes crates/image/tests/data/: small PNG and JPEG files, and what Pillow and torchvision make of them.

    python tools/pillow_goldens.py crates/image/tests/data

Needs numpy, safetensors, torch, torchvision and Pillow (written with Pillow 13.0.0 and torchvision 0.29.2; before
version 13 Pillow resized images more than twice as high as wide in another order, which changes their rounding).
Every tensor of expected.safetensors is named `source|interpolation|resize|size|channels`: U8 [size, size, channels]
after the crop, or F32 [channels, size, size] after ImageNet's normalisation. A source is a file, or `pattern-WxHxC`,
which the Rust test paints itself from the formula of `pattern`. Pictures in the folder that this script does not write
are sources, too: once read wrongly, by this decoder or another.
"""

import argparse
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps
from safetensors.numpy import save_file
from torchvision import transforms
from torchvision.transforms import InterpolationMode

FILTERS = {
    "bicubic": InterpolationMode.BICUBIC,
    "bilinear": InterpolationMode.BILINEAR,
    "nearest": InterpolationMode.NEAREST,
}
IMAGENET = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
GREY, RGB, PALETTE, GREY_ALPHA, RGB_ALPHA = 0, 2, 3, 4, 6
ADAM7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]


def picture(width, height, channels, seed):
    """8-bit [height, width, channels]: a gradient, saturated blocks for the filters to overshoot at, and noise."""
    rng = np.random.default_rng(seed)
    y, x, c = np.mgrid[:height, :width, :channels]
    smooth = 128 + 90 * np.sin(x / 5 + c) * np.cos(y / 7 - c)
    blocks = np.where((x // 9 + y // 7 + c) % 3 == 0, 255.0, np.where((x // 9 + y // 7) % 3 == 1, 0.0, smooth))
    return np.clip(blocks + rng.normal(0, 6, blocks.shape), 0, 255).astype(np.uint8)


def pattern(width, height, channels):
    y, x, c = np.mgrid[:height, :width, :channels]
    return ((3 * x * x + 5 * y * y + x * y // 7 + 31 * c * x) % 256).astype(np.uint8)


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(samples, colour, depth, before=(), behind=(), interlaced=False):
    """A PNG of [height, width, samples per pixel], with extra chunks before and behind the pixels."""
    height, width, _ = samples.shape

    def rows(part):
        lines = part.reshape(part.shape[0], -1)
        if depth == 16:
            packed = [line.astype(">u2").tobytes() for line in lines]
        else:
            bits = np.unpackbits(lines.astype(np.uint8)[..., None], axis=2)[..., 8 - depth :]
            packed = [np.packbits(line).tobytes() for line in bits.reshape(len(lines), -1)]
        return b"".join(b"\0" + line for line in packed)

    if interlaced:
        parts = [samples[y::dy, x::dx] for x, y, dx, dy in ADAM7]
        data = b"".join(rows(part) for part in parts if part.size)
    else:
        data = rows(samples)
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, int(interlaced))
    chunks = [(b"IHDR", header), *before, (b"IDAT", zlib.compress(data, 9)), *behind, (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*each) for each in chunks)


def exif(orientation):
    """A TIFF header and one entry: the orientation."""
    return b"MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)


def write_pngs(folder):
    grey, rgb = picture(61, 43, 1, 1), picture(61, 43, 3, 2)
    alpha = picture(61, 43, 1, 3)
    low = np.random.default_rng(4).integers(0, 256, rgb.shape).astype(np.uint16)
    grey16, rgb16, alpha16 = ((a.astype(np.uint16) << 8) + low[..., :1] for a in (grey, rgb, alpha))
    colours = np.random.default_rng(5).integers(0, 256, (256, 3), dtype=np.uint8)
    palette = [(b"PLTE", colours.tobytes())]
    small = picture(23, 17, 3, 6)
    files = {
        "grey1.png": png(grey >> 7, GREY, 1),
        "grey2.png": png(grey >> 6, GREY, 2),
        "grey4.png": png(grey >> 4, GREY, 4),
        "grey8.png": png(grey, GREY, 8),
        "grey16.png": png(grey16, GREY, 16),
        "grey8_alpha.png": png(np.dstack([grey, alpha]), GREY_ALPHA, 8),
        "grey16_alpha.png": png(np.dstack([grey16, alpha16]), GREY_ALPHA, 16),
        "grey8_transparent.png": png(grey, GREY, 8, before=[(b"tRNS", b"\0\0")]),
        "palette1.png": png(grey >> 7, PALETTE, 1, before=[(b"PLTE", b"\xff\x20\x00\x00\x40\xff")]),
        "palette4.png": png(grey >> 4, PALETTE, 4, before=[(b"PLTE", colours[:16].tobytes())]),
        "palette8.png": png(grey, PALETTE, 8, before=palette),
        "palette8_transparent.png": png(grey, PALETTE, 8, before=[*palette, (b"tRNS", bytes(range(200)))]),
        "rgb8.png": png(rgb, RGB, 8),
        "rgb16.png": png(rgb16, RGB, 16),
        "rgb8_alpha.png": png(np.dstack([rgb, alpha]), RGB_ALPHA, 8),
        "rgb16_alpha.png": png(np.dstack([rgb16, alpha16]), RGB_ALPHA, 16),
        "rgb8_interlaced.png": png(rgb, RGB, 8, interlaced=True),
        "rgb8_sideways.png": png(small, RGB, 8, before=[(b"eXIf", exif(6))]),
        "rgb8_sideways_late.png": png(small, RGB, 8, behind=[(b"eXIf", exif(8))]),
        "tall.png": png(picture(13, 90, 3, 7), RGB, 8),
        "line.png": png(picture(1, 40, 1, 8), GREY, 8),
        "dot.png": png(picture(1, 1, 3, 9), RGB, 8),
    }
    for name, data in files.items():
        (folder / name).write_bytes(data)
    frames = [Image.fromarray(picture(23, 17, 3, seed)) for seed in (10, 11)]
    frames[0].save(folder / "animated.png", save_all=True, append_images=frames[1:])


def write_jpegs(folder):
    rgb = Image.fromarray(picture(61, 43, 3, 12))
    rgb.convert("L").save(folder / "grey.jpg", quality=90)
    rgb.save(folder / "colour444.jpg", quality=90, subsampling=0)
    rgb.save(folder / "colour420.jpg", quality=90, subsampling=2)
    rgb.save(folder / "progressive.jpg", quality=90, progressive=True)
    rgb.save(folder / "rgb.jpg", quality=90, keep_rgb=True)
    rgb.convert("CMYK").save(folder / "cmyk.jpg", quality=90)
    small = Image.fromarray(picture(23, 17, 3, 13))
    for orientation in range(1, 9):
        tags = small.getexif()
        tags[0x0112] = orientation
        small.save(folder / f"orientation{orientation}.jpg", quality=95, subsampling=0, exif=tags)


def opened(folder, source, channels):
    """What a careful Pillow user feeds to the transforms."""
    if source.startswith("pattern-"):
        image = Image.fromarray(np.squeeze(pattern(*map(int, source[8:].split("x")))))
    else:
        image = ImageOps.exif_transpose(Image.open(folder / source))
    if image.mode == "I;16":
        # Pillow would clip to 255 here; it takes the upper byte of every other 16-bit image, and so do we.
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    return image.convert("RGB" if channels == 3 else "L")


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    write_pngs(folder)
    write_jpegs(folder)
    expected = {}

    def expect(source, interpolation, resize, size, channels, normalise=False):
        steps = [transforms.Resize(resize, FILTERS[interpolation]), transforms.CenterCrop(size)]
        image = transforms.Compose(steps)(opened(folder, source, channels))
        if normalise:
            result = transforms.Compose([transforms.ToTensor(), transforms.Normalize(*IMAGENET)])(image).numpy()
        else:
            result = np.asarray(image).reshape(size, size, channels)
        expected[f"{source}|{interpolation}|{resize}|{size}|{channels}"] = np.ascontiguousarray(result)

    files = sorted(path.name for path in folder.iterdir() if path.suffix in (".png", ".jpg"))
    for source in files:
        # Not resized: the colours alone; of the small images everything, so that no orientation passes for another.
        size = opened(folder, source, 3).size
        side = 24 if max(size) < 24 else 16
        for channels in (1, 3):
            expect(source, "bicubic", min(size), side, channels)
    for interpolation in FILTERS:
        for resize, size in [(7, 11), (13, 12), (29, 24), (42, 17), (44, 22), (97, 16)]:
            expect("rgb8.png", interpolation, resize, size, 3)
        for source in ("tall.png", "line.png", "dot.png"):
            expect(source, interpolation, 9, 12, 3)
        for size in (31, 20, 56):
            expect("pattern-28x28x1", interpolation, size, size, 1)
        for source, resize, size in [
            ("pattern-640x427x3", 64, 28),
            ("pattern-427x640x3", 129, 23),
            ("pattern-1000x777x1", 248, 32),
            ("pattern-3000x33x1", 21, 30),
            ("pattern-33x3000x1", 21, 30),
        ]:
            expect(source, interpolation, resize, size, int(source[-1]))
    expect("rgb8.png", "bicubic", 31, 18, 3, normalise=True)
    expect("grey8_alpha.png", "bilinear", 15, 18, 3, normalise=True)
    save_file(expected, folder / "expected.safetensors")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the files go")
    main(parser.parse_args().folder)
