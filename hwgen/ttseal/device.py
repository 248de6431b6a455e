"""Where torch computes."""

from __future__ import annotations

import torch

from hwgen.errors import HwgenError


def use_torch(device: str, threads: int | None) -> None:
    """Check that ``device`` is there, and set the number of threads of this process (None: torch's own choice).

    Raises:
        HwgenError: no such device, or no thread.
    """
    if threads is not None:
        if threads < 1:
            raise HwgenError(f"{threads} threads", where="--threads", allowed="1 or more")
        torch.set_num_threads(threads)
    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise HwgenError(f"torch cannot use {device!r}: {str(error).splitlines()[0]}", where="--device",
                         allowed="cpu, and cuda where there is such a device") from error
