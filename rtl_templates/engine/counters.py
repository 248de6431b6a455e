"""Names of the engine's counters: of the registers too (``<NAME>.count``), and of what the driver reports."""

from amaranth.lib import data

#: of every cycle until the compute program ends, exactly one is counted
EXCLUSIVE_COUNTERS = ("busy", "stall_weights", "stall_act", "stall_drain", "stall_window", "stall_other")
#: ``interval`` is no sum: cycles between the last two frames that a streaming pipeline has completed
COUNTERS = (*EXCLUSIVE_COUNTERS, "window_busy", "interval")


def counters_layout() -> data.StructLayout:
    """Cycles since ``clear``."""
    return data.StructLayout(dict.fromkeys(COUNTERS, 32))
