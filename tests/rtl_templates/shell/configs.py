"""Small configurations for the shell's tests."""

from hwgen.config.accelerator import AcceleratorConfig, Crypto, DspPacking


def small(p_i: int = 16, **changes) -> AcceleratorConfig:
    """Small memories, two ports, no crypto."""
    values = {"p_i": p_i, "p_o": 2 * p_i, "acc_depth": 16, "act_words": 512, "line_columns": 4, "weight_lines": 64,
              "axi_ports": 2, "program_words": 256, "crypto": Crypto.BYPASS, "packing": DspPacking.DSP48E2}
    return AcceleratorConfig(**{**values, **changes})
