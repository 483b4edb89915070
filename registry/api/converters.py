"""Path converters: what no object can be named does not match, so it is 404 and never reaches the database."""


class NameConverter:
    """A name in one path segment."""

    regex = r"[^/:\x00-\x1f\x7f]{1,256}"

    def to_python(self, value: str) -> str:
        """Take it as it is."""
        return value

    def to_url(self, value: str) -> str:
        """Give it as it is; ``reverse`` quotes."""
        return value


class FilePathConverter(NameConverter):
    """A path inside an artifact: slashes, no control characters."""

    regex = r"[^\x00-\x1f\x7f]{1,1024}"


class NumberConverter:
    """A positive number that fits PostgreSQL's integer."""

    regex = r"[1-9][0-9]{0,8}"

    def to_python(self, value: str) -> int:
        """Read it."""
        return int(value)

    def to_url(self, value: int) -> str:
        """Write it."""
        return str(value)
