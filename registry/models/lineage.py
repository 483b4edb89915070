"""Lineage: an append-only graph (W3C PROV: used, wasGeneratedBy, wasDerivedFrom)."""

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import F, Q

from audit.append_only import append_only_triggers
from audit.governed import EntryOf
from audit.subjects import row_facts


class Node(models.Model):
    """A thing in the lineage graph, by kind and identity. Written once."""

    ledger_entry_of: ClassVar = EntryOf()
    ledger_rows: ClassVar = ("in_edges",)

    ledger_append_only = True

    class Kind(models.TextChoices):
        DATASET = "dataset", "Data set"
        CODE = "code", "Code"
        ENVIRONMENT = "environment", "Environment"
        RUN = "run", "Run"
        VERSION = "version", "Model version"
        DEPLOYMENT = "deployment", "Deployment"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=12, choices=Kind)
    namespace = models.CharField(max_length=400, blank=True)
    name = models.CharField(max_length=400)
    version = models.CharField(max_length=200, blank=True)
    digests = models.JSONField(default=dict, help_text='{"sha256": …, "mlflow_md5_32": …, "git_commit": …}.')
    facts = models.JSONField(default=dict, help_text="What else is known, for people: seeds, dirty flag, package list.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        triggers = append_only_triggers()
        constraints = [
            models.UniqueConstraint(fields=["kind", "namespace", "name", "version"], name="node_identity_once")
        ]

    @property
    def ledger_version(self) -> str:
        """The words by which the ledger's readers know it."""
        return f"{self.kind} {self}"[:255]

    def __str__(self) -> str:
        return f"{self.name} {self.version}".strip()

    def ledger_facts(self) -> dict[str, object]:
        """The row and the edges that lead to it."""
        edges = [row_facts(edge) for edge in sorted(self.in_edges.all(), key=lambda one: one.pk)]
        return {**row_facts(self), "edges": edges}


class Edge(models.Model):
    """Data → product. A retraction is an edge too; nothing is deleted."""

    ledger_entry_of: ClassVar = EntryOf("registry.node", "dst_id")

    ledger_append_only = True

    class Relation(models.TextChoices):
        USED = "used", "Used"
        GENERATED = "generated", "Generated"
        DERIVED = "derived_from", "Derived from"
        DEPLOYED = "deployed_as", "Deployed as"
        EVALUATED = "evaluated_on", "Evaluated on"
        RETRACTS = "retracts", "Retracts"

    src = models.ForeignKey(Node, on_delete=models.PROTECT, related_name="out_edges")
    dst = models.ForeignKey(Node, on_delete=models.PROTECT, related_name="in_edges")
    relation = models.CharField(max_length=16, choices=Relation)
    run = models.CharField(max_length=64, blank=True)
    context = models.CharField(max_length=40, blank=True, help_text="Role of the input: training, test, base model …")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        triggers = append_only_triggers()
        constraints = [
            models.UniqueConstraint(fields=["src", "dst", "relation", "context"], name="edge_once"),
            models.CheckConstraint(name="edge_joins_two_nodes", condition=~Q(src=F("dst"))),
        ]
        indexes = [
            models.Index(fields=["dst", "src"], name="edge_upwards"),
            models.Index(fields=["src", "dst"], name="edge_downwards"),
        ]

    def __str__(self) -> str:
        return f"{self.src} {self.relation} {self.dst}"
