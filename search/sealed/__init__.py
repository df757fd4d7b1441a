"""The sealed test: the only room that opens the test images."""
