"""Reports: data packs built by selectors, and the one way they become PDF, page and CSV. See docs/adr/0017-reports.md."""

from governance.documents.rendering import NotRendered, render
from governance.documents.shape import File, LogHead, Pack, pack_bytes

__all__ = ["File", "LogHead", "NotRendered", "Pack", "pack_bytes", "render"]
