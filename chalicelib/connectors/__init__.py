"""What comes from and goes to the legacy applications: their formats, and the ways that files take."""
