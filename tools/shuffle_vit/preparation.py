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


# what transformers' image processors do where their file does not say, by how their names start
PROCESSORS = {
    "ViT": {"size": 224, "resample": 2},
    "DeiT": {"size": 256, "crop_size": 224, "do_center_crop": True, "resample": 3},
    "Bit": {
        "size": {"shortest_edge": 224}, "crop_size": 224, "do_center_crop": True, "resample": 3,
        "image_mean": (0.48145466, 0.4578275, 0.40821073), "image_std": (0.26862954, 0.26130258, 0.27577711),
    },
    "ConvNext": {"size": {"shortest_edge": 384}, "crop_pct": 0.875, "resample": 3},
}  # fmt: skip
USUAL = {"vit": "ViT", "swin": "ViT", "deit": "DeiT", "dinov2": "Bit", "dinov2_with_registers": "Bit"}


def from_transformers(processor, config, kind):
    """From an image processor's preprocessor_config.json, for a model of transformers' `kind`.

    `size` with `height` and `width`, or a number, resizes both sides without keeping the picture's proportions;
    `shortest_edge` keeps them.
    """
    name = processor.get("image_processor_type") or processor.get("feature_extractor_type") or USUAL[kind]
    defaults = next((PROCESSORS[start] for start in PROCESSORS if name.startswith(start)), PROCESSORS[USUAL[kind]])
    if config["in_channels"] == 3:
        defaults = {"image_mean": (0.5,) * 3, "image_std": (0.5,) * 3} | defaults
    processor = defaults | {key: value for key, value in processor.items() if value is not None}
    resample = processor["resample"]
    found = scale(processor, config["in_channels"]) | known(PILLOW.get(resample, resample), "interpolation", INTERPOLATIONS)
    resize, crop, mode = resized(processor, kind)
    if processor.get("do_center_crop"):
        crop = side(processor["crop_size"])
    # the same part of the picture, at the size that the model takes
    found["resize"] = resize * config["image_size"] // crop
    return found | ({"crop_mode": mode} if mode != "center" else {})


def scale(processor, channels):
    """Mean and deviation, with which the factor is made up for that replaces a division by 255."""
    factor = 255 * processor.get("rescale_factor", 1 / 255) if processor.get("do_rescale", True) else 255.0
    factor = 1.0 if abs(factor - 1) < 1e-6 else factor
    found = {"mean": [0.0] * channels, "std": [1.0] * channels}
    if processor.get("do_normalize", True):
        found = {key: processor[f"image_{key}"] for key in found if len(processor.get(f"image_{key}", ())) == channels}
    return {key: [value / factor for value in values] for key, values in found.items()}


def resized(processor, kind):
    """(side that pictures are resized to, what is cut out of it where nothing else is said, how)"""
    size = processor["size"]
    if not isinstance(size, dict):
        return size, size, "center" if kind.startswith("dinov2") else "squash"
    if "shortest_edge" not in size:
        return side(size), side(size), "squash"
    short, part = size["shortest_edge"], processor.get("crop_pct")
    if part and short < 384:  # ConvNeXT's processor cuts a part out below 384 pixels, and squashes from there on
        return int(short / part), short, "center"
    return short, short, "squash" if part else "center"


def side(size):
    if not isinstance(size, dict):
        return size
    height, width = size.get("height", size.get("shortest_edge")), size.get("width", size.get("shortest_edge"))
    if height != width:
        raise ValueError(f"the image processor makes pictures of {height} x {width}, not squares")
    return height
