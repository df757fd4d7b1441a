"""What a search, a test and people see of prepared images."""
