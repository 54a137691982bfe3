"""Models as people have them, of timm and of transformers: converted, exported, and with the module plugged in.

The folders are those of `goldens_hub.py`, with what the public code computes from each in f64.
"""

import json
import shutil
import subprocess

import pytest
import torch

import shuffle_vit
from goldens_hub import HUB, TIMM, TRANSFORMERS
from shuffle_vit import __main__ as command_line
from shuffle_vit.checkpoint import read_tensors, write_tensors
from shuffle_vit.convert import convert
from shuffle_vit.transformers_models import open_model

timm = pytest.importorskip("timm")
torch.set_num_threads(1)
# the others are files of weights alone, which no library opens
FOLDERS = sorted(TRANSFORMERS) + sorted(name for name, (*_, how) in TIMM.items() if "file" not in how)


def opened(name):
    """This package's model of a folder."""
    if name in TRANSFORMERS:
        return convert(*open_model(HUB / name))
    return convert(timm.create_model(f"local-dir:{HUB / name}", pretrained=True)).eval()


def expected(name):
    tensors, _ = read_tensors(HUB / name / "expected.safetensors")
    return tensors["image"], tensors["logits" if "logits" in tensors else "features"]


def run(program, folder, model, image):
    """What the program computes with an exported model."""
    write_tensors(folder / "image.safetensors", {"image": image.float()})
    files = {"model": model, "input": folder / "image.safetensors", "output": folder / "out.safetensors"}
    words = [word for name, path in files.items() for word in (f"--{name}", str(path))]
    subprocess.run([program, "run", *words], check=True, capture_output=True)
    tensors, _ = read_tensors(folder / "out.safetensors")
    return tensors["logits" if "logits" in tensors else "features"]


def about(program, path):
    """What the program tells of a model, but for its file."""
    done = subprocess.run([program, "inspect", str(path)], check=True, capture_output=True, text=True)
    lines = [line for line in done.stdout.splitlines() if not line.startswith("file")]
    return "\n".join(lines[1 : lines.index("", 2) + 1])


@pytest.mark.parametrize("name", FOLDERS)
def test_converted_models_equal_the_public_ones(name):
    image, output = expected(name)
    torch.testing.assert_close(opened(name).double()(image.double()).float(), output, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("folded", [False, True])
@pytest.mark.parametrize("name", FOLDERS)
def test_the_program_runs_what_is_exported(tmp_path, program, name, folded):
    image, output = expected(name)
    file = tmp_path / "m.safetensors"
    shuffle_vit.export(opened(name), file, fold_layer_scale=folded)
    if folded and not any(tensor.endswith(".gamma") for tensor in opened(name).state_dict()):
        pytest.skip("no LayerScale")
    torch.testing.assert_close(run(program, tmp_path, file, image), output, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", FOLDERS)
def test_the_module_is_plugged_in(tmp_path, program, name):
    vanilla = opened(name)
    torch.manual_seed(1)
    shuffled = shuffle_vit.add_channel_shuffle(vanilla)
    before, after = vanilla.state_dict(), shuffled.state_dict()
    blocks = [tensor for tensor in before if ".blocks." in f".{tensor}"]
    assert blocks and all(torch.equal(after[tensor], before[tensor]) for tensor in blocks)
    shuffle_vit.export(shuffled, tmp_path / "m.safetensors")
    image, _ = expected(name)
    output = run(program, tmp_path, tmp_path / "m.safetensors", image)
    torch.testing.assert_close(output, shuffled.double()(image.double()).float(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", FOLDERS)
def test_the_program_says_the_same_of_a_folder_and_of_what_is_exported(tmp_path, program, name):
    """Sizes, preparation and labels, of which each has its own reader."""
    shuffle_vit.export(opened(name), tmp_path / "m.safetensors")

    assert about(program, HUB / name) == about(program, tmp_path / "m.safetensors")


@pytest.mark.parametrize("name", ["hf_vit", "hf_deit", "hf_swin", "hf_dinov2"])
@pytest.mark.parametrize(
    "says",
    [
        {},
        {"size": 40, "crop_size": {"height": 32, "width": 32}, "do_center_crop": True, "resample": 0},
        {"size": {"shortest_edge": 20}, "do_normalize": False, "image_processor_type": "ViTImageProcessorFast"},
        {"size": {"shortest_edge": 100}, "image_processor_type": "ConvNextFeatureExtractor", "rescale_factor": 1 / 127.5},
        {"size": {"shortest_edge": 400}, "feature_extractor_type": "ConvNextFeatureExtractor", "crop_pct": 0.9},
    ],
)
def test_processors_are_understood_alike(tmp_path, program, name, says):
    """What a processor's file says and leaves out, read by the program and by the exporter."""
    folder = tmp_path / "folder"
    shutil.copytree(HUB / name, folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(says))
    shuffle_vit.export(convert(*open_model(folder)), tmp_path / "m.safetensors")
    assert about(program, folder) == about(program, tmp_path / "m.safetensors")


def test_positions_of_another_size_are_timms(tmp_path, program, monkeypatch):
    """A file is exported at the size that timm is asked for, and timm resamples the positions."""
    image = read_tensors(HUB / "timm_dinov2/expected.safetensors")[0]
    words = ["--timm", f"local-dir:{HUB / 'timm_dinov2'}", "--resize-positions", "12", str(tmp_path / "m.safetensors")]
    monkeypatch.setattr("sys.argv", ["shuffle_vit", "export", *words])
    assert command_line.main() == 0
    output = run(program, tmp_path, tmp_path / "m.safetensors", image["image_at"])
    torch.testing.assert_close(output, image["features_at"], rtol=1e-4, atol=1e-5)


def test_labels_and_preparation_come_along(tmp_path):
    shuffle_vit.export(opened("hf_deit"), tmp_path / "m.safetensors")
    config = json.loads(read_tensors(tmp_path / "m.safetensors")[1]["config"])
    assert config["labels"][0] == "tench" and config["crop_mode"] == "squash" and config["resize"] == 18
