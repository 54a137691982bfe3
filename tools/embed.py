"""Puts a trained run into the program: the F16 checkpoint that is embedded, the samples, and the subset that tests use.

All predictions are those of the F16 weights, computed in F32. Writes, below the repository's root:

    crates/cli/model/fashion_mnist.safetensors           the embedded model
    crates/cli/tests/data/fashion_mnist_500.safetensors  images, labels and predictions of the first 500 test images
    samples/*.png                                        of each class the first test image that is classified correctly
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import fashion_mnist
import shuffle_vit
from shuffle_vit.checkpoint import write_tensors
from train import predict

ROOT = Path(__file__).resolve().parent.parent
MODEL = ROOT / "crates/cli/model/fashion_mnist.safetensors"
SUBSET = ROOT / "crates/cli/tests/data/fashion_mnist_500.safetensors"
SAMPLES = ROOT / "samples"
LIMIT = 1_000_000


def embed(run):
    """Writes the run's weights as F16 and returns the model that reads them back."""
    shuffle_vit.save(MODEL, *shuffle_vit.load(run / "model.safetensors"), dtype=torch.float16)
    size = MODEL.stat().st_size
    if size > LIMIT:
        raise SystemExit(f"{MODEL} has {size} bytes, more than {LIMIT}: train a smaller model")
    tensors, config = shuffle_vit.load(MODEL)
    model = shuffle_vit.PlainViT(config)
    model.load_state_dict(tensors)
    print(f"{MODEL.relative_to(ROOT)}: {size} bytes, {shuffle_vit.parameters(model)} parameters, {shuffle_vit.macs(config)} MACs")
    return model


def write_samples(images, labels, predictions):
    SAMPLES.mkdir(exist_ok=True)
    for label, name in enumerate(fashion_mnist.LABELS):
        index = np.flatnonzero((labels == label) & (predictions == label))[0]
        file = name.lower().replace("/top", "").replace(" ", "-") + ".png"
        Image.fromarray(images[index]).save(SAMPLES / file, optimize=True)
        print(f"samples/{file}: test image {index}")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example: python tools/embed.py package runs/embedded --predictions predictions.npy",
    )  # fmt: skip
    parser.add_argument("data", help="as for train.py")
    parser.add_argument("run", type=Path, help="folder of the run")
    parser.add_argument("--predictions", type=Path, help="also write the predicted classes of all test images, u8 .npy")
    parser.add_argument("--logits", type=Path, help="also write the logits of all test images, f32 .npy")
    args = parser.parse_args()
    torch.set_num_threads(1)
    images, labels = fashion_mnist.load(args.data)["test"]
    logits = predict(embed(args.run), torch.tensor(images))
    predictions = logits.argmax(1).numpy().astype(np.uint8)
    right = predictions == labels
    print(f"test accuracy {right.mean():.4f} ({right.sum()} of {len(right)})")
    for label, name in enumerate(fashion_mnist.LABELS):
        print(f"  {name}: {right[labels == label].mean():.3f}")
    if args.predictions:
        np.save(args.predictions, predictions)
    if args.logits:
        np.save(args.logits, logits.numpy())
    subset = {"images": images, "labels": labels, "predictions": predictions}
    write_tensors(SUBSET, {name: torch.tensor(array[:500]) for name, array in subset.items()})
    write_samples(images, labels, predictions)


if __name__ == "__main__":
    main()
