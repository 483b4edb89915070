"""Path converter of a promotion request's number: ``REQ-0412``."""


class RefConverter:
    """As people cite it; only the one spelling."""

    regex = r"REQ-(?:[0-9]{4}|[1-9][0-9]{4,8})"

    def to_python(self, value: str) -> int:
        """Read the number."""
        return int(value.removeprefix("REQ-"))

    def to_url(self, value: int) -> str:
        """Write the reference."""
        return f"REQ-{value:04d}"
