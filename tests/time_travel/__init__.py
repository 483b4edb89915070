"""What was, answered as of then: history, moments, pages, API."""
