"""One thread of torch: tiny networks are slower with more, and results do not depend on the machine."""

from __future__ import annotations

from tests.helpers.torch_threads import one_thread

__all__ = ["one_thread"]
