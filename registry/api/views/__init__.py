"""REST views of the registry: parse, call a service or a selector, present."""
