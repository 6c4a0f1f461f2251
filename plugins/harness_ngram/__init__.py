"""N-gram language models with Kneser-Ney smoothing."""
