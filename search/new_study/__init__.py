"""A study written for a folder of images."""
