"""A node somewhere else, with the interface of a ledger."""
