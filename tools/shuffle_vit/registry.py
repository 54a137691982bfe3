"""The built-in models by name, and the class that a configuration asks for."""

from .model import PlainViT
from .swin import Swin
from .t2t import T2TViT

TINY = {"arch": "vit", "dim": 192, "depth": 12, "heads": 3}
SMALL = {"arch": "vit", "dim": 384, "depth": 12, "heads": 6}
T2T = {"arch": "vit", "tokens": "t2t_performer", "qkv_bias": False, "layer_norm_eps": 1e-5}
T2T_TINY = T2T | {"dim": 256, "heads": 4, "mlp_ratio": 2.0}
T2T_SMALL = T2T | {"dim": 384, "heads": 6, "mlp_ratio": 3.0, "depth": 14}
SWIN = {"arch": "swin", "heads": [3, 6, 12, 24]}
VANILLA = {
    "deit_tiny": TINY,
    "deit_tiny_distilled": TINY | {"distilled": True},
    "deit_small": SMALL,
    "deit_small_distilled": SMALL | {"distilled": True},
    "t2t_vit_7": T2T_TINY | {"depth": 7},
    "t2t_vit_10": T2T_TINY | {"depth": 10},
    "t2t_vit_12": T2T_TINY | {"depth": 12},
    "t2t_vit_14": T2T_SMALL,
    "t2t_vit_t_14": T2T_SMALL | {"tokens": "t2t_transformer"},
    "swin_extra_tiny": SWIN | {"dim": 48, "depths": [2, 2, 5, 2]},
    "swin_tiny": SWIN | {"dim": 96, "depths": [2, 2, 6, 2]},
}
# the paper takes a block out of stage 3 where the module goes in
SHUFFLED = {"swin_extra_tiny": {"depths": [2, 2, 4, 2]}, "swin_tiny": {"depths": [2, 2, 5, 2]}}


def _registry():
    models = {}
    for name, config in VANILLA.items():
        models[name] = config
        models[f"shuffle_{name}"] = config | SHUFFLED.get(name, {}) | {"shuffle": True, "rescale": "learned"}
    return models


MODELS = _registry()


def named(name):
    """The configuration of a built-in model, its name included: 224 x 224 x 3 pixels, 1000 classes."""
    if name not in MODELS:
        raise ValueError(f"no model is called {name!r}; there are {', '.join(MODELS)}")
    return {"name": name} | MODELS[name]


def build(config):
    """The untrained PyTorch model that a configuration describes."""
    if config.get("arch", "vit") == "swin":
        return Swin(config)
    return T2TViT(config) if config.get("tokens", "patch") in T2TViT.TOKENS else PlainViT(config)
