"""Guards: who may have something destroyed, and how much of it. Whatever destroys passes `choke`, whoever asked.

Two different people confirm the exact words with a passkey; buckets bound how much one person, depot, region and the
whole fleet may lose in a while; a breaker stops everything until a third person closes it.
"""
