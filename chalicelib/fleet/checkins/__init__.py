"""Check-ins: what a handset says of itself every quarter of an hour, and for how long its container may stay open.

A fleet of 85,000 checks in four million times a day: a check-in costs one read and one write, of small rows.

| what | where |
|---|---|
| pure decisions, as tables: leases, pace, findings | `rules` |
| a check-in is taken | `taking` |
| the lease key, and until when it may be kept | `leases` |
| personal use: what is left, for the carrier | `usage` |
| what staff see of a depot's devices | `views`, `sheets` |
"""
