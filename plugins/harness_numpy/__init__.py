"""The NumPy backend: every cell under an autodiff library, and layers with the backward pass written by hand."""
