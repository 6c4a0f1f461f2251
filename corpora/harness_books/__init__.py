"""Books as corpora: the Brontë sisters' chapters and The Time Machine."""
