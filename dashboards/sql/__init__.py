"""The SQL service: queries of strangers, on a snapshot, in processes that end with them."""
