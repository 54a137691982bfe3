import math

import pytest
import torch

import shuffle_vit
from goldens import FOLDER, randomise
from shuffle_vit import swin, t2t
from shuffle_vit.checkpoint import read_tensors
from shuffle_vit.cost import cost

COSTS = {
    "deit_tiny": (5717416, 1253683200, 6095488, 1282776576),
    "deit_tiny_distilled": (5910800, 1261003776, 6481256, 1290289152),
    "deit_small": (22050664, 4598882304, 22806784, 4657069056),
    "deit_small_distilled": (22436432, 4624140288, 23577320, 4682711040),
    "t2t_vit_7": (4310222, 1146738176, 4765148, 1175895552),
    "t2t_vit_10": (5889230, 1516203008, 6344162, 1545360384),
    "t2t_vit_12": (6941902, 1762512896, 7396838, 1791670272),
    "t2t_vit_14": (21545550, 4783343104, 22227946, 4827079168),
    "t2t_vit_t_14": (21541070, 6088721920, 22223466, 6132457984),
    "swin_extra_tiny": (6852742, 1071089664, 7182846, 1031659008),
    "swin_tiny": (28288354, 4490566656, 28839980, 4325001216),
}


@pytest.mark.parametrize("name", COSTS)
def test_cost_of_every_built_in_model(name):
    with torch.device("meta"):
        found = cost(shuffle_vit.named(name)) + cost(shuffle_vit.named(f"shuffle_{name}"))
    assert found == COSTS[name]


def test_the_registry_has_no_other_models():
    assert set(shuffle_vit.MODELS) == set(COSTS) | {f"shuffle_{name}" for name in COSTS}


def random_model(config):
    model = shuffle_vit.build(config)
    with torch.no_grad():
        randomise(model, torch.Generator().manual_seed(1))
    return model.double()


def random(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


# T2T-ViT

T2T = {"dim": 8, "depth": 2, "heads": 2, "mlp_ratio": 2.0, "qkv_bias": False, "num_classes": 3, "in_channels": 2,
       "image_size": 32}  # fmt: skip


@pytest.mark.parametrize(("side", "kernel", "stride", "padding"), [(32, 7, 4, 2), (8, 3, 2, 1), (5, 3, 2, 1)])
def test_unfold_orders_features_by_channel_then_row_then_column(side, kernel, stride, padding):
    x = random(1, 2, side, side)
    rows = t2t.unfold(x, kernel, stride, padding)[0]
    out = (side + 2 * padding - kernel) // stride + 1
    assert rows.shape == (out * out, 2 * kernel * kernel)
    for token, row in enumerate(rows):
        for feature, value in enumerate(row.tolist()):
            c, ky, kx = feature // kernel**2, feature // kernel % kernel, feature % kernel
            y, x_ = token // out * stride + ky - padding, token % out * stride + kx - padding
            inside = 0 <= y < side and 0 <= x_ < side
            assert value == (x[0, c, y, x_].item() if inside else 0)


def test_performer_is_attention_with_random_feature_weights():
    layer = random_model(T2T | {"tokens": "t2t_performer"}).tokens_to_token.attention1
    x = random(2, 5, 98)
    u = layer.norm1(x) @ layer.kqv.weight.T + layer.kqv.bias
    k, q, v = u[..., :64], u[..., 64:128], u[..., 128:]
    expected = torch.zeros_like(v)
    for b in range(2):
        for t in range(5):
            phi = [[sum_exp(layer.w, vector) for vector in vectors[b]] for vectors in (q, k)]
            weights = torch.stack([phi[0][t] @ other for other in phi[1]])
            expected[b, t] = (weights.unsqueeze(1) * v[b]).sum(0) / (weights.sum() + 1e-8)
    expected = v + layer.proj(expected)
    hidden = torch.nn.functional.gelu(layer.mlp[0](layer.norm2(expected)))
    torch.testing.assert_close(layer(x), expected + layer.mlp[2](hidden), rtol=1e-12, atol=1e-12)


def sum_exp(w, u):
    """phi(u), feature by feature"""
    return torch.stack([torch.exp(row @ u - u @ u / 2) / 32**0.5 for row in w])


@pytest.mark.parametrize("width", [98, 576])
def test_token_transformer_scales_by_the_width_that_comes_in(width):
    layer = t2t.TokenTransformer(width).double()
    x = random(2, 5, width)
    q, k, v = (layer.norm1(x) @ layer.attn.qkv.weight.T).chunk(3, dim=-1)
    context = torch.nn.functional.scaled_dot_product_attention(q, k, v, scale=width**-0.5)
    y = v + layer.attn.proj(context)
    torch.testing.assert_close(layer(x), y + layer.mlp(layer.norm2(y)), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("tokens", ["t2t_performer", "t2t_transformer"])
def test_token_module_end_to_end(tokens):
    model = random_model(T2T | {"tokens": tokens, "shuffle": True, "rescale": "learned", "layer_norm_eps": 0.1})
    module, image = model.tokens_to_token, random(2, 2, 32, 32)
    x = torch.nn.functional.unfold(image, 7, stride=4, padding=2).transpose(1, 2)
    x = module.attention1(x).transpose(1, 2).reshape(2, 64, 8, 8)
    x = torch.nn.functional.unfold(x, 3, stride=2, padding=1).transpose(1, 2)
    x = module.attention2(x).transpose(1, 2).reshape(2, 64, 4, 4)
    x = torch.nn.functional.unfold(x, 3, stride=2, padding=1).transpose(1, 2)
    assert torch.equal(model.embed(image)[:, 1:], module.project(x) + model.pos_embed[:, 1:])
    norms = [layer for layer in module.modules() if isinstance(layer, torch.nn.LayerNorm)]
    assert len(norms) == 4 and all(norm.eps == 1e-5 for norm in norms)
    taps = []
    model(image, taps)
    assert [tap.shape for tap in taps] == [(2, 5, 16)] * 2
    assert torch.equal(taps[0][..., 1::2], model.embed(image)[..., 8:])


def test_t2t_state_dict_has_yitus_names():
    names = shuffle_vit.build(T2T | {"tokens": "t2t_performer"}).state_dict()
    found = {name.split("attention1.")[1]: tuple(tensor.shape) for name, tensor in names.items() if "attention1" in name}
    assert found == {
        "w": (32, 64), "norm1.weight": (98,), "norm1.bias": (98,), "kqv.weight": (192, 98), "kqv.bias": (192,),
        "proj.weight": (64, 64), "proj.bias": (64,), "norm2.weight": (64,), "norm2.bias": (64,),
        "mlp.0.weight": (64, 64), "mlp.0.bias": (64,), "mlp.2.weight": (64, 64), "mlp.2.bias": (64,),
    }  # fmt: skip
    names = shuffle_vit.build(T2T | {"tokens": "t2t_transformer"}).state_dict()
    found = [name.split("attention2.")[1] for name in names if "attention2" in name and name.endswith("weight")]
    assert found == [f"{part}.weight" for part in ("norm1", "attn.qkv", "attn.proj", "norm2", "mlp.fc1", "mlp.fc2")]
    assert "tokens_to_token.attention2.attn.qkv.bias" not in names
    assert names["tokens_to_token.project.weight"].shape == (8, 576)


def test_sinusoid():
    table = t2t.sinusoid(7, 6)
    assert table.shape == (1, 7, 6)
    for p in range(7):
        for j in range(6):
            angle = p / 10000 ** (2 * (j // 2) / 6)
            assert table[0, p, j].item() == pytest.approx(math.cos(angle) if j % 2 else math.sin(angle), abs=1e-7)
    assert torch.equal(shuffle_vit.build(T2T | {"tokens": "t2t_performer"}).pos_embed, t2t.sinusoid(5, 8))


def test_performer_starts_where_weights_are_felt():
    """With fresh weights the sum of the features dwarfs the 1e-8 that guards the division."""
    layer = shuffle_vit.build(T2T | {"tokens": "t2t_performer"}).tokens_to_token.attention2
    k, q, _ = layer.kqv(layer.norm1(random(1, 9, 576).float())).split(64, -1)
    assert (layer.phi(q) @ layer.phi(k).sum(1).unsqueeze(-1)).min() > 1e-5


@pytest.mark.parametrize(
    ("change", "message"),
    [({"patch_size": 8}, "go with 16"), ({"image_size": 40}, "does not divide"), ({"tokens": "t2t"}, "tokens is 't2t'")],
)
def test_impossible_t2t(change, message):
    with pytest.raises(ValueError, match=message):
        shuffle_vit.build(T2T | {"tokens": "t2t_performer"} | change)


def test_the_plain_class_refuses_t2t():
    with pytest.raises(ValueError, match="build chooses"):
        shuffle_vit.PlainViT(T2T | {"tokens": "t2t_performer"})


# Swin

SWIN = {"arch": "swin", "image_size": 56, "dim": 8, "depths": [2, 3], "heads": [2, 4], "num_classes": 5}
SHUFFLE = {"shuffle": True, "rescale": "learned"}


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"image_size": 112, "depths": [2, 2, 2], "heads": [1, 2, 4]},
        {"image_size": 48, "window": 3, "depths": [2, 2, 2], "heads": [1, 2, 4]},
        {"image_size": 24, "patch_size": 2, "window": 4, "depths": [3], "heads": [2], "in_channels": 1},
    ],
)
def test_swin_equals_timm(change):
    timm = pytest.importorskip("timm")
    config = SWIN | change
    ours = random_model(config)
    theirs = timm.models.swin_transformer.SwinTransformer(
        img_size=config["image_size"], patch_size=config.get("patch_size", 4), in_chans=config.get("in_channels", 3),
        window_size=config.get("window", 7), embed_dim=8, depths=config["depths"], num_heads=config["heads"], num_classes=5,
    ).double().eval()  # fmt: skip
    with torch.no_grad():
        randomise(theirs, torch.Generator().manual_seed(5))
    ours.load_state_dict(shuffle_vit.public_names(theirs.state_dict()))
    image = random(2, config.get("in_channels", 3), config["image_size"], config["image_size"])
    torch.testing.assert_close(ours(image), theirs(image), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("side", "window"), [(4, 2), (6, 2), (9, 3), (8, 4), (15, 5), (14, 7), (21, 7)])
def test_shift_mask_lets_true_neighbours_through(side, window):
    """A pair counts where no edge of the map lies between the two: closer than a window in both directions."""
    shift = window // 2
    mask = swin.shift_mask(side, window, shift)
    place = torch.arange(side * side).reshape(1, -1, 1)
    place = swin.partition(swin.roll(place, side, -shift), side, window).squeeze(-1)
    y, x = place // side, place % side
    near = ((y.unsqueeze(1) - y.unsqueeze(2)).abs() < window) & ((x.unsqueeze(1) - x.unsqueeze(2)).abs() < window)
    assert torch.equal(mask == 0, near) and torch.equal(mask.isinf(), ~near)


@pytest.mark.parametrize(("side", "window"), [(6, 2), (9, 3), (14, 7), (5, 5)])
def test_windows_come_back_in_order(side, window):
    x = random(2, side * side, 3)
    windows = swin.partition(x, side, window)
    assert windows.shape == (2 * (side // window) ** 2, window * window, 3)
    assert torch.equal(swin.merge_windows(windows, side, window), x)
    assert torch.equal(windows[0, :window], x[0, :window])
    assert torch.equal(windows[0, window], x[0, side])


def test_relative_position_index():
    index = swin.relative_position_index(3)
    for q in range(9):
        for k in range(9):
            assert index[q, k] == (q // 3 - k // 3 + 2) * 5 + q % 3 - k % 3 + 2


def test_halves_merge_apart():
    whole = swin.Merge(3, 4, 1e-5, shuffle=True)
    x = torch.randn(2, 16, 6)
    halves = []
    for suffix, part in (("_1", x[..., :3]), ("_2", x[..., 3:])):
        one = swin.Merge(3, 4, 1e-5, shuffle=False)
        one.load_state_dict({k.replace(suffix, ""): v for k, v in whole.state_dict().items() if suffix in k})
        halves.append(one(part))
    assert torch.equal(whole(x), torch.cat(halves, -1))
    cell = x.reshape(2, 4, 4, 6)[:, :2, :2, :3]
    cell = torch.cat([cell[:, 0, 0], cell[:, 1, 0], cell[:, 0, 1], cell[:, 1, 1]], -1)
    expected = whole.reduction_1(whole.norm_1(cell))
    torch.testing.assert_close(whole(x)[:, 0, :6], expected)


def test_shuffled_swin_block_by_block():
    """Taps, shuffles and merging, put together by hand from the model's own layers."""
    model = random_model(SWIN | SHUFFLE)
    image, taps = random(1, 3, 56, 56), []
    logits = model(image, taps)
    x = model.patch_embed(image)
    for layer, tap in zip(model.layers, taps, strict=True):
        for block in layer.blocks:
            a, idle = x.chunk(2, dim=-1)
            a = block.alpha * a + block.attn(block.norm1(a))
            a = block.beta * a + block.mlp(block.norm2(a))
            x = torch.cat((a, idle), -1).reshape(1, -1, 2, a.shape[-1]).transpose(-1, -2).flatten(2)
        torch.testing.assert_close(tap, x, rtol=1e-12, atol=1e-12)
        if layer.downsample:
            x = layer.downsample(x)
    torch.testing.assert_close(logits, model.head(model.norm(x).mean(1)))


def test_only_odd_blocks_of_large_maps_shift():
    model = shuffle_vit.build(SWIN | {"depths": [4, 2]})
    assert [[(b.attn.window, b.attn.shift) for b in layer.blocks] for layer in model.layers] == [
        [(7, 0), (7, 3), (7, 0), (7, 3)],
        [(7, 0), (7, 0)],
    ]
    small = shuffle_vit.build(SWIN | {"image_size": 16})
    assert [b.attn.window for layer in small.layers for b in layer.blocks] == [4, 4, 2, 2, 2]
    assert small.state_dict()["layers.1.blocks.2.attn.relative_position_bias_table"].shape == (9, 4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image_size": 64}, "work: 56 and 112"),
        ({"image_size": 30}, "work: 24 and 56"),
        ({"image_size": 4}, "work: 8"),
        ({"image_size": 84}, "work: 56 and 112"),
        ({"heads": [3, 4]}, "3 heads do not divide dim 8 of stage 0"),
        ({"heads": [2]}, "2 depths but 1 heads"),
        ({"rescale": "all"}, "rescale is 'all'"),
    ],
)
def test_impossible_swin(change, message):
    with pytest.raises(ValueError, match=message):
        shuffle_vit.build(SWIN | change)


# Files


@pytest.mark.parametrize("folder", ["t2t", "swin"])
def test_goldens_are_what_the_models_compute(folder):
    files = sorted((FOLDER / folder).glob("*.golden.safetensors"))
    assert files
    for file in files:
        tensors, config = shuffle_vit.load(str(file).replace(".golden", ""))
        model = shuffle_vit.build(config)
        model.load_state_dict(tensors)
        expected, _ = read_tensors(file)
        taps = []
        logits = model.double()(expected.pop("image").double(), taps)
        for name, tensor in {"logits": logits, **{f"tap.{i}": tap for i, tap in enumerate(taps)}}.items():
            torch.testing.assert_close(tensor, expected.pop(name).double(), rtol=1e-6, atol=1e-6)
        assert not expected


def test_public_names():
    names = shuffle_vit.build(SWIN).state_dict()
    timm = {
        "patch_embed.proj.weight": 1, "layers.0.blocks.1.attn.attn_mask": 2,
        "layers.0.blocks.0.attn.relative_position_index": 3, "layers.1.downsample.norm.weight": 4,
        "layers.1.downsample.reduction.weight": 5, "head.fc.bias": 6,
    }  # fmt: skip
    microsoft = {
        "patch_embed.proj.weight": 1, "layers.0.downsample.norm.weight": 4, "layers.0.downsample.reduction.weight": 5,
        "head.bias": 6,
    }  # fmt: skip
    assert microsoft.keys() <= names.keys()
    assert shuffle_vit.public_names(timm) == microsoft
    assert shuffle_vit.public_names(microsoft) == microsoft
    assert shuffle_vit.public_names({f"module.{name}": value for name, value in timm.items()}) == microsoft
    assert shuffle_vit.public_names({f"model.{name}": value for name, value in microsoft.items()}) == microsoft
