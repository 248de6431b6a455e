"""Work on several processes, of this machine or of others: Dask."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from typing import Any

from hwgen.errors import HwgenError, ToolMissingError

_NANNY = "distributed.nanny.pre-spawn-environ"
#: of glibc's allocator in the workers, bytes. By Dask's setting they return every freed buffer to the system at once;
#: for tensors, which come and go with every layer, that takes as long as computing them
_KEEP_BUFFERS = {f"{_NANNY}.MALLOC_TRIM_THRESHOLD_": 1 << 30, f"{_NANNY}.MALLOC_MMAP_THRESHOLD_": 1 << 25}


@contextmanager
def connect(workers: int = 1, scheduler: str = "") -> Iterator[Any]:
    """A ``distributed.Client``; a local cluster ends with the block.

    Args:
        workers: processes of the local cluster.
        scheduler: address of a running Dask scheduler instead of a local cluster. Its workers must have hwgen, and see
            data and output under the same paths.

    Raises:
        ToolMissingError: ``distributed`` is not installed.
        HwgenError: no worker, or a scheduler that cannot be reached.
    """
    if workers < 1:
        raise HwgenError(f"{workers} is not possible", where="--workers", allowed="1 or more")
    distributed = _library()
    if scheduler:
        try:
            client = distributed.Client(scheduler, timeout=10)
        except (OSError, TimeoutError, ValueError) as error:
            raise HwgenError(f"no Dask scheduler answers: {error}", where="--scheduler",
                             allowed="an address such as tcp://host:8786") from error
        with client:
            yield client
        return
    with import_module("dask").config.set(_KEEP_BUFFERS), ExitStack() as stack:
        with _deaf_children():
            cluster = stack.enter_context(distributed.LocalCluster(
                n_workers=workers, threads_per_worker=1, dashboard_address=":0", silence_logs=logging.CRITICAL))
        yield stack.enter_context(distributed.Client(cluster))


@contextmanager
def _deaf_children() -> Iterator[None]:
    """Processes started in the block never see Ctrl-C: who started them hears it and ends them, without their
    tracebacks."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    old = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, old)


def completed(futures: Iterable[Any]) -> Iterator[Any]:
    """The futures of a client, each as soon as it is done or has failed."""
    return iter(_library().as_completed(list(futures)))


def _library() -> Any:
    try:
        return import_module("distributed")
    except ImportError:
        raise ToolMissingError("Dask is not installed (distributed)", where="--workers",
                               hint='pip install -c constraints.txt "hwgen[sweep]", or one at a time') from None
