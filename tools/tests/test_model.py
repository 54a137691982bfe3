import pytest
import torch

import shuffle_vit
from shuffle_vit.cost import cost

TINY = {"dim": 192, "depth": 12, "heads": 3}
SMALL = {"dim": 384, "depth": 12, "heads": 6}
SHUFFLE = {"shuffle": True, "rescale": "learned"}
TOY = {"image_size": 8, "patch_size": 4, "in_channels": 1, "num_classes": 3, "dim": 6, "depth": 3, "heads": 2}


@pytest.mark.parametrize("channels", [1, 2, 3, 24])
def test_shuffle_is_cat_reshape_transpose(channels):
    attended, idle = torch.randn(2, 2, 5, channels)
    expected = torch.cat((attended, idle), -1).reshape(2, 5, 2, channels).transpose(-1, -2).reshape(2, 5, 2 * channels)
    assert torch.equal(shuffle_vit.channel_shuffle(attended, idle), expected)


@pytest.mark.parametrize(
    ("config", "params", "macs"),
    [
        (TINY, 5717416, 1253683200),
        (TINY | SHUFFLE, 6095488, 1282776576),
        (TINY | {"distilled": True}, 5910800, 1261003776),
        (TINY | SHUFFLE | {"distilled": True}, 6481256, 1290289152),
        (SMALL, 22050664, 4598882304),
        (SMALL | SHUFFLE, 22806784, 4657069056),
    ],
)
def test_cost_of_deit(config, params, macs):
    assert cost(config) == (params, macs)


def test_idle_channels_pass_through():
    model = shuffle_vit.PlainViT(TOY | SHUFFLE)
    taps, image = [], torch.randn(2, 1, 8, 8)
    model(image, taps)
    x = model.embed(image)
    for tap in taps:
        assert torch.equal(tap[..., 1::2], x[..., 6:])
        x = tap


def test_rescaling_scales_only_the_residual():
    half = shuffle_vit.PlainViT(TOY | {"shuffle": True, "rescale": "half"})
    learned = shuffle_vit.PlainViT(TOY | SHUFFLE)
    scalars = {name: torch.full((1,), 0.5) for name in learned.state_dict() if name.endswith(("alpha", "beta"))}
    assert len(scalars) == 2 * TOY["depth"]
    learned.load_state_dict(half.state_dict() | scalars)
    image = torch.randn(2, 1, 8, 8)
    assert torch.equal(half(image), learned(image))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"heads": 5}, "5 heads do not divide dim 6"),
        ({"patch_size": 3}, "patch_size 3 does not divide"),
        ({"pool": "max"}, "pool is 'max'"),
        ({"norm_after_pool": True}, "needs pool avg"),
    ],
)
def test_impossible_configurations(change, message):
    with pytest.raises(ValueError, match=message):
        shuffle_vit.PlainViT(TOY | change)


@pytest.mark.parametrize(
    ("name", "options", "config"),
    [
        ("deit_tiny_patch16_224", {}, {}),
        ("deit_tiny_distilled_patch16_224", {}, {"distilled": True}),
        ("vit_tiny_patch16_224", {"global_pool": "avg", "fc_norm": False}, {"pool": "avg"}),
        ("vit_tiny_patch16_224", {"global_pool": "avg", "fc_norm": True}, {"pool": "avg", "norm_after_pool": True}),
    ],
)
def test_equals_timm(name, options, config):
    timm = pytest.importorskip("timm")
    theirs = timm.create_model(name, img_size=32, num_classes=5, **options).eval()
    ours = shuffle_vit.PlainViT(TINY | {"image_size": 32, "num_classes": 5} | config)
    ours.load_state_dict(theirs.state_dict())
    image = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(ours(image), theirs(image), rtol=1e-5, atol=1e-6)
