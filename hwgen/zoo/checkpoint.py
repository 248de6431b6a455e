"""Checkpoints: safetensors files whose tensors are named as in the torch state dict."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from hwgen.errors import HwgenError

#: BatchNorm's step counters: not needed for inference, left out of files.
_COUNTER = "num_batches_tracked"
#: The one metadata key: safetensors writes several in random order, and equal checkpoints should be equal files.
_KEY = "hwgen"


def save_checkpoint(
    path: Path, module: nn.Module, metadata: Mapping[str, str], dtype: torch.dtype = torch.float16
) -> None:
    """Write parameters and buffers of ``module`` as ``dtype`` (atomically: a reader sees the old file or the new one).

    Raises:
        HwgenError: a value does not fit ``dtype`` (it would become infinite).
    """
    tensors: dict[str, Tensor] = {}
    for name, value in module.state_dict().items():
        if name.endswith(_COUNTER):
            continue
        tensors[name] = value.detach().to(dtype).contiguous()
        if not torch.isfinite(tensors[name]).all():
            raise HwgenError(f"tensor {name!r} holds values that {dtype} cannot, or NaN", where=str(path))
    temporary = path.with_name(f"{path.name}.part")
    temporary.write_bytes(save(tensors, {_KEY: json.dumps(dict(metadata), sort_keys=True)}))
    os.replace(temporary, path)


def read_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """All tensors of a file as float32, and the metadata given to ``save_checkpoint`` (empty for foreign files).

    Raises:
        HwgenError: the file does not exist or is no safetensors file.
    """
    if not path.is_file():
        raise HwgenError(f"checkpoint {str(path)!r} does not exist")
    try:
        with safe_open(path, "pt") as file:
            tensors = {name: file.get_tensor(name).to(torch.float32) for name in sorted(file.keys())}
            return tensors, dict(json.loads((file.metadata() or {}).get(_KEY, "{}")))
    except (SafetensorError, OSError, json.JSONDecodeError) as error:
        raise HwgenError(f"is no readable safetensors file: {error}", where=str(path)) from error


def load_state(module: nn.Module, tensors: Mapping[str, Tensor], where: str) -> None:
    """Copy ``tensors`` into ``module``.

    Raises:
        HwgenError: a tensor is missing, unknown, of the wrong shape, or not finite; the tensor is named.
    """
    state = module.state_dict()
    wanted = {name for name in state if not name.endswith(_COUNTER)}
    for name in sorted(wanted):
        if name not in tensors:
            raise HwgenError(f"tensor {name!r} is missing", where=where, allowed=f"shape {list(state[name].shape)}")
        if tensors[name].shape != state[name].shape:
            raise HwgenError(
                f"tensor {name!r} has shape {list(tensors[name].shape)}",
                where=where,
                allowed=f"{list(state[name].shape)}",
            )
        if not torch.isfinite(tensors[name]).all():
            raise HwgenError(f"tensor {name!r} holds NaN or infinity", where=where)
    unknown = sorted(name for name in set(tensors) - wanted if not name.endswith(_COUNTER))
    if unknown:
        raise HwgenError(f"tensor {unknown[0]!r} belongs to no layer of the network", where=where)
    module.load_state_dict({name: tensors[name] for name in wanted}, strict=False)
