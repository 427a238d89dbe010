"""`make bench`: what the code costs, as ratios measured side by side in one run.

Absolute times say more about the machine than about the code, so nothing here is a test that fails by the clock: each
figure stands beside the same work done bare, in the same run, and beside its bound.
"""
