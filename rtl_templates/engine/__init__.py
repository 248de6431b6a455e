"""The tensor engine: sequencer, weight fetch, array, accumulators, pooling, post-processor, activation memory."""
