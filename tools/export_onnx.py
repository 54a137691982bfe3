"""Writes models as the rivals of `benches/peers` read them: NAME.onnx, and the same seeded weights as NAME.safetensors.

python tools/export_onnx.py deit_tiny shuffle_deit_tiny
"""

import argparse
import warnings
from pathlib import Path

import torch

import shuffle_vit
from goldens import randomise

FOLDER = Path(__file__).resolve().parent.parent / "target/peers"


def seeded(name):
    """A built-in model with the same weights each time."""
    model = shuffle_vit.build(shuffle_vit.named(name)).eval()
    randomise(model, torch.Generator().manual_seed(7))
    return model


def write_onnx(model, path, batch=1):
    """The batch becomes part of the graph, as all sizes do: what the tracer warns of is meant."""
    size, channels = model.config["image_size"], model.config["in_channels"]
    image = torch.zeros(batch, channels, size, size)
    warnings.simplefilter("ignore", torch.jit.TracerWarning)
    torch.onnx.export(model, (image,), path, dynamo=False, opset_version=17, input_names=["image"])


def export(name, folder):
    """The model, whose weights the files hold."""
    model = seeded(name)
    shuffle_vit.save(folder / f"{name}.safetensors", model.state_dict(), model.config)
    write_onnx(model, folder / f"{name}.onnx")
    return model


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    for name in args.models:
        export(name, args.folder)
        print(args.folder / f"{name}.onnx")


if __name__ == "__main__":
    main()
