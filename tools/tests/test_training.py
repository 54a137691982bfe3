import json

import numpy as np
import pytest
import torch

import fashion_mnist
import train


@pytest.fixture
def idx(tmp_path):
    """A tiny labelled set in the layout of Fashion-MNIST."""
    random = np.random.default_rng(0)
    for stem, n in (("train", 64), ("t10k", 32)):
        fashion_mnist.write_idx(tmp_path / f"{stem}-images-idx3-ubyte", random.integers(0, 256, (n, 28, 28), np.uint8))
        fashion_mnist.write_idx(tmp_path / f"{stem}-labels-idx1-ubyte", random.integers(0, 10, n, np.uint8))
    return tmp_path


def options(idx, out, *more):
    small = "--dim 8 --depth 2 --heads 2 --patch 7 --batch 16 --epochs 3 --shuffle --rescale learned --ema 0.9 --erase 0.5"
    return train.parse_args([str(idx), str(idx / out), *small.split(), *more])


def test_idx_round_trip(idx):
    data = fashion_mnist.load(idx)
    assert data["train"][0].shape == (64, 28, 28)
    assert data["test"][1].shape == (32,)


def test_npm_split(tmp_path):
    """Empty records are dropped; the first 1,000 images of each class are the test set; classes take turns."""
    for label in range(10):
        records = [[label] * 2 + [0] * 780 + list(divmod(i, 250)) for i in range(7000)]
        if label == 0:
            records = records[:1000] + [[]] + records[1000:] + [[]]
        (tmp_path / f"{label}.json").write_text(json.dumps({"data": records}))
    images, labels = fashion_mnist.load(tmp_path)["test"]
    assert images.shape == (10_000, 28, 28)
    assert np.array_equal(images[:, 0, 0], labels)
    assert np.array_equal(labels[:12], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1])
    number = images[:, 27, 26].astype(int) * 250 + images[:, 27, 27]
    assert np.array_equal(number, np.arange(10_000) // 10)


def test_resuming_changes_nothing(idx):
    whole = train.train(options(idx, "whole"))
    train.train(options(idx, "cut", "--stop-after", "1"))
    resumed = train.train(options(idx, "cut", "--resume"))
    without_times = [[line | {"seconds": 0} for line in log] for log in (whole, resumed)]
    assert without_times[0] == without_times[1]
    assert (idx / "whole/model.safetensors").read_bytes() == (idx / "cut/model.safetensors").read_bytes()


def test_resuming_another_recipe_is_refused(idx):
    train.train(options(idx, "run", "--stop-after", "1"))
    with pytest.raises(SystemExit, match="another recipe"):
        train.train(options(idx, "run", "--resume", "--lr", "0.5"))


def test_augmentation_keeps_pixels():
    """Flips and shifts only move pixels, and fill with black."""
    args = train.parse_args(["data", "out"])
    images = torch.zeros(64, 28, 28, dtype=torch.uint8)
    images[:, 10, 5] = 9
    moved = train.augment(images, args, torch.Generator().manual_seed(0))
    assert torch.equal(moved.sum((1, 2)), images.sum((1, 2)))
    where = moved.nonzero()[:, 1:]
    assert where[:, 0].min() >= 8 and where[:, 0].max() <= 12
    assert set(where[:, 1].tolist()) <= set(range(3, 8)) | set(range(20, 25))
