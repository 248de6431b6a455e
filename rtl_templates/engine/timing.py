"""Latencies of the engine's pipeline, in cycles from the issue of a pixel by the sequencer.

Every delay line of the engine is derived from these, so they are the one place to change when a stage is added.
"""

from hwgen.config.accelerator import AcceleratorConfig, WindowUnit

#: address visible at the activation memory
ADDRESS = 4
#: activation memory: request to data (bank input register, read, output register, select and mask register)
MEMORY = 4
#: activation word at the array's inputs (row 0)
ARRAY_INPUT = ADDRESS + MEMORY
#: line read issued by the weight fetch to line data at the array's inputs; one less than ARRAY_INPUT so that a tile
#: swap every ``lines_per_tile`` cycles is possible (see weight_fetch.py)
WEIGHT_LINE = ARRAY_INPUT - 1
#: accumulator memory: cycles before the same row may be visited again
ACCUMULATOR_REVISIT = 4
#: post-processor: accumulator register to output register
POST_PROCESS = 8
#: write: output register to the first cycle in which a read of the word may be issued at the memory's input
WRITE = 2
#: parameter slots between weight fetch and post-processor
PARAMETER_SLOTS = 4


def reduction_levels(config: AcceleratorConfig) -> int:
    """Adder-tree levels behind the multiplier chains."""
    chains = config.p_i // config.packing.chain
    return max(0, (chains - 1).bit_length())


def array_output(config: AcceleratorConfig) -> int:
    """Column sums valid: row skew, input, product and sum registers of the last chain position, unpack, tree."""
    return ARRAY_INPUT + config.packing.chain + 2 + 1 + reduction_levels(config)


def pool_output() -> int:
    """Cycle that corresponds to ``array_output`` for a pooled word."""
    return ARRAY_INPUT


def pipeline_latency(config: AcceleratorConfig) -> int:
    """Smallest distance in cycles between the issue of a pixel's last step and an issue that may read its result."""
    # array output -> accumulator register (1) -> post-processor -> memory write; the raw serialiser adds up to 4
    return array_output(config) + 1 + POST_PROCESS + WRITE + 4 - ADDRESS


#: window unit: weight-memory lines in front of it, read or on their way
WINDOW_QUEUE = 512
#: window unit: read granted to word in the unit's register (memory, then the register)
WINDOW_WORD = 4
#: window unit: from there to the column of words (row memory, output register)
WINDOW_ROWS = 2
#: window unit: descriptor taken to its first position, when it has nothing to wait for
WINDOW_START = 4


def window_lag(config: AcceleratorConfig) -> int:
    """Positions by which the words come after the outputs' numbers: the windows are gathered from the first tap on."""
    return config.window_kernel


def window_flush(config: AcceleratorConfig) -> int:
    """Positions behind an output's own that it takes to leave the taps: one for each, two registers of multipliers."""
    return config.window_taps + 2 * (config.window is WindowUnit.DEPTHWISE)


def window_result(config: AcceleratorConfig) -> int:
    """Cycles from a complete sum to the queue of results: selected, requantised (clamped, without multipliers)."""
    return 1 + (POST_PROCESS if config.window is WindowUnit.DEPTHWISE else 1)


def window_latency(config: AcceleratorConfig) -> int:
    """Cycles from the position of a descriptor's last output to its retirement, if its words and results never wait."""
    # stream register, word, column, positions, complete, result, queue, output register, written
    return (1 + WINDOW_WORD + WINDOW_ROWS + window_flush(config) + 1 + window_result(config)) + 4


def window_block_cycles(config: AcceleratorConfig) -> int:
    """Smallest distance in cycles of the first outputs of two blocks of a descriptor: the first one passes the last
    tap, then the lines of the block after the next are loaded."""
    return (1 + WINDOW_WORD + WINDOW_ROWS + window_flush(config) + 1) + config.window_lines + 3


def window_results(config: AcceleratorConfig) -> int:
    """Results on their way or waiting at most, a power of two: enough for one in every cycle."""
    return 1 << (window_latency(config) - 1).bit_length()
