"""A reference handset: it enrols, signs its requests, keeps an outbox on disk and syncs.

Tests, the demo and the load generator use it, and a maker of handsets may read it beside docs/protocol.
It knows the back office by its HTTPS endpoints only and imports nothing of it.
"""
