"""The hardware: parameterised Amaranth components, one file each."""
