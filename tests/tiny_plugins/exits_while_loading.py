"""A plugin that ends the process that loads it."""

import sys

sys.exit(7)
