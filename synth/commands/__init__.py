"""What the command line offers of synthesis: one module a group of commands. Each reads its heavy parts only when it runs."""
