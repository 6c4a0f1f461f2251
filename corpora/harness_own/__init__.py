"""Texts a user gave a name with `harness corpora add`."""
