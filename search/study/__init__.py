"""What to search: studies, families, spaces, and how a study is found by its name. Values only."""
