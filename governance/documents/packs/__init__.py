"""The data packs of every report: ordinary reads through selectors, so that they answer as of any time a page does."""
