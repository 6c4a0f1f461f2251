"""A plugin-based benchmarking harness for recurrent language models."""

__version__ = "0.1.0"
