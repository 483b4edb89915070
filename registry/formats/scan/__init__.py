"""The artifact gate: model files read as bytes, nothing imported, nothing executed. Default-deny.

A scan is triage, not safety: what passes still runs in the sandbox only.
"""

from registry.formats.scan.directory import scan_directory
from registry.formats.scan.mlmodel import MLmodelError, ModelFile, read_model_file
from registry.formats.scan.report import Finding, ScanReport

__all__ = ["Finding", "MLmodelError", "ModelFile", "ScanReport", "read_model_file", "scan_directory"]
