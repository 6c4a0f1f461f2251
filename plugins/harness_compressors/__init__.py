"""General compressors as language models."""
