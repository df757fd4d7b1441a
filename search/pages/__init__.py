"""HTML pages and the look that their figures share."""
