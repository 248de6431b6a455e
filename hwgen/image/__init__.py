"""The model image: layouts, writer, reader, disassembler (docs/image-format.md)."""
