"""Command line and console: how people run the product and see what it does."""
