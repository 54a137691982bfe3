"""timm's models, the module plugged into them, and their checkpoints; nothing is downloaded."""

import argparse
import copy
import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import torch

import shuffle_vit
from goldens import randomise
from shuffle_vit import __main__ as command_line
from shuffle_vit.checkpoint import read_tensors, write_tensors
from shuffle_vit.convert import convert

timm = pytest.importorskip("timm")
torch.set_num_threads(1)
TOOLS = Path(__file__).resolve().parent.parent
SMALL = {"img_size": 32, "num_classes": 5}
SMALL_SWIN = {"img_size": 56, "num_classes": 5, "embed_dim": 24, "depths": (2, 3), "num_heads": (3, 6)}
TIMM = {
    "deit": ("deit_tiny_patch16_224", SMALL | {"depth": 3}),
    "distilled": ("deit_tiny_distilled_patch16_224", SMALL | {"depth": 3}),
    "swin": ("swin_tiny_patch4_window7_224", SMALL_SWIN),
}
T2T = {"dim": 8, "depth": 2, "heads": 2, "mlp_ratio": 2.0, "qkv_bias": False, "num_classes": 5, "image_size": 32}


def randomised(model):
    with torch.no_grad():
        randomise(model, torch.Generator().manual_seed(3))
    return model.eval()


def vanilla(kind):
    if kind in TIMM:
        name, options = TIMM[kind]
        return randomised(timm.create_model(name, **options))
    return randomised(shuffle_vit.build(T2T | {"tokens": kind}))


def images(model, count=2):
    config = model.config
    shape = (count, config["in_channels"], config["image_size"], config["image_size"])
    return torch.randn(shape, generator=torch.Generator().manual_seed(4))


KINDS = [*TIMM, "t2t_performer", "t2t_transformer"]


# Plugging in


@pytest.mark.parametrize("rescale", ["learned", "half", "none"])
@pytest.mark.parametrize("kind", KINDS)
def test_module_plugged_in(kind, rescale):
    """Block weights kept, the rest fresh and twice as wide, the public names, the forward of the specified model."""
    theirs = vanilla(kind)
    old = shuffle_vit.public_names(theirs.state_dict())
    model = shuffle_vit.add_channel_shuffle(theirs, rescale=rescale)
    new = model.state_dict()
    for name, tensor in new.items():
        if "blocks." in name or "tokens_to_token.attention" in name:
            expected = torch.ones(1) if name.endswith((".alpha", ".beta")) else old[name]
            assert torch.equal(tensor, expected), name
        elif name in old:
            assert not torch.equal(tensor, old[name]) or tensor.abs().max() == 0, f"{name} is not fresh"
            assert name.startswith("head") or tensor.numel() == 2 * old[name].numel(), name
        else:
            assert "downsample" in name and name.replace("_1.", ".").replace("_2.", ".") in old
    assert any(name.endswith(".alpha") for name in new) == (rescale == "learned")

    same = shuffle_vit.build({key: model.config[key] for key in model.config if key not in ("name", "labels")})
    same.load_state_dict(new)
    image = images(model)
    assert torch.equal(model(image), same(image))


@pytest.mark.parametrize("kind", KINDS)
def test_it_trains(kind):
    model = shuffle_vit.add_channel_shuffle(vanilla(kind).train())
    assert model.training
    image, target = images(model, 4), torch.tensor([0, 1, 2, 3])
    optimiser = torch.optim.SGD(model.parameters(), lr=0.01)
    losses = []
    for _ in range(3):
        loss = torch.nn.functional.cross_entropy(model(image), target)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[2] < losses[0]
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None and parameter.grad.abs().max() > 0, name
    model.eval()
    assert torch.equal(model(image), model(image)) and not model.training


def test_the_given_model_is_left_alone():
    theirs = vanilla("deit")
    before = copy.deepcopy(theirs.state_dict())
    model = shuffle_vit.add_channel_shuffle(theirs)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    assert all(torch.equal(tensor, before[name]) for name, tensor in theirs.state_dict().items())
    assert model.config["name"] == "shuffle_deit_tiny_patch16_224"


def test_fewer_blocks_as_in_the_paper():
    theirs = vanilla("swin")
    model = shuffle_vit.add_channel_shuffle(theirs, depths=(2, 2))
    assert [len(layer.blocks) for layer in model.layers] == [2, 2]
    assert torch.equal(model.layers[1].blocks[1].mlp.fc1.weight, theirs.layers[1].blocks[1].mlp.fc1.weight)
    for wrong in ((2, 4), (2, 0), (2,)):
        with pytest.raises(ValueError, match="cannot be taken"):
            shuffle_vit.add_channel_shuffle(theirs, depths=wrong)
    with pytest.raises(ValueError, match="a plain ViT"):
        shuffle_vit.add_channel_shuffle(vanilla("deit"), depths=(2, 2))


def test_dtype_and_wrappers_are_kept():
    theirs = torch.nn.DataParallel(vanilla("deit").double())
    assert {p.dtype for p in shuffle_vit.add_channel_shuffle(theirs).parameters()} == {torch.float64}


@pytest.mark.parametrize("kind", [*TIMM, "avg", "fc_norm"])
def test_converted_models_equal_timm(kind):
    if kind in TIMM:
        theirs = vanilla(kind)
    else:
        options = SMALL | {"depth": 2, "global_pool": "avg", "fc_norm": kind == "fc_norm"}
        theirs = randomised(timm.create_model("vit_tiny_patch16_224", **options))
    ours = convert(theirs)
    image = images(ours)
    torch.testing.assert_close(ours(image), theirs(image), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "options", "error", "message"),
    [
        ("resnet18", {}, TypeError, "ResNet is neither"),
        ("vit_tiny_patch16_224", {"depth": 1, "global_pool": "max"}, ValueError, "global_pool 'max'"),
        ("vit_tiny_patch16_224", {"depth": 1, "act_layer": "gelu_tanh"}, TypeError, "GELU"),
        ("swin_tiny_patch4_window7_224", {"depths": (2,), "num_heads": (3,), "img_size": 64}, ValueError, "sizes that work"),
    ],
)
def test_models_that_it_does_not_know(name, options, error, message):
    with torch.device("meta"):
        theirs = timm.create_model(name, **options)
    with pytest.raises(error, match=message):
        shuffle_vit.add_channel_shuffle(theirs)


def test_other_refusals():
    model = shuffle_vit.add_channel_shuffle(vanilla("t2t_performer"))
    with pytest.raises(ValueError, match="already"):
        shuffle_vit.add_channel_shuffle(model)
    with pytest.raises(ValueError, match="rescale is 'all'"):
        shuffle_vit.add_channel_shuffle(vanilla("deit"), rescale="all")
    with pytest.raises(TypeError, match="Linear is neither"):
        shuffle_vit.add_channel_shuffle(torch.nn.Linear(2, 2))


# Writing checkpoints


@pytest.mark.parametrize("dtype", ["f32", "f16", "bf16"])
@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_export_round_trip(tmp_path, kind, shuffle, dtype):
    theirs = vanilla(kind)
    model = shuffle_vit.add_channel_shuffle(theirs) if shuffle else theirs
    labels = ["a", None, "c", "d", "e"]
    summary = shuffle_vit.export(model, tmp_path / "m.safetensors", labels=labels, dtype=dtype)
    tensors, config = shuffle_vit.load(tmp_path / "m.safetensors")
    assert config["labels"] == labels and config["shuffle"] == shuffle and config["num_classes"] == 5
    loaded = shuffle_vit.build(config)
    loaded.load_state_dict(tensors)
    assert summary["params"] == shuffle_vit.parameters(loaded) and summary["macs"] == shuffle_vit.macs(config)
    assert summary["bytes"] == (tmp_path / "m.safetensors").stat().st_size
    if dtype == "f32":
        image = images(loaded)
        torch.testing.assert_close(loaded(image), model(image), rtol=1e-4, atol=1e-5)
    assert [file.name for file in tmp_path.iterdir()] == ["m.safetensors"]


def test_config_of_timms_deit(tmp_path):
    shuffle_vit.export(timm.create_model("deit_tiny_patch16_224", depth=1), tmp_path / "m.safetensors")
    config = shuffle_vit.load(tmp_path / "m.safetensors")[1]
    labels = config.pop("labels")
    assert len(labels) == 1000 and labels[0] == "tench, Tinca tinca"
    assert config == {
        "arch": "vit", "image_size": 224, "patch_size": 16, "in_channels": 3, "num_classes": 1000, "dim": 192, "depth": 1,
        "heads": 3, "mlp_ratio": 4.0, "qkv_bias": True, "layer_norm_eps": 1e-6, "tokens": "patch", "distilled": False,
        "pool": "cls", "norm_after_pool": False, "shuffle": False, "rescale": "none", "name": "deit_tiny_patch16_224",
        "class_token": True, "register_tokens": 0, "embed_class_token": True, "embed_registers": False, "pre_norm": False,
        "qk_norm": False, "layer_scale": False,
        "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225], "crop_pct": 0.9, "interpolation": "bicubic",
    }  # fmt: skip


def test_config_of_timms_swin(tmp_path):
    model = timm.create_model("swin_tiny_patch4_window7_224", in_chans=1, **SMALL_SWIN)
    model.pretrained_cfg = dict(model.pretrained_cfg) | {
        "crop_pct": 1.0, "interpolation": "bilinear", "label_names": list("vwxyz")
    }  # fmt: skip
    shuffle_vit.export(shuffle_vit.add_channel_shuffle(model, "half"), tmp_path / "m.safetensors")
    config = shuffle_vit.load(tmp_path / "m.safetensors")[1]
    assert config == {
        "arch": "swin", "image_size": 56, "patch_size": 4, "in_channels": 1, "num_classes": 5, "dim": 24, "depths": [2, 3],
        "heads": [3, 6], "window": 7, "mlp_ratio": 4.0, "qkv_bias": True, "layer_norm_eps": 1e-5, "shuffle": True,
        "rescale": "half", "name": "shuffle_swin_tiny_patch4_window7_224", "crop_pct": 1.0, "interpolation": "bilinear",
        "labels": list("vwxyz"),
    }  # fmt: skip


def test_labels_follow_the_head(tmp_path):
    path = tmp_path / "m.safetensors"
    model = vanilla("t2t_performer")
    model.config["labels"] = list("abcde")
    shuffle_vit.export(model, path)
    assert shuffle_vit.load(path)[1]["labels"] == list("abcde")
    shuffle_vit.export(model, path, labels=[])
    assert shuffle_vit.load(path)[1]["labels"] == []
    model.head = torch.nn.Linear(8, 7)
    shuffle_vit.export(model, path)
    config = shuffle_vit.load(path)[1]
    assert config["num_classes"] == 7 and "labels" not in config


def test_what_cannot_be_exported(tmp_path):
    model, path = vanilla("t2t_performer"), tmp_path / "m.safetensors"
    with pytest.raises(ValueError, match="2 labels for 5 classes"):
        shuffle_vit.export(model, path, labels=["a", "b"])
    with pytest.raises(TypeError, match="labels must be strings"):
        shuffle_vit.export(model, path, labels=[1, 2, 3, 4, 5])
    with pytest.raises(ValueError, match="dtype is 'int8'"):
        shuffle_vit.export(model, path, dtype="int8")
    with pytest.raises(IsADirectoryError):
        shuffle_vit.export(model, tmp_path)
    with torch.no_grad():
        model.norm.weight[0] = 1e6
    shuffle_vit.export(model, path, dtype=torch.bfloat16)
    with pytest.raises(ValueError, match="norm.weight: 1 values are not finite as f16; the largest in the model is 1e.06"):
        shuffle_vit.export(model, path, dtype="f16")
    model.norm = torch.nn.LayerNorm(4)
    with pytest.raises(ValueError, match=r"norm.weight is \[4\], but should be \[8\]"):
        shuffle_vit.export(model, path)
    assert [file.name for file in tmp_path.iterdir()] == ["m.safetensors"]


# The command line


def run(monkeypatch, capsys, *words):
    """(exit code, stdout, stderr)"""
    monkeypatch.setattr(sys, "argv", ["shuffle_vit", "export", *map(str, words)])
    try:
        code = command_line.main()
    except SystemExit as exit:
        code = exit.code
    return code, *capsys.readouterr()


@pytest.fixture
def command(monkeypatch, capsys):
    return lambda *words: run(monkeypatch, capsys, *words)


@pytest.fixture(scope="module")
def weights():
    """A small state dict with DeiT's names, whose sizes differ from the built-in model's."""
    config = shuffle_vit.named("deit_tiny") | {"image_size": 48, "num_classes": 4, "in_channels": 1}
    return randomised(shuffle_vit.build(config)).state_dict()


@pytest.mark.parametrize(
    ("key", "prefix", "ema"),
    [
        (None, "", False), (None, "model.", False), ("model", "", False), ("model", "", True), ("state_dict", "module.", False),
        ("state_dict", "module.", True), ("model", "module._orig_mod.", False),
    ],
)  # fmt: skip
def test_checkpoints_of_training_scripts(tmp_path, command, weights, key, prefix, ema):
    saved = {prefix + name: tensor for name, tensor in weights.items()}
    if key:
        other = {name: torch.zeros_like(tensor) for name, tensor in saved.items()}
        saved = {
            key: other if ema else saved,
            f"{key}_ema": saved if ema else other,
            "epoch": 3,
            "args": argparse.Namespace(lr=1),
        }
    torch.save(saved, tmp_path / "c.pth")
    out = tmp_path / "m.safetensors"
    code, text, err = command("--checkpoint", tmp_path / "c.pth", "--arch", "deit_tiny", out, *["--ema"] * ema)
    assert (code, err) == (0, "")
    assert "deit_tiny, " in text and f"{out.stat().st_size} bytes" in text
    tensors, config = shuffle_vit.load(out)
    assert tensors.keys() == weights.keys() and all(torch.equal(tensors[name], weights[name]) for name in weights)
    assert (config["image_size"], config["num_classes"], config["in_channels"]) == (48, 4, 1)
    assert "labels" not in config


@pytest.mark.parametrize("arch", ["t2t_vit_7", "swin_extra_tiny"])
def test_yitus_and_microsofts_files(tmp_path, command, arch):
    model = shuffle_vit.build(shuffle_vit.named(arch))
    tensors = model.state_dict()
    saved = dict(tensors)
    if arch.startswith("swin"):
        saved |= {"layers.0.blocks.1.attn.attn_mask": torch.zeros(64, 49, 49)}
        saved |= {"layers.0.blocks.0.attn.relative_position_index": torch.zeros(49, 49, dtype=torch.long)}
    torch.save({"model": saved}, tmp_path / "c.pth")
    assert command("--checkpoint", tmp_path / "c.pth", "--arch", arch, "--dtype", "f16", tmp_path / "m.safetensors")[0] == 0
    found, config = shuffle_vit.load(tmp_path / "m.safetensors")
    assert all(torch.equal(found[name], tensor.half().float()) for name, tensor in tensors.items())
    assert config["name"] == arch and config["labels"][999].startswith("toilet tissue")
    assert "crop_pct" not in config  # timm has neither, and nobody says how their images are prepared


def test_swins_window_is_read_from_its_table(tmp_path, command):
    config = shuffle_vit.named("swin_extra_tiny") | {"image_size": 128, "window": 4, "num_classes": 3}
    torch.save(shuffle_vit.build(config).state_dict(), tmp_path / "c.pth")
    assert command("--checkpoint", tmp_path / "c.pth", "--arch", "swin_extra_tiny", tmp_path / "m.safetensors")[0] == 0
    found = shuffle_vit.load(tmp_path / "m.safetensors")[1]
    assert (found["window"], found["image_size"], found["num_classes"]) == (4, 128, 3)


class Code:
    """Unpickling this could run code."""


def test_checkpoints_that_do_not_load(tmp_path, command, weights):
    path, out = tmp_path / "c.pth", tmp_path / "m.safetensors"

    def error(content, *words):
        torch.save(content, path) if not isinstance(content, bytes) else path.write_bytes(content)
        code, text, err = command("--checkpoint", path, "--arch", "deit_tiny", out, *words)
        assert (code, text) == (1, "") and err.startswith("error: ") and not out.exists()
        return err

    assert "not a PyTorch file" in error(b"nonsense")
    assert "not a PyTorch file" in error(b"")
    assert "could run code" in error({"model": weights, "args": Code()})
    assert "holds a list" in error([1, 2])
    assert "the keys epoch, model_ema; --ema takes" in error({"epoch": 1, "model_ema": weights})
    assert "none of state_dict_ema, model_ema, ema, but only the weights themselves" in error(weights, "--ema")
    assert "epoch is a int, not a tensor" in error({"model": weights | {"epoch": 3}})
    less = {name: tensor for name, tensor in weights.items() if "blocks.11" not in name}
    assert "12 tensors differ\n  missing: blocks.11.norm1.weight [192]" in error(less)
    many = {name.replace("mlp", "ffn"): tensor for name, tensor in weights.items()}
    err = error(many)
    assert "96 tensors differ" in err and "and 76 more" in err
    assert "norm.bias: 192 values are not finite" in error(weights | {"norm.bias": torch.full((192,), float("nan"))})
    assert "does not hold a deit_tiny" in error({"a": torch.ones(2)})
    code, _, err = command("--checkpoint", tmp_path / "none.pth", "--arch", "deit_tiny", out)
    assert code == 1 and "none.pth" in err
    (tmp_path / "bad.safetensors").write_bytes(b"\xff" * 100)
    code, _, err = command("--checkpoint", tmp_path / "bad.safetensors", "--arch", "deit_tiny", out)
    assert code == 1 and err.startswith("error: ")


def test_random_models_are_seeded(tmp_path, command):
    files = []
    for i, seed in enumerate((7, 7, 8)):
        files.append(tmp_path / f"{i}.safetensors")
        code, text, err = command(
            "--arch", "t2t_vit_7", "--random", "--shuffle", "--rescale", "half", "--seed", seed, files[-1]
        )
        assert code == 0 and "shuffle_t2t_vit_7, " in text and "train the model" in err
    a, b, c = (read_tensors(file) for file in files)
    assert json.loads(a[1]["config"])["rescale"] == "half"
    assert all(torch.equal(a[0][name], b[0][name]) for name in a[0])
    for name in ("head.weight", "blocks.0.mlp.fc1.weight", "tokens_to_token.project.weight"):
        assert not torch.equal(a[0][name], c[0][name]), name


def test_labels_from_a_file(tmp_path, command):
    (tmp_path / "names.txt").write_text("".join(f"class {i}\n" for i in range(1000)))
    words = ["--arch", "deit_tiny", "--random", tmp_path / "m.safetensors", "--labels", tmp_path / "names.txt"]
    assert command(*words)[0] == 0
    assert shuffle_vit.load(tmp_path / "m.safetensors")[1]["labels"][999] == "class 999"
    (tmp_path / "names.txt").write_text("one\n")
    code, _, err = command(*words)
    assert code == 1 and "1 labels for 1000 classes" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "required"),
        (("--arch", "deit_tiny"), "--arch needs either"),
        (("--arch", "deit_tiny", "--checkpoint", "x.pth", "--random"), "give one of the two"),
        (("--arch", "deit_huge", "--random"), "invalid choice"),
        (("--timm", "deit_tiny_patch16_224", "--checkpoint", "x.pth", "--random"), "give one of the two"),
        (("--transformers", "folder", "--checkpoint", "x.pth"), "goes with --arch or --timm"),
        (("--timm", "deit_tiny_patch16_244", "--random"), "it has deit_tiny_patch16_224"),
        (("--arch", "deit_tiny", "--random", "--ema"), "--ema goes with"),
        (("--arch", "deit_tiny", "--random", "--rescale", "half"), "go with --shuffle"),
        (("--arch", "deit_tiny", "--random", "--depths", "2,x"), "invalid depths"),
        (("--arch", "deit_tiny", "--random", "--dtype", "int8"), "invalid choice"),
    ],
)
def test_wrong_usage(tmp_path, command, words, message):
    code, text, err = command(*words, tmp_path / "m.safetensors")
    assert (code, text) == (2, "") and message in err and not list(tmp_path.iterdir())


def test_output_that_cannot_be_written(tmp_path, command):
    words = ["--arch", "deit_tiny", "--random"]
    code, _, err = command(*words, tmp_path / "none" / "m.safetensors")
    assert code == 1 and "is not a folder" in err
    code, _, err = command(*words, tmp_path)
    assert code == 1 and "is a folder" in err


def test_without_internet(tmp_path, command, monkeypatch):
    def offline(name, pretrained=False):
        raise OSError("Name or service not known\nand more")

    monkeypatch.setattr(timm, "create_model", offline)
    code, text, err = command("--timm", "deit_tiny_patch16_224", tmp_path / "m.safetensors")
    assert (code, text) == (1, "") and "--random" in err and "Name or service not known\n" in err and "and more" not in err


def process(*words):
    environment = os.environ | {"PYTHONPATH": str(TOOLS), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, "-m", "shuffle_vit", *map(str, words)], capture_output=True, text=True, env=environment
    )


def test_as_a_process(tmp_path):
    done = process(
        "export", "--timm", "deit_tiny_distilled_patch16_224", "--random", "--shuffle", tmp_path / "m.safetensors"
    )
    assert done.returncode == 0, done.stderr
    assert "shuffle_deit_tiny_distilled_patch16_224, 6481256 parameters, 1290289152 MACs, " in done.stdout
    done = process("export", "--checkpoint", tmp_path / "none.pth", "--arch", "deit_tiny", tmp_path / "r.safetensors")
    assert done.returncode == 1 and done.stderr.startswith("error: ") and "none.pth" in done.stderr


def test_help_and_other_models(tmp_path, command):
    code, text, _ = command("--help")
    assert code == 0 and "examples:" in text and "--ema" in text
    code, _, err = command("--timm", "resnet18", "--random", tmp_path / "m.safetensors")
    assert code == 1 and err.startswith("error: timm.models.resnet.ResNet is neither")


def test_the_rust_program_agrees(tmp_path, program):
    """A random timm DeiT-Tiny and its shuffled version, exported and run."""
    theirs = randomised(timm.create_model("deit_tiny_patch16_224"))
    image = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(5))
    write_tensors(tmp_path / "in.safetensors", {"image": image})
    for model in (theirs, shuffle_vit.add_channel_shuffle(theirs)):
        shuffle_vit.export(model, tmp_path / "m.safetensors")
        files = {"--model": "m", "--input": "in", "--output": "out"}
        words = [word for flag, file in files.items() for word in (flag, str(tmp_path / f"{file}.safetensors"))]
        done = subprocess.run([program, "run", *words], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        found = read_tensors(tmp_path / "out.safetensors")[0]["logits"]
        with torch.no_grad():
            right = model.double()(image.double())
        assert (found - right).abs().max() <= 1e-5 * right.abs().max()


def test_pins_are_those_of_the_requirements():
    with open(TOOLS / "pyproject.toml", "rb") as file:
        pins = tomllib.load(file)["project"]["dependencies"]
    assert set(pins) <= set((TOOLS / "requirements.txt").read_text().split())
