"""Every worker function of the product, by its deployed name. Importing this declares their models."""

from chalicelib.connectors.relay.workers import relay
from chalicelib.connectors.tracking.workers import despatch, tracking

__all__ = ["despatch", "relay", "tracking"]
