"""The identity of an artifact: independent of order, sensitive to everything else."""

import hashlib
import json

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from config.errors import Invalid
from registry.digests import SealedFile, check_path, manifest_digest, manifest_document

DIGEST = "ab" * 32
_parts = st.text(st.characters(categories=["Ll", "Lu", "Nd"], max_codepoint=0x17F), min_size=1, max_size=8)


def _is_path(path: str) -> bool:
    try:
        check_path(path)
    except Invalid:
        return False
    return True


_paths = st.lists(_parts, min_size=1, max_size=3).map("/".join).filter(_is_path)
_digests = st.binary(max_size=9).map(lambda content: hashlib.sha256(content).hexdigest())
_files = st.builds(SealedFile, _paths, st.integers(0, 2**53 - 1), _digests)
_sets = st.lists(_files, min_size=1, max_size=8, unique_by=lambda file: file.path).filter(
    lambda files: not any(a.path.startswith(f"{b.path}/") for a in files for b in files)
)


@given(_sets, st.randoms())
def test_the_order_of_the_files_does_not_matter(files: list[SealedFile], random: object) -> None:
    shuffled = list(files)
    random.shuffle(shuffled)  # type: ignore[attr-defined]

    assert manifest_document(shuffled) == manifest_document(files)


@given(_sets)
def test_the_document_is_canonical_json_of_exactly_the_files(files: list[SealedFile]) -> None:
    document = manifest_document(files)

    listed = json.loads(document)["files"]
    assert rfc8785.dumps({"files": listed}) == document.encode()
    assert {(one["path"], one["size"], one["sha256"]) for one in listed} == {
        (file.path, file.size, file.sha256) for file in files
    }
    assert [one["path"] for one in listed] == sorted(file.path for file in files)
    assert manifest_digest(document) == hashlib.sha256(document.encode()).hexdigest()


@given(_sets, st.data())
def test_any_change_of_a_file_changes_the_digest(files: list[SealedFile], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(files) - 1))
    old = files[place]
    new = data.draw(
        st.sampled_from(
            [
                SealedFile(f"{old.path}.changed", old.size, old.sha256),
                SealedFile(old.path, old.size + 1 if old.size < 2**53 - 1 else 0, old.sha256),
                SealedFile(old.path, old.size, hashlib.sha256(old.sha256.encode()).hexdigest()),
            ]
        )
    )

    changed = [*files[:place], new, *files[place + 1 :]]
    assert manifest_digest(manifest_document(changed)) != manifest_digest(manifest_document(files))


@given(st.text(max_size=60))
def test_an_accepted_path_stays_below_its_directory_and_is_written_one_way(path: str) -> None:
    if _is_path(path):
        parts = path.split("/")
        assert not {"", ".", ".."} & set(parts)
        assert not {"\\", "\x00"} & set(path)


@pytest.mark.parametrize(
    ("path", "cause"),
    [
        ("", "is empty"),
        ("/etc/passwd", "is absolute"),
        ("../up", "'..'"),
        ("a/../../b", "'..'"),
        ("a//b", "empty part"),
        ("./a", "'.'"),
        ("a/", "empty part"),
        ("a\\b", "backslash"),
        ("a\x00b", "null byte"),
        ("a\nb", "control character"),
        ("e\u0301.bin", "normal form C"),
        ("x" * 1025, "1025 characters"),
        ("x" * 256, "255 bytes"),
    ],
)
def test_a_bad_path_is_refused_with_its_cause(path: str, cause: str) -> None:
    with pytest.raises(Invalid, match="path") as refused:
        SealedFile(path, 1, DIGEST)

    assert cause in refused.value.message


@pytest.mark.parametrize("sha256", ["", "ab", DIGEST.upper(), DIGEST + "\n", "g" * 64])
def test_a_malformed_digest_is_refused(sha256: str) -> None:
    with pytest.raises(Invalid) as refused:
        SealedFile("a", 1, sha256)

    assert refused.value.field == "sha256"


@pytest.mark.parametrize(
    ("paths", "cause"),
    [
        ([], "no files"),
        (["a", "a"], "given twice"),
        (["a", "a/b"], "file and also the directory"),
        (["a/b/c", "a"], "file and"),
    ],
)
def test_files_that_make_no_tree_make_no_manifest(paths: list[str], cause: str) -> None:
    with pytest.raises(Invalid, match=cause):
        manifest_document([SealedFile(path, 1, DIGEST) for path in paths])
