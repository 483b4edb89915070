"""The demonstration: a client of the product, over HTTP, on data with people in it. docs/tutorial/demo.md tells it."""
