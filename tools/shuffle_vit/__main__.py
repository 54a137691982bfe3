"""Checkpoints for shuffle-vit out of PyTorch: `python -m shuffle_vit export --help`."""

import argparse
import difflib
import sys
import warnings
from pathlib import Path

import torch
from safetensors import SafetensorError

from . import add_channel_shuffle, build, export, named
from .convert import convert
from .exporting import DTYPES
from .registry import MODELS
from .trained import load_trained
from .transformers_models import open_model

EXAMPLES = """examples:
  python -m shuffle_vit export --timm deit_tiny_patch16_224 deit_tiny.safetensors
  python -m shuffle_vit export --timm swin_tiny_patch4_window7_224 --random --seed 7 --shuffle shuffled.safetensors
  python -m shuffle_vit export --timm vit_small_patch14_dinov2 --resize-positions 224 dinov2_small.safetensors
  python -m shuffle_vit export --transformers facebook/deit-tiny-patch16-224 deit_tiny.safetensors
  python -m shuffle_vit export --checkpoint 71.7_T2T_ViT_7.pth.tar --arch t2t_vit_7 --dtype f16 t2t_vit_7.safetensors
  python -m shuffle_vit export --checkpoint checkpoint.pth --arch shuffle_deit_tiny --ema --labels names.txt mine.safetensors

then:
  shuffle-vit classify photo.jpg --model deit_tiny.safetensors"""


class Failed(Exception):
    """What the user is told, without a traceback."""


def arguments():
    parser = argparse.ArgumentParser(
        prog="python -m shuffle_vit", description="Checkpoints for shuffle-vit out of PyTorch.",
        epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser(
        "export", help="write a model of timm, of a training checkpoint or with random weights for shuffle-vit",
        description="Writes a safetensors checkpoint that describes itself: sizes, class names, image preparation.",
        epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    source = command.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--timm", metavar="NAME",
        help="a plain ViT (ViT, DeiT, DINOv2) or Swin of timm with its pretrained weights, downloaded; local-dir:FOLDER reads a"
        " folder that timm saved",
    )  # fmt: skip
    source.add_argument(
        "--transformers", metavar="NAME", help="a ViT, DeiT, Swin or DINOv2 of transformers: a folder, or a name on the hub"
    )
    source.add_argument("--arch", choices=MODELS, metavar="NAME", help=f"a built-in model: {', '.join(MODELS)}")
    command.add_argument(
        "--checkpoint", type=Path, metavar="FILE",
        help="the weights of --arch or --timm: a .pth of DeiT, yitu's T2T-ViT, Microsoft's Swin or your own training, or a .safetensors",
    )  # fmt: skip
    command.add_argument(
        "--resize-positions", type=int, metavar="SIZE", help="with --timm: for images of SIZE pixels, as timm resamples positions"
    )
    command.add_argument("--ema", action="store_true", help="take the checkpoint's moving average of the weights")
    command.add_argument("--random", action="store_true", help="random weights in place of trained ones")
    command.add_argument("--seed", type=int, default=0, help="of random weights and of fresh layers (default 0)")
    command.add_argument(
        "--shuffle", action="store_true", help="plug the channel-shuffle module in; fresh layers are random"
    )
    command.add_argument("--rescale", choices=("learned", "half", "none"), help="with --shuffle (default learned)")
    command.add_argument(
        "--depths", type=depths, metavar="N,N,..", help="with --shuffle: keep so many blocks of a Swin's stages, as 2,2,5,2"
    )
    command.add_argument("--labels", type=Path, metavar="FILE", help="text file with a class name a line, in their order")
    command.add_argument(
        "--fold-layer-scale", action="store_true",
        help="multiply LayerScale into the layers in front of it, for programs that do not have it",
    )  # fmt: skip
    command.add_argument("--dtype", choices=DTYPES, default="f32", help="of the weights in the file (default f32)")
    command.add_argument("output", type=Path, metavar="OUT", help="the .safetensors file to write")
    args = parser.parse_args()
    if args.transformers and args.checkpoint:
        command.error("--checkpoint goes with --arch or --timm, which say what its tensors belong to")
    if args.checkpoint and args.random:
        command.error("--checkpoint has the weights, --random draws them: give one of the two")
    if args.arch and (args.checkpoint is None) != args.random:
        command.error("--arch needs either --checkpoint FILE or --random")
    if args.resize_positions and (not args.timm or args.checkpoint):
        command.error("--resize-positions goes with --timm and its weights; the program has a flag of that name for files")
    if args.ema and not args.checkpoint:
        command.error("--ema goes with --checkpoint")
    if (args.rescale or args.depths) and not args.shuffle:
        command.error("--rescale and --depths go with --shuffle")
    if args.timm and (hint := unknown_in_timm(args.timm)):
        command.error(hint)
    return args


def depths(text):
    return [int(number) for number in text.split(",")]


def unknown_in_timm(name):
    import timm

    base = name.split(".")[0]
    if ":" in name or timm.is_model(base):
        return None
    near = difflib.get_close_matches(base, timm.list_models(["deit*", "vit*", "swin*"]), n=3)
    return f"timm has no model {name!r}" + (f"; it has {', '.join(near)}" if near else "")


def from_timm(name, random, size=None):
    import timm

    options = {"img_size": size} if size else {}
    if random or name.startswith("local-dir:"):
        return timm.create_model(name, pretrained=not random, **options)
    print(f"{name}: fetching timm's weights (--random does without)", file=sys.stderr)
    try:
        return timm.create_model(name, pretrained=True, **options)
    except Exception as error:  # of the network, of the hub, of the file: each library has its own
        raise not_fetched("timm's", name, error) from error


def from_transformers(name, random):
    """A model of transformers as one of this package, with the preparation that lies beside it."""
    if not Path(name).is_dir():
        print(f"{name}: fetching it from the hub", file=sys.stderr)
    try:
        model, processor = open_model(name, random)
    except ImportError as error:
        raise Failed(f"--transformers needs the package transformers: pip install transformers ({error})") from error
    except ValueError:
        raise
    except Exception as error:  # as above
        raise not_fetched("transformers'", name, error) from error
    return convert(model, processor)


def not_fetched(whose, name, error):
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return Failed(
        f"cannot get {whose} weights of {name}: {reason}\n"
        "  without internet, --random gives random weights, and --checkpoint FILE --arch NAME takes a file that is here"
    )


def source(args):
    torch.manual_seed(args.seed)
    if args.checkpoint:
        return load_trained(args.checkpoint, args.arch or f"timm:{args.timm}", args.ema)
    if args.timm:
        return from_timm(args.timm, args.random, args.resize_positions)
    if args.transformers:
        return from_transformers(args.transformers, args.random)
    return build(named(args.arch))


def run(args):
    if not args.output.parent.is_dir():
        raise Failed(f"{args.output.parent} is not a folder: make it first")
    labels = args.labels and args.labels.read_text(encoding="utf-8").splitlines()
    model = source(args)
    if args.shuffle:
        torch.manual_seed(args.seed)
        model = add_channel_shuffle(model, args.rescale or "learned", args.depths)
        print(
            "the module is in; blocks kept their weights, and what doubled is fresh (embedding, tokens, positions, norm, head,"
            " downsampling): train the model before its classes mean anything", file=sys.stderr,
        )  # fmt: skip
    summary = export(model, args.output, labels, args.dtype, args.fold_layer_scale)
    print(
        f"{args.output}: {summary['name']}, {summary['params']} parameters, {summary['macs']} MACs, {summary['bytes']} bytes"
    )


def main():
    args = arguments()
    warnings.showwarning = lambda message, *_, **__: print(f"warning: {message}", file=sys.stderr)
    try:
        run(args)
    except (Failed, OSError, ValueError, TypeError, RuntimeError, SafetensorError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
