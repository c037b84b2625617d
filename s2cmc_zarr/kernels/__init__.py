"""Kernels: pure functions that turn the pixels of one scene into small additive counts."""
