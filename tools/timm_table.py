"""Writes `crates/weights/src/metadata/timm.tsv`: what timm knows of every plain ViT and Swin that this project runs.

A row for each architecture and each of its sets of pretrained weights, separated by tabs: timm's name, the tag of the
weights, and the description as JSON, in the keys of a checkpoint's `config`. Keys at the format's defaults are left out, but
for the sizes without a default, and `mean`, `std`, `crop_pct` and `interpolation`. The first row of a name is timm's default
for it; a name without pretrained weights has one row, without a tag.

With `--check` nothing is written, and a table that differs from the file is an error.
"""

import argparse
import json
import sys
from pathlib import Path

import timm
import torch
from timm.models import get_arch_pretrained_cfgs

from shuffle_vit import model, preparation, swin, timm_models
from shuffle_vit.convert import require
from shuffle_vit.names import public_names

TABLE = Path(__file__).resolve().parent.parent / "crates/weights/src/metadata/timm.tsv"
MODULES = ("vision_transformer", "deit", "swin_transformer")
HEADER = "# timm {}: architecture, tag of the pretrained weights, description; written by tools/timm_table.py\n"
DEFAULTS = {"vit": model.DEFAULTS, "swin": swin.DEFAULTS}
KEPT = ("arch",)
EPS = {"vit": 1e-6, "swin": 1e-5}


def describe(name, cfg):
    """The `config` of an architecture with weights of `cfg`, in the table's short form; None where it does not run here."""
    options = {"num_classes": cfg.num_classes, "in_chans": cfg.input_size[0], "img_size": cfg.input_size[1:]} if cfg else {}
    with torch.device("meta"):
        built = timm.create_model(name, **options)
    try:
        config = timm_models.configuration(built)
        require(public_names(built.state_dict()), config, name)
        if config["arch"] == "swin":
            timm_models.refuse_other_windows(built, swin.Swin(config))
    except (TypeError, ValueError):
        return None
    defaults = DEFAULTS[config["arch"]]
    config = {key: value for key, value in config.items() if key in KEPT or defaults.get(key) != value}
    source = (cfg or built.default_cfg).to_dict() if cfg else built.pretrained_cfg
    prepared = preparation.from_timm(source, {"in_channels": 3, "num_classes": 0})
    return config | {key: value for key, value in prepared.items() if key != "name"}


def rows():
    """(name, tag, description) of all models, sorted by name; the tags in timm's order."""
    for name in sorted({name for module in MODULES for name in timm.list_models(module=module)}):
        tagged = get_arch_pretrained_cfgs(name) or {"": None}
        for tag, cfg in tagged.items():
            description = describe(name, cfg)
            if description:
                yield name, tag.removeprefix(name).lstrip("."), description


def table():
    lines = (f"{name}\t{tag}\t{json.dumps(row, separators=(',', ':'))}\n" for name, tag, row in rows())
    return HEADER.format(timm.__version__) + "".join(lines)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example: python tools/timm_table.py",
    )  # fmt: skip
    parser.add_argument("--check", action="store_true", help="fail where the file is not what timm gives now")
    args = parser.parse_args()
    text = table()
    if args.check:
        if text != TABLE.read_text(encoding="utf-8"):
            sys.exit(f"{TABLE} is not what timm {timm.__version__} gives: run python tools/timm_table.py")
        return
    TABLE.parent.mkdir(parents=True, exist_ok=True)
    TABLE.write_text(text, encoding="utf-8")
    print(f"{TABLE}: {text.count(chr(10)) - 1} rows, {len(text)} bytes")


if __name__ == "__main__":
    main()
