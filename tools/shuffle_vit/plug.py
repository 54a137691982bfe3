"""Plugs the channel-shuffle module into a vanilla model."""

import re

from .convert import convert
from .registry import build

# what works on `dim` channels with and without the module: all layers inside of blocks, T2T's attention between unfolds
KEPT = re.compile(r"(layers\.\d+\.)?blocks\.|tokens_to_token\.attention")


def add_channel_shuffle(model, rescale="learned", depths=None):
    """The shuffled version of a vanilla plain ViT or Swin of timm or transformers, or of this package: a new model, to train.

    Blocks keep their weights, LayerScale included. Fresh are the layers whose channels double: embedding, class tokens,
    registers, `pos_embed`, `norm`, heads, and Swin's downsampling, of which there are two, one for each half. `rescale` is `learned` (a scalar in front
    of each residual, starting at 1), `half` (the constant 0.5) or `none`. `depths` takes only so many of a Swin's blocks,
    the first of each stage: the paper's Swin-Tiny gives one up, `(2, 2, 5, 2)`.

        model = timm.create_model("deit_tiny_patch16_224", pretrained=True, num_classes=10)
        model = shuffle_vit.add_channel_shuffle(model)
    """
    vanilla = convert(model)
    if vanilla.config["shuffle"]:
        raise ValueError("the model has the channel-shuffle module already")
    config = vanilla.config | {"shuffle": True, "rescale": rescale}
    if "name" in config:
        config["name"] = f"shuffle_{config['name']}"
    if depths is not None:
        config["depths"] = fewer(vanilla.config.get("depths"), list(depths))
    shuffled = build(config)
    state = shuffled.state_dict()
    state |= {name: tensor for name, tensor in vanilla.state_dict().items() if name in state and KEPT.match(name)}
    shuffled.load_state_dict(state)
    like = next(vanilla.parameters())
    return shuffled.to(like.device, like.dtype).train(vanilla.training)


def fewer(depths, wanted):
    if depths is None:
        raise ValueError("depths are a Swin's; this model is a plain ViT")
    if len(wanted) != len(depths) or not all(1 <= w <= d for w, d in zip(wanted, depths, strict=True)):
        raise ValueError(f"depths {wanted} cannot be taken from {depths}: one number for each stage, from 1 to what it has")
    return wanted
