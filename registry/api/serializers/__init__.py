"""What goes in and what comes out. No serializer writes."""
