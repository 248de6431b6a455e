"""Checkpoints: what is written is read, and what does not fit is named."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from hwgen.errors import HwgenError
from hwgen.zoo import read_checkpoint, save_checkpoint
from hwgen.zoo.checkpoint import load_state


def network(width: int = 4) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, width, 3), nn.BatchNorm2d(width), nn.Flatten(), nn.Linear(width * 4, 2))


def test_round_trip(tmp_path: Path) -> None:
    source, target = network(), network()
    path = tmp_path / "net.safetensors"
    save_checkpoint(path, source, {"model": "net"})
    tensors, metadata = read_checkpoint(path)
    load_state(target, tensors, str(path))
    assert metadata == {"model": "net"}
    assert not any("num_batches" in name for name in tensors)
    for name, value in target.state_dict().items():
        torch.testing.assert_close(value, source.state_dict()[name].to(torch.float16).to(value.dtype))
    assert [p.name for p in tmp_path.iterdir()] == ["net.safetensors"]


def test_wrong_shape_names_tensor_and_both_shapes(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    save_checkpoint(path, network(8), {})
    with pytest.raises(HwgenError) as error:
        load_state(network(4), read_checkpoint(path)[0], str(path))
    assert str(error.value) == f"{path}: tensor '0.bias' has shape [8]\n  allowed: [4]"


def test_missing_and_unknown_tensors() -> None:
    state = {name: value for name, value in network().state_dict().items() if "num_batches" not in name}
    with pytest.raises(HwgenError, match=r"tensor '3.bias' is missing\n  allowed: shape \[2\]"):
        load_state(network(), {name: value for name, value in state.items() if name != "3.bias"}, "file")
    with pytest.raises(HwgenError, match="tensor 'head' belongs to no layer"):
        load_state(network(), {**state, "head": torch.zeros(1)}, "file")


def test_values_that_are_no_numbers(tmp_path: Path) -> None:
    state = dict(network().state_dict())
    state["0.bias"] = torch.full((4,), float("nan"))
    with pytest.raises(HwgenError, match=r"tensor '0\.bias' holds NaN or infinity"):
        load_state(network(), state, "file")
    large = network()
    with torch.no_grad():
        large.get_parameter("0.bias").fill_(1e6)
    with pytest.raises(HwgenError, match=r"'0.bias' holds values that torch.float16 cannot"):
        save_checkpoint(tmp_path / "net.safetensors", large, {})
    assert list(tmp_path.iterdir()) == []


def test_unreadable_files(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    with pytest.raises(HwgenError, match="does not exist"):
        read_checkpoint(path)
    save_checkpoint(path, network(), {})
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(HwgenError, match="is no readable safetensors file"):
        read_checkpoint(path)
