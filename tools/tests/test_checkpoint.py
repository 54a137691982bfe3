import json

import pytest
import torch

import shuffle_vit
from shuffle_vit.checkpoint import read_tensors, write_tensors

CONFIG = {"arch": "vit", "dim": 6, "depth": 2, "heads": 2, "image_size": 8, "patch_size": 4, "labels": ["a", None, "c"],
          "num_classes": 3, "shuffle": True, "rescale": "learned"}  # fmt: skip


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_round_trip(tmp_path, dtype):
    tensors = shuffle_vit.PlainViT(CONFIG).state_dict()
    shuffle_vit.save(tmp_path / "m.safetensors", tensors, CONFIG, dtype)
    loaded, config = shuffle_vit.load(tmp_path / "m.safetensors")
    assert config == CONFIG
    assert loaded.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert torch.equal(loaded[name], tensor.to(dtype).float()), name


def test_layout(tmp_path):
    """Data starts on 64 bytes, wide types come first, and no byte is unused."""
    tensors = {"a": torch.ones(3, dtype=torch.uint8), "b": torch.ones(5, dtype=torch.float16),
               "c": torch.ones(7), "d": torch.ones(16), "scalar": torch.tensor(2.0)}  # fmt: skip
    path = tmp_path / "t.safetensors"
    write_tensors(path, tensors)
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    assert (8 + length) % 64 == 0
    header = json.loads(data[8 : 8 + length])
    assert list(header) == ["d", "c", "scalar", "b", "a"]
    assert header["a"]["data_offsets"][1] == len(data) - 8 - length
    read, metadata = read_tensors(path)
    assert metadata == {}
    assert all(torch.equal(read[name], tensor) for name, tensor in tensors.items())


def test_without_config(tmp_path):
    write_tensors(tmp_path / "t.safetensors", {"a": torch.ones(3)})
    with pytest.raises(ValueError, match="no `config`"):
        shuffle_vit.load(tmp_path / "t.safetensors")
