"""Finds the bytes behind digests, and says of each that cannot be given why. Texts are read when they are written."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from audit.canonical import canonical
from audit.exports.archive import LARGEST_MEMBER
from config.errors import Refusal
from governance.bundles.named import Named, entries_about
from governance.models import CheckRun, Decision, EvidenceSnapshot, Permit, PolicyVersion
from governance.services.checks import error_document
from registry.models import Manifest, ModelVersion, RegisteredModel, User
from registry.selectors.datasets import is_holdouts
from registry.selectors.lineage import node_of, upstream
from registry.selectors.lineage_seen import HIDDEN, as_seen_by
from registry.storage import blobs

_AT_ONCE: Final = 100
_GONE: Final = "It is not in the database any more."
_HIDDEN: Final = "It names what belongs to models that the asker may not see."
_SEALED: Final = "It is the bytes of a sealed hold-out, which only the worker opens."
LeftOut = dict[str, str]


@dataclass(slots=True)
class Rooms:
    """``left_out`` is complete once ``look`` has returned; ``members`` then yields what is there, in a fixed order."""

    named: Named
    user: User
    left_out: list[LeftOut] = field(default_factory=list)
    hidden_entries: set[int] = field(default_factory=set)
    _lineage: dict[str, str] = field(default_factory=dict)
    _cards: dict[str, bytes] = field(default_factory=dict)
    _hidden: dict[str, bool] = field(default_factory=dict)
    _kept_back: set[str] = field(default_factory=set)

    def look(self) -> None:
        """Find out what is there, and what the person may see."""
        named = self.named
        self._keep(named.policies, PolicyVersion.objects.filter(digest__in=named.policies), "digest", "policies")
        self._keep(named.artifacts, Manifest.objects.filter(digest__in=named.artifacts), "digest", "artifacts")
        self._keep(named.snapshots, EvidenceSnapshot.objects.filter(digest__in=named.snapshots), "digest", "snapshots")
        self._keep_rows(named.decisions, Decision, "decisions")
        self._keep_rows(named.checks, CheckRun, "checks")
        there = {str(pk) for pk in Permit.objects.filter(pk__in=named.permits).values_list("pk", flat=True)}
        for key, digest in sorted(named.permits.items()):
            if key not in there:
                self._leave(f"permits/{key}", digest, _GONE)
        for key in set(named.permits) - there:
            del named.permits[key]
        self._look_into_snapshots()
        self._keep_holdouts_back()
        self._hide_lineage()

    def members(self) -> Iterator[tuple[str, bytes]]:
        """Yield every member of the rooms."""
        named = self.named
        yield from _texts(named.artifacts, Manifest.objects, "document", "artifacts", ".json")
        for digest in sorted(self._cards):
            yield f"cards/{digest}.json", self._cards[digest]
        yield from self._results()
        for some in _batches(sorted(named.decisions)):
            rows = Decision.objects.in_bulk([named.decisions[digest] for digest in some])
            texts = {row.record_digest: row.record for row in rows.values()}
            yield from ((f"decisions/{digest}.json", _checked(texts[digest].encode(), digest)) for digest in some)
        for some in _batches(sorted(self._lineage)):
            found = EvidenceSnapshot.objects.in_bulk([self._lineage[digest] for digest in some])
            yield from (
                (f"lineage/{digest}.json", _checked(found[self._lineage[digest]].lineage.encode(), digest))
                for digest in some
            )
        for some in _batches(sorted(named.permits)):
            permits = {str(pk): row for pk, row in Permit.objects.in_bulk(some).items()}
            yield from ((f"permits/{key}.dsse.json", permits[key].envelope.encode()) for key in some)
        yield from _texts(named.policies, PolicyVersion.objects, "document", "policies", ".yaml")
        yield from _texts(named.snapshots, EvidenceSnapshot.objects, "document", "snapshots", ".json")

    def _results(self) -> Iterator[tuple[str, bytes]]:
        """Check results, each followed by the evidence files it names that no other named before."""
        seen: set[str] = set()
        for some in _batches(sorted(self.named.checks)):
            runs = {
                str(pk): run for pk, run in CheckRun.objects.in_bulk([self.named.checks[one] for one in some]).items()
            }
            for digest in some:
                data = _checked(result_bytes(runs[self.named.checks[digest]]), digest)
                yield f"checks/{digest}.json", data
                for file in files_of(data):
                    if file not in seen and file not in self._kept_back:
                        seen.add(file)
                        with blobs().open(file) as stream:
                            yield f"checks/files/{file}", _checked(stream.read(), file)

    def _look_into_snapshots(self) -> None:
        """What snapshots name besides check results: lineage, for who may see all of it, and the card of that day."""
        cards: dict[int, dict[str, bytes]] = {}
        for some in _batches(sorted(self.named.snapshots)):
            rows = EvidenceSnapshot.objects.filter(pk__in=some).select_related("request__version__model").order_by("pk")
            for row in rows:
                document = json.loads(row.document)
                self._results_of(document, row)
                if digest := document.get("lineage_digest"):
                    if self._hides(row.request.version):
                        self._leave(f"lineage/{digest}", digest, _HIDDEN)
                    else:
                        self._lineage[digest] = row.pk
                if digest := document.get("card_digest"):
                    model = row.request.model_id
                    if model not in cards:
                        cards[model] = _cards_of(model)
                    if digest in cards[model]:
                        self._cards[digest] = cards[model][digest]
                    else:
                        self._leave(
                            f"cards/{digest}", digest, "The card of that day is not kept, and the log does not say it."
                        )

    def _results_of(self, document: Mapping[str, Any], snapshot: EvidenceSnapshot) -> None:
        """Results that the snapshot names and no entry of this bundle: those of a check run used again."""
        wanted = {str(one["result_digest"]) for one in document["checks"]} - set(self.named.checks)
        rows = CheckRun.objects.filter(result_digest__in=wanted, request__model=snapshot.request.model_id)
        found = {run.result_digest: str(run.pk) for run in rows.order_by("-finished_at")}
        self.named.checks.update(found)
        for digest in sorted(wanted - set(found)):
            self._leave(f"checks/{digest}", digest, _GONE)

    def _keep_holdouts_back(self) -> None:
        """Evidence files that are a sealed hold-out's bytes: nobody gets those, whatever they were attached to."""
        found: set[str] = set()
        for some in _batches(sorted(self.named.checks.values())):
            for files in CheckRun.objects.filter(pk__in=some).values_list("result__files", flat=True):
                found.update(str(one["sha256"]) for one in files or ())
        self._kept_back = {digest for digest in found if is_holdouts(digest)}
        for digest in sorted(self._kept_back):
            self._leave(f"checks/files/{digest}", digest, _SEALED)

    def _hide_lineage(self) -> None:
        """Entries that say what a version was made from, where that is not for the asker: their hashes take their place."""
        for version in ModelVersion.objects.filter(pk__in=self.named.lineage).order_by("pk"):
            if self._hides(version):
                indices = self.named.lineage[str(version.pk)]
                self.hidden_entries.update(indices)
                entries = ", ".join(map(str, indices))
                self.left_out.append({"what": f"entries {entries} of version {version.pk}", "why": _HIDDEN})

    def _hides(self, version: ModelVersion) -> bool:
        key = str(version.pk)
        if key not in self._hidden:
            node = node_of(version)
            seen = () if node is None else as_seen_by(self.user, upstream(node)).nodes
            self._hidden[key] = any(one.name == HIDDEN for one in seen)
        return self._hidden[key]

    def _keep(self, wanted: set[str], rows: Any, column: str, room: str) -> None:  # noqa: ANN401 - of several models
        for digest in sorted(wanted - set(rows.values_list(column, flat=True))):
            self._leave(f"{room}/{digest}", digest, _GONE)
            wanted.discard(digest)

    def _keep_rows(self, wanted: dict[str, str], model: Any, room: str) -> None:  # noqa: ANN401 - of two models
        column = "record_digest" if model is Decision else "result_digest"
        there = dict(model.objects.filter(pk__in=set(wanted.values())).values_list(column, "pk"))
        store = blobs()
        for digest in sorted(wanted):
            if digest not in there:
                self._leave(f"{room}/{digest}", digest, _GONE)
                del wanted[digest]
            elif model is CheckRun:
                self._check_size(digest, str(there[digest]), store)

    def _check_size(self, digest: str, key: str, store: Any) -> None:  # noqa: ANN401 - a blob store
        """A result too large for a bundle, or lost from the store, is left out and said to be."""
        blob = CheckRun.objects.filter(pk=key).values_list("result_blob_id", flat=True).first()
        if blob is None:
            return
        try:
            too_large = store.size(blob) > LARGEST_MEMBER
        except Refusal as refusal:
            self._leave(f"checks/{digest}", digest, str(refusal))
            del self.named.checks[digest]
            return
        if too_large:
            self._leave(f"checks/{digest}", digest, "It is larger than a member of a bundle may be.")
            del self.named.checks[digest]

    def _leave(self, what: str, digest: str, why: str) -> None:
        self.left_out.append({"what": what, "sha256": digest, "why": why})


def result_bytes(run: CheckRun) -> bytes:
    """The bytes that ``result_digest`` covers: the stored result, or the document of the error."""
    if run.result_blob_id is None:
        return error_document(run)
    with blobs().open(run.result_blob_id) as stream:
        return stream.read()


def files_of(result: bytes) -> list[str]:
    """The evidence files that a check result names."""
    return [str(one["sha256"]) for one in json.loads(result).get("files", [])]


def _cards_of(model: int) -> dict[str, bytes]:
    """The card of today and every one that the log says the model ever had, by the digest a snapshot has of it."""
    cards: list[Any] = [{}, *RegisteredModel.objects.filter(pk=model).values_list("card", flat=True)]
    for _, body in entries_about([("registry.registeredmodel", str(model))], 2**62):
        value = body["diff"].get("card")
        cards += value.values() if isinstance(value, dict) else []
    filled = [canonical(fields_of(card)) for card in cards if isinstance(card, dict)]
    return {hashlib.sha256(text).hexdigest(): text for text in filled}


def fields_of(card: Mapping[str, Any]) -> dict[str, str]:
    """The fields that hold at least one word, as the snapshot's digest covers them (``standing.filled_card``)."""
    return {name: str(text) for name, text in card.items() if str(text).strip()}


def _texts(wanted: set[str], rows: Any, column: str, room: str, end: str) -> Iterator[tuple[str, bytes]]:  # noqa: ANN401
    for some in _batches(sorted(wanted)):
        texts = dict(rows.filter(digest__in=some).values_list("digest", column))
        yield from ((f"{room}/{digest}{end}", _checked(texts[digest].encode(), digest)) for digest in some)


def _checked(data: bytes, digest: str) -> bytes:
    """A bundle never carries bytes that are not what the log says they are."""
    actual = hashlib.sha256(data).hexdigest()
    if actual != digest:
        raise Damaged(digest, actual)
    return data


class Damaged(Refusal):
    """Stored evidence has other bytes than the log says."""

    code = "evidence.damaged"

    def __init__(self, digest: str, actual: str) -> None:
        super().__init__(
            f"Stored evidence was changed: what the log knows as {digest} now hashes to {actual}.",
            remedy="Restore it from a backup, and find out who changed it: manage.py audit_verify.",
        )


def _batches(keys: Sequence[str]) -> Iterator[Sequence[str]]:
    for first in range(0, len(keys), _AT_ONCE):
        yield keys[first : first + _AT_ONCE]
