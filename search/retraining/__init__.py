"""The best configurations trained again, on all images."""
