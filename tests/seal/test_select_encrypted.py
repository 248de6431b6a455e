"""Which layers are encrypted."""

import itertools

import pytest

from hwgen.errors import HwgenError
from hwgen.seal import select_encrypted

LAYERS = {"conv1": 100, "relu1": 0, "layer1.conv": 400, "layer2.conv": 300, "fc": 200}


@pytest.mark.parametrize(("choice", "expected"), [
    ("all", tuple(LAYERS)),
    ("none", ()),
    (0, ()), ("0", ()), (0.0, ()), ("0%", ()),
    (0.05, ("conv1",)), ("10%", ("conv1",)),
    (0.11, ("conv1", "layer1.conv")), ("50%", ("conv1", "layer1.conv")),
    ("0.81", ("conv1", "layer1.conv", "layer2.conv", "fc")), (1, ("conv1", "layer1.conv", "layer2.conv", "fc")),
    ("fc, conv1", ("conv1", "fc")), (["fc"], ("fc",)), (("fc", "fc"), ("fc",)),
])
def test_choice(choice, expected):
    assert select_encrypted(choice, LAYERS) == expected


def test_larger_share_keeps_the_smaller():
    chosen = [set(select_encrypted(share / 40, LAYERS)) for share in range(41)]
    assert all(a <= b for a, b in itertools.pairwise(chosen))


def test_layer_called_all():
    assert select_encrypted(["all"], {"all": 1, "b": 2}) == ("all",)


def test_unknown_name():
    with pytest.raises(HwgenError, match="no layer is called") as error:
        select_encrypted("fc,layer1.cnv", LAYERS)
    assert "'layer1.cnv'" in str(error.value)
    assert "nearest names: layer1.conv" in str(error.value)


@pytest.mark.parametrize("choice", [-0.1, 1.5, "150%", "-1", float("nan")])
def test_bad_share(choice):
    with pytest.raises(HwgenError, match="a share of"):
        select_encrypted(choice, LAYERS)


@pytest.mark.parametrize("choice", ["", " , ", []])
def test_nothing_named(choice):
    with pytest.raises(HwgenError, match="nothing is named"):
        select_encrypted(choice, LAYERS)
