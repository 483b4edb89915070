"""Views of governance's pages."""
