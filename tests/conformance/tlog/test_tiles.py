"""The log as tiles: names as the specification gives them, and files that an independent reader can make sense of."""

import base64
import hashlib
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.contrib.auth.models import Permission
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import Settings

from audit import keys, notes, partitions, sequencer, tasks
from audit.guard import Guard
from audit.models import Checkpoint, Entry
from audit.tiles import layout
from audit.tiles.layout import Tile
from audit.tiles.publish import NotPublished, publish
from registry.models import User
from tests.conformance.tlog.tiles_client import Reader, Untrue
from tests.factories.audit import narrow_partitions, touch, vouch


@pytest.mark.parametrize(
    ("tile", "path"),
    [
        (Tile(0, 0), "0/000"),
        (Tile(0, 1234067), "0/x001/x234/067"),  # the example of the specification
        (Tile(3, 1000, 7), "3/x001/000.p/7"),
        (Tile(None, 999, 255), "entries/999.p/255"),
        (Tile(None, 1000), "entries/x001/000"),
    ],
)
def test_a_tile_has_the_name_that_the_specification_gives_it(tile: Tile, path: str) -> None:
    assert tile.path == path
    assert layout.parse(path) == tile


@given(st.none() | st.integers(0, 7), st.integers(0, 2**40), st.integers(1, 256))
def test_every_name_is_read_back(level: int | None, index: int, width: int) -> None:
    assert layout.parse(Tile(level, index, width).path) == Tile(level, index, width)


@pytest.mark.parametrize(
    "path",
    [
        "", "0", "0/", "0/0", "0/00", "0/0000", "0/001/002", "0/x000/001", "0/x1/002", "00/000", "8/000", "64/000", "-1/000",
        "0/000.p/0", "0/000.p/256", "0/000.p/01", "0/000.p/", "0/000.p", "entry/000", "entries/000.p/300", "0/000/../001",
        "0/\u0660\u0660\u0660", "0/000\n", " 0/000", f"0/{'x999/' * 9}999",
    ],
)  # fmt: skip
def test_what_is_no_name_is_not_taken_for_one(path: str) -> None:
    assert layout.parse(path) is None


def test_a_log_of_seventy_thousand_has_the_tiles_of_the_specifications_example() -> None:
    tiles = list(layout.of_size(70_000))
    by_level = {level: [tile for tile in tiles if tile.level == level] for level in (0, 1, 2)}
    assert [len([one for one in by_level[level] if one.width == 256]) for level in (0, 1, 2)] == [273, 1, 0]
    assert [[one.width for one in by_level[level] if one.width < 256] for level in (0, 1, 2)] == [[112], [17], [1]]
    assert {tile.level for tile in layout.of_size(256)} == {None, 0, 1}


@given(st.integers(0, 70_000), st.integers(0, 70_000))
def test_what_is_added_is_what_was_not_there(one: int, other: int) -> None:
    before, size = sorted((one, other))
    assert set(layout.of_size(size)) - set(layout.of_size(before)) == set(layout.of_size(size, after=before))


def grow(to: int) -> None:
    for number in range(Entry.objects.count(), to):
        touch(str(number % 7), number=number, text="ä" * (number % 5))
    sequencer.run_once(key=keys.ledger_key(), guard=Guard.default())


@pytest.fixture
def log(db: None, keys_dir: Path, settings: Settings, tmp_path: Path) -> None:
    """A log of 300 entries of this installation."""
    settings.DATA_DIR = tmp_path / "data"
    settings.WITNESS_POLICY = tmp_path / "data" / "witnesses" / "policy"
    keys.ensure_keys(keys_dir)
    grow(300)


def reader(place: Path) -> Reader:
    key = keys.ledger_public_key()
    found = Reader(lambda path: (place / path).read_bytes(), keys.origin(key), key)
    found.open()
    return found


def files(place: Path) -> dict[str, bytes]:
    return {str(path.relative_to(place)): path.read_bytes() for path in sorted(place.rglob("*")) if path.is_file()}


def test_an_independent_reader_reads_what_is_published(log: None, tmp_path: Path) -> None:
    done = publish(tmp_path / "out")
    assert (done.size, done.before, done.left_out) == (300, 0, [])
    found = reader(tmp_path / "out")
    leaves = found.check_tree()
    assert [hashlib.sha256(b"\x00" + entry).digest() for entry in found.entries()] == leaves
    assert found.entries()[299].decode() == Entry.objects.get(index=299).leaf_text
    assert sorted({"checkpoint", *found.fetched}) == sorted(files(tmp_path / "out"))


def test_what_was_published_is_only_added_to(log: None, tmp_path: Path) -> None:
    out = tmp_path / "out"
    publish(out)
    before = files(out)
    grow(301)
    assert publish(out).files == 2
    grow(600)
    publish(out)
    after = files(out)
    assert reader(out).check_tree() == [
        bytes(one) for one in Entry.objects.order_by("index").values_list("leaf_hash", flat=True)
    ]
    gone = {name for name in before if name not in after}
    # Partial tiles make way for the full ones.
    assert gone == {"tile/0/001.p/44", "tile/entries/001.p/44"}
    assert {name for name in before if after.get(name, before[name]) != before[name]} == {"checkpoint"}
    assert publish(out).files == 0
    assert not [name for name in after if "/." in f"/{name}"]


def test_a_reader_notices_what_was_changed_afterwards(log: None, tmp_path: Path) -> None:
    publish(tmp_path)
    tile = tmp_path / "tile/0/000"
    tile.write_bytes(tile.read_bytes()[:-1] + b"\x00")
    with pytest.raises(Untrue, match="level 1"):
        reader(tmp_path).check_tree()


def test_a_directory_of_another_log_or_of_a_longer_one_is_left_alone(log: None, tmp_path: Path) -> None:
    out = tmp_path / "out"
    publish(out)
    key, head = keys.ledger_key(), Checkpoint.objects.get(size=300)
    origin = keys.origin(key.public_key())
    for text, why in (
        (notes.CheckpointText(origin, 301, bytes(32)), "was rolled back or cut"),
        (notes.CheckpointText(origin, 256, bytes(32)), "another history"),
        (notes.CheckpointText("example.com/other", 10, bytes(32)), "not a checkpoint of this log"),
    ):
        (out / "checkpoint").write_text(notes.sign(str(text), text.origin, key))
        before = files(out)
        with pytest.raises(NotPublished, match=why):
            publish(out)
        assert files(out) == before
    assert head.size == 300


def test_what_a_crash_left_without_a_checkpoint_is_written_again(log: None, tmp_path: Path) -> None:
    torn = tmp_path / "tile/0/000"
    torn.parent.mkdir(parents=True)
    torn.write_bytes(b"torn")
    publish(tmp_path)
    reader(tmp_path).check_tree()


def test_an_entry_that_fits_into_no_bundle_is_named_and_the_tree_is_whole(log: None, tmp_path: Path) -> None:
    long = Entry.objects.get(index=3).canon.replace('"reason":""', '"reason":"' + "x" * 66_000 + '"')
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO audit_inbox (canon) VALUES (%s)", [long])
    grow(301)
    done = publish(tmp_path)
    assert len(done.left_out) == 1
    assert "tile/entries/001.p/46" in done.left_out[0]
    assert len(reader(tmp_path).check_tree()) == 302


@pytest.mark.django_db
def test_of_a_dropped_partition_the_tiles_stay(keys_dir: Path, settings: Settings, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path / "data"
    settings.WITNESS_POLICY = tmp_path / "data" / "witnesses" / "policy"
    keys.ensure_keys(keys_dir)
    narrow_partitions(256, count=2)
    grow(600)
    partitions.drop(partitions.listed()[0])
    done = publish(tmp_path / "out")
    assert [one.split(":")[0] for one in done.left_out] == ["tile/entries/000"]
    assert len(reader(tmp_path / "out").check_tree()) == 600


def test_the_command_says_what_it_did_and_what_it_cannot(
    log: None, tmp_path: Path, capsys: pytest.CaptureFixture[str], settings: Settings
) -> None:
    call_command("audit_publish", str(tmp_path / "out"))
    assert "holds 300 entries, 300 of them new, in 5 files" in capsys.readouterr().out
    (tmp_path / "file").write_text("")
    for wrong in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(CommandError):
            call_command("audit_publish", str(wrong))


def test_without_the_cosignatures_that_are_asked_for_nothing_is_published(
    log: None, tmp_path: Path, settings: Settings
) -> None:
    settings.WITNESS_POLICY = tmp_path / "policy"
    with pytest.raises(NotPublished, match="is unknown"):
        publish(tmp_path / "out")
    vkey = notes.verifier_key("witness.example", Ed25519PrivateKey.generate().public_key())
    kind = base64.b64encode(b"\x04" + base64.b64decode(vkey.split("+", 2)[2])[1:]).decode()
    digest = hashlib.sha256(b"witness.example\n\x04" + base64.b64decode(kind)[1:]).hexdigest()[:8]
    settings.WITNESS_POLICY.write_text(f"witness one witness.example+{digest}+{kind}\nquorum one\n")
    with pytest.raises(NotPublished, match="No checkpoint is cosigned"):
        publish(tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_worker_publishes_where_a_directory_is_configured(log: None, tmp_path: Path, settings: Settings) -> None:
    tasks.publish()
    settings.LOG_PUBLISH_DIR = tmp_path / "out"
    tasks.publish()
    assert reader(tmp_path / "out").size == 300
    (tmp_path / "out" / "checkpoint").write_text("no note")
    tasks.publish()  # says so in the log of the process
    assert (tmp_path / "out" / "checkpoint").read_text() == "no note"


def browser(*permissions: str) -> Client:
    user = User.objects.create_user(f"reader{len(permissions)}")
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    vouch(user)
    client = Client()
    client.force_login(user)
    return client


def test_the_same_names_are_served_to_auditors(log: None, tmp_path: Path) -> None:
    client = browser("audit_registeredmodel")
    key = keys.ledger_public_key()

    def fetch(path: str) -> bytes:
        answer = client.get(f"/api/v1/log/{path}", headers={"Accept": "*/*"})
        assert answer.status_code == 200, path
        return answer.content

    over_http = Reader(fetch, keys.origin(key), key)
    over_http.open()
    leaves = over_http.check_tree()
    assert [hashlib.sha256(b"\x00" + entry).digest() for entry in over_http.entries()] == leaves
    publish(tmp_path / "out")
    assert {path: fetch(path) for path in over_http.fetched} == {
        path: (tmp_path / "out" / path).read_bytes() for path in over_http.fetched
    }
    tile = client.get("/api/v1/log/tile/0/000", headers={"Accept": "application/octet-stream"})
    assert tile["Content-Type"] == "application/octet-stream"
    assert "immutable" in tile["Cache-Control"]
    assert client.get("/api/v1/log/checkpoint")["Content-Type"] == "text/plain; charset=utf-8"
    for missing in ("0/001", "0/001.p/45", "0/002.p/1", "1/000.p/2", "entries/001", "7/000", "0/nothing"):
        assert client.get(f"/api/v1/log/tile/{missing}").status_code == 404, missing


def test_tiles_are_for_auditors_alone(log: None, client: Client) -> None:
    for path in ("checkpoint", "tile/0/000", "tile/entries/000"):
        assert client.get(f"/api/v1/log/{path}").status_code == 401
        assert browser().get(f"/api/v1/log/{path}").status_code == 403
        User.objects.all().delete()
