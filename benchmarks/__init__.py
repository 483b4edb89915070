"""What the product must be fast at, measured beside its peer in one run. ``make bench`` prints the ratios."""
