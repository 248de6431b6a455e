"""Inline AES-GCM: per-segment authenticated decryption between the memory ports and the buffers."""
