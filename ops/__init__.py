"""Commands for who is on call: replay the journal to a consumer, look into dead-letter queues and redrive them.

They run where the operator is, with the operator's own rights, against a stage. They use the product's code; nothing
of the product knows them.
"""
