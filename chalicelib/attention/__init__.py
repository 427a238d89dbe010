"""What needs a human's eye in a depot: each thing once, until somebody says what was done about it.

What judges raises an entry in the transaction of its judgement (`raising`). It knows no feature: an entry names what it
is about by its place in the journal, and says nothing of who received or where somebody lives.
"""
