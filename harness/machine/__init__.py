"""What this machine has, and where the harness keeps things on it."""
