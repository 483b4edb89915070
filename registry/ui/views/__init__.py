"""Views of the registry's pages."""
