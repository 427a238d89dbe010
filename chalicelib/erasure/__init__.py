"""Erasure: data keys are destroyed when their last day is over, and with them what was sealed under them.

It knows subjects and days, never what was sealed. What happened stays in the journal; to whom is gone.
"""
