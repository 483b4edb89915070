"""OpenSSF model signatures as the reference implementation makes them."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from model_signing import hashing, signing

SIGNATURE = "model.sig"


def public(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def private(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def laid_out(files: Mapping[str, bytes], where: Path) -> Path:
    for path, content in files.items():
        (where / path).parent.mkdir(parents=True, exist_ok=True)
        (where / path).write_bytes(content)
    return where


def signed(
    files: Mapping[str, bytes], key: ec.EllipticCurvePrivateKey, *, config: hashing.Config | None = None
) -> bytes:
    """The bundle that the reference implementation makes of these files."""
    with tempfile.TemporaryDirectory() as place:
        model = laid_out(files, Path(place, "model"))
        (Path(place) / "key.pem").write_bytes(private(key))
        maker = signing.Config().use_elliptic_key_signer(private_key=Path(place) / "key.pem")
        if config is not None:
            maker.set_hashing_config(config)
        maker.sign(model, Path(place) / SIGNATURE)
        return (Path(place) / SIGNATURE).read_bytes()
