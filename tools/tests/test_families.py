import pytest
import torch

import shuffle_vit
from goldens import randomise
from shuffle_vit.cost import cost
from shuffle_vit.t2t import sinusoid

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
