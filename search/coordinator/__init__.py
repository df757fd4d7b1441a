"""The search: proposes configurations, dispatches them, records epochs, prunes."""
