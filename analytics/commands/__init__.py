"""What the command line offers about usage: one module a group of commands. Each reads its heavy parts only when it runs."""
