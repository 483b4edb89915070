"""The tables of the ledger. ``canon`` is the truth; every other column of an entry is derived from it or proves it.

A transaction of the product writes one ``Inbox`` row per change. The sequencer moves committed rows to ``Entry`` with a
dense index, and stores the Merkle tree over them (``Node``) and a signed head of it (``Checkpoint``). ``Cursor`` says
how far each follower has read. See docs/adr/0002-ledger.md.
"""

import json
from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar

from django.db import models
from django.db.models import F, Func

from audit.append_only import append_only_triggers
from audit.persons import Disclosure, Person
from audit.retention import LegalHold, RetentionRule
from audit.verifications import Verification
from audit.witnessing.models import Anchor, Attestor, Cosignature, TimeStamp

__all__ = [
    "Anchor",
    "Attestor",
    "Checkpoint",
    "Cosignature",
    "Cursor",
    "Disclosure",
    "Entry",
    "Inbox",
    "LegalHold",
    "Node",
    "Person",
    "RetentionRule",
    "StreamHead",
    "TimeStamp",
    "Verification",
]


def _from_canon(path: str, kind: "models.Field[Any, Any]", cast: str = "{}") -> "models.GeneratedField":
    """Return a stored column that PostgreSQL computes from ``canon``: it cannot drift and nobody can write it."""
    template = cast.format("(%(expressions)s::jsonb #>> '{" + path + "}')")
    return models.GeneratedField(
        expression=Func(F("canon"), template=template, output_field=kind), output_field=kind, db_persist=True
    )


class Inbox(models.Model):
    """Changes that are written but not yet in the tree. Only ``canon`` is given; the rest is PostgreSQL's."""

    ledger_free: ClassVar[str] = "The log itself, before it has its place."

    id = models.BigAutoField(primary_key=True)
    canon = models.TextField()
    txid = models.BigIntegerField(
        db_default=Func(template="(pg_current_xact_id()::text::bigint)", output_field=models.BigIntegerField())
    )
    about = models.GeneratedField(
        expression=Func(F("canon"), function="audit_canon_about", output_field=models.TextField()),
        output_field=models.TextField(),
        db_persist=True,
        help_text="type:id of the object, by which the triggers of audit.triggers find the entry of a change.",
    )

    class Meta:
        verbose_name_plural = "inbox"
        indexes = [models.Index("txid", "about", name="inbox_by_object")]
        constraints = [
            # Whatever passes here can become an entry, so no writer can stop the sequencer with a bad row.
            # ``about`` is null for what is not sound: PostgreSQL reads the text once.
            models.CheckConstraint(name="inbox_canon_is_sound", condition=models.Q(about__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"waiting change {self.pk}"


class Entry(models.Model):
    """One change, in its place for ever. The leaf of the tree is ``leaf_text``, its hash is ``leaf_hash``."""

    ledger_free: ClassVar[str] = "The log itself, which its tree and its witnesses vouch for."

    ledger_append_only: ClassVar[bool] = True

    index = models.BigIntegerField(primary_key=True)
    canon = models.TextField()
    stream_n = models.BigIntegerField()
    stream_previous = models.BigIntegerField(null=True)
    leaf_hash = models.GeneratedField(
        expression=Func(
            F("canon"),
            F("stream_n"),
            F("stream_previous"),
            function="audit_leaf_hash",
            output_field=models.BinaryField(),
        ),
        output_field=models.BinaryField(),
        db_persist=True,
    )
    entry_id = _from_canon("id", models.TextField())
    at = _from_canon("at", models.DateTimeField(), "to_timestamp({}::double precision / 1000000)")
    action = _from_canon("action", models.TextField())
    actor_id = _from_canon("actor,id", models.TextField())
    actor_name = _from_canon("actor,name", models.TextField())
    """Of entries of the first format; null in the second, which says nobody's name (``audit.personal.named``)."""
    actor_kind = _from_canon("actor,kind", models.TextField())
    object_type = _from_canon("object,type", models.TextField())
    object_id = _from_canon("object,id", models.TextField())
    object_version = _from_canon("object,version", models.TextField())
    object_digest = _from_canon("object,digest", models.TextField())
    request_id = _from_canon("request_id", models.TextField())

    class Meta:
        verbose_name_plural = "entries"
        triggers = append_only_triggers("entry")
        constraints = [
            models.CheckConstraint(name="entry_index_not_negative", condition=models.Q(index__gte=0)),
            models.CheckConstraint(
                name="entry_first_of_stream_has_no_previous",
                condition=models.Q(stream_n=1, stream_previous=None)
                | models.Q(stream_n__gt=1, stream_previous__gte=0, stream_previous__lt=F("index")),
            ),
        ]
        indexes = [
            models.Index("action", F("index").desc(), name="entry_by_action"),
            models.Index("actor_id", F("index").desc(), name="entry_by_actor"),
            models.Index("object_type", "object_id", F("index").desc(), name="entry_by_object"),
            models.Index("at", name="entry_by_time"),
            models.Index("entry_id", name="entry_by_id"),
            models.Index("request_id", name="entry_by_request", condition=~models.Q(request_id="")),
        ]

    who: str = ""
    """What people call the actor, once ``audit.personal.named`` has looked it up."""
    whom: str = ""
    """The same of the account that the entry is about, if it is about one."""

    def __str__(self) -> str:
        return f"entry {self.index}: {self.action}"

    @cached_property
    def body(self) -> dict[str, Any]:
        """What the transaction wrote, parsed."""
        parsed: dict[str, Any] = json.loads(self.canon)
        return parsed

    @property
    def leaf_text(self) -> str:
        """The bytes under the leaf hash: the body as written, and its place in its object's stream."""
        return leaf_text(self.canon, self.stream_n, self.stream_previous)

    @property
    def subject_type(self) -> str:
        """Kind of the object, ``app.model``."""
        return str(self.object_type)

    @property
    def subject_id(self) -> str:
        """Id of the object."""
        return str(self.object_id)

    @property
    def facts(self) -> Mapping[str, Any]:
        """Facts the change vouches for, such as digests."""
        return dict(self.body["facts"])

    @property
    def diff(self) -> Mapping[str, Any]:
        """What changed."""
        return dict(self.body["diff"])

    @property
    def reason(self) -> str:
        """The reason a person gave, or nothing."""
        return str(self.body["reason"])


class Node(models.Model):
    """A complete subtree of 2**level leaves from leaf index * 2**level on; levels 8, 16, 24 and so on.

    ``children`` holds the 256 hashes eight levels below, one after the other: the full C2SP tile at level
    ``level / 8 - 1`` with this index. It is also a second witness of each leaf hash, so that a changed entry can be
    named.
    """

    ledger_free: ClassVar[str] = "The log's tree, which every proof is checked against."

    ledger_append_only: ClassVar[bool] = True

    pk = models.CompositePrimaryKey("level", "index")
    level = models.SmallIntegerField()
    index = models.BigIntegerField()
    hash = models.BinaryField()
    children = models.BinaryField()

    class Meta:
        triggers = append_only_triggers("node")
        constraints = [
            models.CheckConstraint(
                name="node_level_is_a_tile_level", condition=models.Q(level__in=[8, 16, 24, 32, 40, 48])
            ),
        ]

    def __str__(self) -> str:
        return f"node {self.level}/{self.index}"


class Checkpoint(models.Model):
    """A signed statement: the log has this size and this root. ``note`` is the C2SP signed note, as published."""

    ledger_free: ClassVar[str] = "The log's signed heads."

    ledger_append_only: ClassVar[bool] = True

    size = models.BigIntegerField(primary_key=True)
    root = models.BinaryField()
    note = models.TextField()
    at = models.DateTimeField()

    class Meta:
        triggers = append_only_triggers("checkpoint")
        constraints = [models.CheckConstraint(name="checkpoint_size_positive", condition=models.Q(size__gt=0))]

    def __str__(self) -> str:
        return f"checkpoint {self.size}"


class Moment(models.Model):
    """Which transactions had committed when a checkpoint was signed: the state that its entries, and no others, led to.

    Only for checkpoints that left nothing waiting. ``snapshot`` is the ``pg_snapshot`` of the statement that took the
    entries, in positions (``audit.history.era``). ``at`` is the checkpoint's time.
    """

    ledger_free: ClassVar[str] = "Where in the history of all rows the log's signed heads stand."

    ledger_append_only: ClassVar[bool] = True

    size = models.BigIntegerField(primary_key=True)
    at = models.DateTimeField()
    snapshot = models.TextField()

    class Meta:
        triggers = append_only_triggers("moment")
        indexes = [models.Index(fields=["at", "size"], name="moment_by_time")]

    def __str__(self) -> str:
        return f"moment {self.size}"


class Cursor(models.Model):
    """How far a follower has read: ``next_index`` is the first entry it has not handled."""

    ledger_free: ClassVar[str] = "How far a follower has read; it reads again what is lost."

    name = models.TextField(primary_key=True)
    next_index = models.BigIntegerField(default=0)
    failures = models.IntegerField(default=0)
    last_error = models.TextField(default="", blank=True)
    retry_at = models.DateTimeField(null=True)
    moved_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="cursor_error_iff_failures",
                condition=models.Q(failures=0, last_error="", retry_at=None)
                | (models.Q(failures__gt=0, retry_at__isnull=False) & ~models.Q(last_error="")),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} at {self.next_index}"


class StreamHead(models.Model):
    """Where the stream of an object stood when its entries up to there were dropped with their partition."""

    ledger_read_only: ClassVar[bool] = True
    ledger_free = "What is left of entries that were dropped; the entry of the drop holds the digest of these rows."

    pk = models.CompositePrimaryKey("object_type", "object_id")
    object_type = models.TextField()
    object_id = models.TextField()
    n = models.BigIntegerField()
    index = models.BigIntegerField()

    class Meta:
        db_table = "audit_streamhead"

    def __str__(self) -> str:
        return f"{self.object_type} {self.object_id} at {self.n}"


def leaf_text(canon: str, stream_n: int, stream_previous: int | None) -> str:
    """Return the canonical leaf. PostgreSQL's ``audit_leaf_hash`` builds the same text; the sequencer compares."""
    previous = "null" if stream_previous is None else str(stream_previous)
    return f'{{"body":{canon},"stream":{{"n":{stream_n},"previous":{previous}}}}}'
