"""What the command line offers of the catalog: one module a group of commands. Each reads its heavy parts only when it runs."""
