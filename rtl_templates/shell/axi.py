"""AXI4 signatures as the accelerator uses them: 128-bit data, INCR bursts, one identifier, answers in order."""

from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

ADDR_BITS = 40
#: addresses inside the shell count 16-byte beats
BEAT_ADDR_BITS = ADDR_BITS - 4
DATA_BITS = 128
#: AxSIZE of a full 16-byte beat
SIZE_16_BYTES = 4
BURST_INCR = 1
#: normal, modifiable, bufferable memory
CACHE_MODIFIABLE = 3


def read_members() -> dict[str, wiring.Member]:
    """Signals of an AXI4 read master."""
    return {
        "arid": Out(1), "araddr": Out(ADDR_BITS), "arlen": Out(8), "arsize": Out(3, init=SIZE_16_BYTES),
        "arburst": Out(2, init=BURST_INCR), "arcache": Out(4, init=CACHE_MODIFIABLE), "arprot": Out(3),
        "arvalid": Out(1), "arready": In(1),
        "rid": In(1), "rdata": In(DATA_BITS), "rresp": In(2), "rlast": In(1), "rvalid": In(1), "rready": Out(1),
    }


def write_members() -> dict[str, wiring.Member]:
    """Signals of an AXI4 write master."""
    return {
        "awid": Out(1), "awaddr": Out(ADDR_BITS), "awlen": Out(8), "awsize": Out(3, init=SIZE_16_BYTES),
        "awburst": Out(2, init=BURST_INCR), "awcache": Out(4, init=CACHE_MODIFIABLE), "awprot": Out(3),
        "awvalid": Out(1), "awready": In(1),
        "wdata": Out(DATA_BITS), "wstrb": Out(DATA_BITS // 8), "wlast": Out(1), "wvalid": Out(1), "wready": In(1),
        "bid": In(1), "bresp": In(2), "bvalid": In(1), "bready": Out(1),
    }


def read_signature() -> wiring.Signature:
    """Signature of an AXI4 read master."""
    return wiring.Signature(read_members())


def write_signature() -> wiring.Signature:
    """Signature of an AXI4 write master."""
    return wiring.Signature(write_members())
