"""A frame played in time: the accelerator's units as processes that wait for one another and share the memory."""
