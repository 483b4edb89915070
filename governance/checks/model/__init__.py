"""The model itself and what is said about it: card, claims, metrics, requirements, resources, security."""
