"""The executor of this machine: workers are its processes."""
