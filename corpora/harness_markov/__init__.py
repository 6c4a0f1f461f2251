"""Sources of known entropy: text whose best possible bits per character are computed and not estimated from models."""
