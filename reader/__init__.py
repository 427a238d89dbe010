"""The reference door verifier: it judges a pass with no network, and says in a signed receipt what it did.

It stands alone: `cryptography` and `cbor2`, no cloud, and nothing of the back office or of the handset. A maker of
readers may build on it, or build anew from docs/protocol/pass.md and its vectors.
"""
