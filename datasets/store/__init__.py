"""How images are held: split, cached, shared."""
