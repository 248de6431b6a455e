"""The build as one ordered list of steps, each with its own folder, resumable, reused while its inputs are the same."""
