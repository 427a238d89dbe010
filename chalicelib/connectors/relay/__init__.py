"""From the journal's stream to one queue for each consumer: who takes what is a table, `subscriptions.py`."""
