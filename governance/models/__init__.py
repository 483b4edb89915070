"""Data of governance: policies, requests and decisions, evidence, waivers, permits."""

from governance.models.broken_glass import BrokenGlass
from governance.models.evidence import CheckRun, EvidenceSnapshot, WorkerHeartbeat
from governance.models.exemptions import GateExemption
from governance.models.exports import Export, Sample
from governance.models.issuing import PermitIssuance, StatusList, TrustRoot
from governance.models.parts import CheckPart
from governance.models.policies import Policy, PolicyVersion
from governance.models.reports import ReportFile, ReportJob
from governance.models.requests import Challenge, Comment, Decision, Permit, PromotionRequest
from governance.models.waivers import Waiver, WaiverSignature

__all__ = [
    "BrokenGlass",
    "Challenge",
    "CheckPart",
    "CheckRun",
    "Comment",
    "Decision",
    "EvidenceSnapshot",
    "Export",
    "GateExemption",
    "Permit",
    "PermitIssuance",
    "Policy",
    "PolicyVersion",
    "PromotionRequest",
    "ReportFile",
    "ReportJob",
    "Sample",
    "StatusList",
    "TrustRoot",
    "Waiver",
    "WaiverSignature",
    "WorkerHeartbeat",
]
