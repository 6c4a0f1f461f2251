"""Books as corpora: collections that come with the harness, and whole books that are fetched and checked."""
