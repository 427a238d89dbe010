"""Reference for those who build against the API: its description, readable, and a page for each problem type.

The pages' texts are `problems/<slug>.md`, the one place for them; `static/` holds what the readable description needs.
"""
