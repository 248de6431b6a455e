"""Resources and logic depth from Yosys: every distinct module is synthesised once, cached, and multiplied."""
