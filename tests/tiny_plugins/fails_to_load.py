"""A plugin that cannot be imported."""

raise RuntimeError("my framework is too old\nand so am I")
