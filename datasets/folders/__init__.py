"""Images in folders: found, read, surveyed, sealed."""
