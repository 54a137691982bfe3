"""How images are prepared for a model, and what its classes are called, as keys of a `config`."""

import warnings

INTERPOLATIONS = ("bicubic", "bilinear", "nearest")
CROPS = ("center", "squash")
# Pillow's numbers, which transformers' image processors use
PILLOW = {0: "nearest", 2: "bilinear", 3: "bicubic"}


def from_timm(source, config):
    """From timm's description of pretrained weights: name, preparation and class names."""
    found = {"name": source["architecture"]} if source.get("architecture") else {}
    for key in ("mean", "std"):
        if source.get(key) is not None and len(source[key]) == config["in_channels"]:
            found[key] = list(source[key])
    if source.get("crop_pct"):
        found["crop_pct"] = source["crop_pct"]
    found |= known(source.get("interpolation"), "interpolation", INTERPOLATIONS)
    found |= {key: value for key, value in known(source.get("crop_mode"), "crop_mode", CROPS).items() if value != "center"}
    labels = class_names(source, config["num_classes"])
    return found | ({"labels": labels} if labels else {})


def known(value, key, values):
    """The key with its value, or nothing and a warning where the format has no such value."""
    if value in values:
        return {key: value}
    if value:
        warnings.warn(f"{key} {value!r} is not one of {', '.join(values)}: left out")
    return {}


def class_names(source, count):
    """A model whose head was replaced by one of another size has no class names."""
    names = source.get("label_names")
    if names and len(names) == count:
        # JSON's keys are strings
        return [names[key] for key in sorted(names, key=int)] if isinstance(names, dict) else list(names)
    return imagenet_names() if source.get("num_classes") == count == 1000 else None


def imagenet_names():
    """The 1000 classes of ImageNet-1k, as timm names them."""
    from timm.data import ImageNetInfo  # here, so that timm is needed only with its models

    return ImageNetInfo("imagenet-1k").label_descriptions()


def from_transformers(processor, config):
    """From an image processor's preprocessor_config.json.

    `size` with `height` and `width`, or a number, resizes both sides without keeping the picture's proportions;
    `shortest_edge` keeps them.
    """
    found = {}
    for key, theirs in (("mean", "image_mean"), ("std", "image_std")):
        if len(processor.get(theirs) or ()) == config["in_channels"]:
            found[key] = list(processor[theirs])
    if not processor.get("do_normalize", True):
        channels = config["in_channels"]
        found |= {"mean": [0.0] * channels, "std": [1.0] * channels}
    found |= known(PILLOW.get(processor.get("resample"), processor.get("resample")), "interpolation", INTERPOLATIONS)
    size = processor.get("size")
    if isinstance(size, dict) and "shortest_edge" in size:
        found["resize"] = size["shortest_edge"]
    elif size:
        height, width = (size["height"], size["width"]) if isinstance(size, dict) else (size, size)
        if height != width:
            raise ValueError(f"the image processor resizes to {height} x {width}, not to a square")
        found |= {"resize": height, "crop_mode": "squash"}
    return found
