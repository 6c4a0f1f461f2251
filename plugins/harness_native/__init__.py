"""Compiled kernels for the NumPy backend's recurrent layers."""
