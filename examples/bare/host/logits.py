"""Prints the logits that test.c expects: PyTorch's, in f64, for examples/sneaker.pgm and the program's own model.

PYTHONPATH=tools python examples/bare/host/logits.py, in an environment with tools/requirements.txt
"""

from pathlib import Path

import numpy as np
import torch
from PIL import Image

import shuffle_vit

ROOT = Path(__file__).resolve().parents[3]
MEAN, STD = 0.286, 0.353

tensors, config = shuffle_vit.load(ROOT / "crates/cli/model/fashion_mnist.safetensors")
model = shuffle_vit.PlainViT(config)
model.load_state_dict(tensors)
pixels = torch.from_numpy(np.array(Image.open(ROOT / "examples/sneaker.pgm"))).double()
with torch.no_grad():
    logits = model.double().eval()(((pixels / 255 - MEAN) / STD)[None, None])[0]
print(", ".join(f"{value:.9g}f" for value in logits.tolist()))
