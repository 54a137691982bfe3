"""From a model of timm or of transformers to this package's model of the same configuration and weights."""

import torch
from torch import nn

from . import preparation, swin, timm_models, transformers_models
from .model import PlainViT
from .names import public_names
from .registry import build

OURS = (PlainViT, swin.Swin)
SHOWN = 20


def unwrap(model):
    """The model inside of `torch.compile`, `DataParallel` and their like."""
    for attribute in ("_orig_mod", "module"):
        inner = getattr(model, attribute, None)
        if isinstance(inner, nn.Module):
            return unwrap(inner)
    return model


def convert(model, processor=None):
    """This package's model with the configuration and weights of one of timm or transformers; its own model as it is.

    Its `config` also says how images are prepared and, where that is known, what the classes are called: timm's models
    bring both, of transformers' `processor` says the former, the content of a preprocessor_config.json. Dropout and
    stochastic depth do not come along.
    """
    model = unwrap(model)
    if isinstance(model, OURS):
        return model
    if timm_models.is_timm(model):
        config, tensors = timm_models.configuration(model), public_names(model.state_dict())
        config |= preparation.from_timm(getattr(model, "pretrained_cfg", None) or {}, config)
    elif transformers_models.is_transformers(model):
        config, tensors = transformers_models.configuration(model), transformers_models.state_dict(model)
        if "dist_token" in tensors and not config.get("distilled"):
            tensors["reg_token"] = tensors.pop("dist_token")
        if processor is not None:
            config |= preparation.from_transformers(processor, config, model.config.model_type)
    else:
        raise TypeError(
            f"{type(model).__module__}.{type(model).__name__} is neither a model of timm or transformers, nor a PlainViT,"
            " T2TViT or Swin of this package; for a model of other code, load its state dict into"
            " shuffle_vit.build(shuffle_vit.named(NAME))"
        )
    require(tensors, config, f"{type(model).__name__} is not a model that this package knows")
    ours = build(config)
    ours.load_state_dict(tensors)
    if timm_models.is_timm(model) and isinstance(ours, swin.Swin):
        timm_models.refuse_other_windows(model, ours)
    like = next(model.parameters())
    return ours.to(like.device, like.dtype).train(model.training)


def require(tensors, config, what):
    """Raises ValueError with all the differences between a state dict and the one that `config` describes."""
    with torch.device("meta"):
        expected = {name: list(tensor.shape) for name, tensor in build(config).state_dict().items()}
    found = {name: list(tensor.shape) for name, tensor in tensors.items()}
    problems = [f"missing: {name} {expected[name]}" for name in expected if name not in found]
    problems += [f"unexpected: {name} {found[name]}" for name in found if name not in expected]
    problems += [
        f"{name} is {found[name]}, but should be {shape}"
        for name, shape in expected.items()
        if name in found and found[name] != shape
    ]
    if problems:
        rest = [f"and {len(problems) - SHOWN} more"] if len(problems) > SHOWN else []
        raise ValueError("\n  ".join([f"{what}: {len(problems)} tensors differ", *problems[:SHOWN], *rest]))
