"""REST views of governance: parse, call a service or a selector, present."""
