"""The one typed reading of the environment. Everything a process may be told from outside is a field here."""

import re
import sys
from base64 import b64encode
from enum import StrEnum
from functools import cache
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict


class DatabaseRole(StrEnum):
    """Which of the PostgreSQL roles this process signs in with. Least privilege is the default."""

    APP = "app"
    OWNER = "owner"
    SEQUENCER = "sequencer"
    CATALOGUE = "catalogue"


def _database_url(value: str) -> str:
    if value and not value.startswith(("postgresql://", "postgres://")):
        raise ValueError("must look like postgresql://user:password@host:port/name (PostgreSQL is the only database)")
    return value


def _http_url(value: str) -> str:
    if value and not value.startswith(("http://", "https://")):
        raise ValueError("must start with http:// or https://")
    return value.rstrip("/")


def _nothing_is_none(value: object) -> object:
    return value or None


OptionalPath = Annotated[Path | None, BeforeValidator(_nothing_is_none)]
DatabaseUrl = Annotated[str, AfterValidator(_database_url)]
HttpUrl = Annotated[str, AfterValidator(_http_url)]


_GIT_REMOTE = re.compile(
    r"/[^\x00-\x20]+|https://[A-Za-z0-9][^\x00-\x20@]*|ssh://([A-Za-z0-9_.-]+@)?[A-Za-z0-9][^\x00-\x20@]*"
)


_S3_PLACE = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/([A-Za-z0-9_.=-]+/)*)?")
_PACKAGE_INDEX = re.compile(r"https?://[^\s,]+|/[^\s,:]+")


class Env(BaseSettings):
    """Settings by environment variable, or by a file of that name below ``SECRETS_DIR``. docs/operators lists them."""

    model_config = SettingsConfigDict(extra="ignore", hide_input_in_errors=True)

    debug: bool = False
    secret_key: str = Field(min_length=32)
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=1, le=65535)
    public_url: HttpUrl = ""
    allowed_hosts: Annotated[list[str], NoDecode] = []
    data_dir: Path = Path("var")
    artifact_root: Path | None = None
    keys_dir: Path | None = None

    database_url: DatabaseUrl = ""
    database_owner_url: DatabaseUrl = ""
    database_sequencer_url: DatabaseUrl = ""
    database_catalogue_url: DatabaseUrl = ""
    database_role: DatabaseRole = DatabaseRole.APP

    broker_url: str = ""
    tracking_url: HttpUrl = ""
    tracking_secret: str = ""
    tracking_database_url: str = ""
    mlflow_tracking_uri: HttpUrl = ""
    mlflow_tracking_username: str = ""
    mlflow_tracking_password: str = ""
    mlflow_tracking_token: str = ""

    ungoverned_models: Annotated[tuple[str, ...], NoDecode] = ()
    trusted_check_plugins: Annotated[tuple[str, ...], NoDecode] = ()

    max_upload_bytes: int = Field(default=8 * 2**30, gt=0)
    # What a data set may be, and where workers may read one: docs/operators/data-sets.md
    dataset_max_bytes: int = Field(default=64 * 2**30, gt=0, description="what a packed file may unpack to")
    dataset_max_rows: int = Field(default=2_000_000_000, gt=0)
    dataset_memory_mb: int = Field(default=2048, ge=512, description="what reading one data set may take")
    dataset_seconds: float = Field(default=1500.0, gt=0, le=1600, description="how long reading one data set may take")
    dataset_smallest_cell: int = Field(default=10, ge=2, le=1000)
    dataset_dirs: Annotated[tuple[Path, ...], NoDecode] = ()
    holdout_dirs: Annotated[tuple[Path, ...], NoDecode] = ()
    dataset_s3: Annotated[tuple[str, ...], NoDecode] = ()
    holdout_s3: Annotated[tuple[str, ...], NoDecode] = ()
    dataset_s3_endpoint: HttpUrl = ""
    dataset_s3_region: str = ""

    check_time_limit: int = Field(default=900, gt=0, description="seconds of wall clock for one check")
    check_part_rows: int = Field(default=2_000_000, ge=1, description="a check over more rows is split over workers")
    advisories_dir: OptionalPath = None
    sandbox_memory_mb: int = Field(default=2048, ge=256)
    # Where models' own environments may be built from: docs/operators/sandbox.md
    sandbox_source: str = Field(
        default="", max_length=200, description="a word for where models' environments come from"
    )
    sandbox_indexes: Annotated[tuple[str, ...], NoDecode] = ()
    sandbox_build_seconds: int = Field(default=600, gt=0)
    sandbox_environment_mb: int = Field(default=6 * 1024, ge=64)
    sandbox_environments_mb: int = Field(default=20 * 1024, ge=64)
    row_copies_mb: int = Field(
        default=100 * 1024, ge=1, description="what copies of rows may take before the oldest go"
    )
    row_copies_free_mb: int = Field(default=1024, ge=0, description="what they leave free on the disk")
    permit_issuer_key: Path | None = None
    permit_countersigner_key: Path | None = None
    offline_keys_dir: Path | None = None
    permit_status_hours: int = Field(default=24, ge=1, le=24 * 31)
    webhook_allowed_schemes: Annotated[frozenset[str], NoDecode] = frozenset({"https"})
    webhook_allowed_networks: Annotated[list[IPv4Network | IPv6Network], NoDecode] = []
    webhook_log_days: int = Field(default=30, ge=1, le=3650)
    report_fonts: Path | None = None
    report_keep_days: int = Field(default=30, ge=1, le=3650)
    log_format: str = Field(default="console", pattern="^(console|json)$")

    # Where the log is written to as static files: docs/operators/publish-log.md
    log_publish_dir: OptionalPath = None

    # Whose OpenSSF model signatures count: docs/operators/keys.md
    model_signers_dir: OptionalPath = None

    # Who attests the log from outside: docs/operators/witnesses.md
    witness_policy: OptionalPath = None
    witness_urls: Annotated[tuple[HttpUrl, ...], NoDecode] = ()
    timestamp_url: HttpUrl = ""
    timestamp_ca: OptionalPath = None
    timestamp_interval: int = Field(default=3600, ge=60)
    anchor_interval: int = Field(default=3600, ge=60)
    anchor_s3_bucket: str = Field(default="", pattern=r"^([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])?$")
    anchor_s3_prefix: str = Field(default="checkpoints/", pattern=r"^([A-Za-z0-9_.=-]+/)*$")
    anchor_s3_endpoint: HttpUrl = ""
    anchor_s3_region: str = ""
    anchor_s3_mode: str = Field(default="COMPLIANCE", pattern="^(COMPLIANCE|GOVERNANCE)$")
    anchor_s3_days: int = Field(default=3650, ge=1, le=36500)
    anchor_s3_access_key_id: str = ""
    anchor_s3_secret_access_key: str = ""
    anchor_git_remote: str = ""
    anchor_git_branch: str = Field(default="checkpoints", pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")
    anchor_git_ssh_key: OptionalPath = None
    beacon_url: HttpUrl = ""
    beacon_interval: int = Field(default=3600, ge=60)
    heads_interval: int = Field(default=3600, ge=60)

    @model_validator(mode="before")
    @classmethod
    def _split_lists(cls, values: dict[str, object]) -> dict[str, object]:
        for name in (
            "allowed_hosts",
            "dataset_dirs",
            "dataset_s3",
            "holdout_dirs",
            "holdout_s3",
            "sandbox_indexes",
            "trusted_check_plugins",
            "ungoverned_models",
            "webhook_allowed_networks",
            "webhook_allowed_schemes",
            "witness_urls",
        ):
            text = values.get(name)
            if isinstance(text, str):
                values[name] = [part.strip() for part in text.split(",") if part.strip()]
        return values

    @field_validator("webhook_allowed_schemes")
    @classmethod
    def _known_schemes(cls, schemes: frozenset[str]) -> frozenset[str]:
        if not schemes or not schemes <= {"http", "https"}:
            raise ValueError("must be https, or http,https")
        return schemes

    @field_validator("dataset_dirs", "holdout_dirs")
    @classmethod
    def _absolute(cls, directories: tuple[Path, ...]) -> tuple[Path, ...]:
        if any(not one.is_absolute() or ".." in one.parts or len(one.parts) < 2 for one in directories):
            raise ValueError("must be absolute directories below /, without ..")
        return directories

    @field_validator("sandbox_indexes")
    @classmethod
    def _package_indexes(cls, places: tuple[str, ...]) -> tuple[str, ...]:
        if any(not _PACKAGE_INDEX.fullmatch(one) or "/../" in f"{one}/" for one in places):
            raise ValueError("must be addresses of package indexes (https://…) or absolute directories of wheels")
        return places

    @field_validator("dataset_s3", "holdout_s3")
    @classmethod
    def _buckets(cls, places: tuple[str, ...]) -> tuple[str, ...]:
        if any(not _S3_PLACE.fullmatch(one) for one in places):
            raise ValueError("must look like bucket or bucket/prefix/, separated by commas")
        return places

    @model_validator(mode="after")
    def _complete(self) -> "Env":
        self.data_dir = self.data_dir.resolve()
        self.artifact_root = self.artifact_root.resolve() if self.artifact_root else None
        self.keys_dir = self.keys_dir.resolve() if self.keys_dir else None
        self.public_url = self.public_url or f"http://{self.host}:{self.port}"
        if not self.role_url():
            raise ValueError(
                f"{self.role_variable()} is not set, and DATABASE_ROLE={self.database_role.value} needs it"
            )
        self._check_existing_server()
        self._check_attestors()
        return self

    def _check_attestors(self) -> None:
        """What each of those outside needs beside its address."""
        if self.timestamp_url and not self.timestamp_ca:
            raise ValueError("TIMESTAMP_URL needs TIMESTAMP_CA, a PEM file of the authority's root certificate")
        if bool(self.anchor_s3_access_key_id) != bool(self.anchor_s3_secret_access_key):
            raise ValueError("give both ANCHOR_S3_ACCESS_KEY_ID and ANCHOR_S3_SECRET_ACCESS_KEY, or neither")
        if self.beacon_url and not re.search(r"/[0-9a-f]{64}$", self.beacon_url):
            raise ValueError("BEACON_URL must end in the hash of its drand chain: https://api.drand.sh/<64 hex digits>")
        if self.anchor_git_remote and not _GIT_REMOTE.fullmatch(self.anchor_git_remote):
            raise ValueError("ANCHOR_GIT_REMOTE must be an absolute path, https://host/path or ssh://user@host/path")
        for name in ("timestamp_url", "anchor_s3_endpoint", "beacon_url", "dataset_s3_endpoint"):
            if "@" in urlsplit(str(getattr(self, name))).netloc:
                raise ValueError(f"{name.upper()} must be a plain address, without credentials")

    def _check_existing_server(self) -> None:
        """MLFLOW_TRACKING_URI also tells MLflow's clients where to go: to us. Pointed at ourselves we would ask for ever."""
        server = urlsplit(self.mlflow_tracking_uri)
        own = {urlsplit(self.public_url).netloc, f"{self.host}:{self.port}", f"localhost:{self.port}"}
        if server.netloc and server.netloc in own:
            raise ValueError(
                "MLFLOW_TRACKING_URI is this installation's own address. It names an existing MLflow server to stand in front "
                "of; unset it to keep runs here (MLflow's clients want it in their own environment, not in ours)"
            )
        if server.username or server.password or server.query or server.fragment:
            raise ValueError(
                "MLFLOW_TRACKING_URI must be a plain address; credentials go into MLFLOW_TRACKING_TOKEN, or "
                "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
            )
        if self.mlflow_tracking_token and self.mlflow_tracking_username:
            raise ValueError("give MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and …_PASSWORD, not both")

    def tracking_authorization(self) -> str:
        """What to send as Authorization to the server of MLFLOW_TRACKING_URI (RFC 6750, RFC 7617)."""
        if self.mlflow_tracking_token:
            return f"Bearer {self.mlflow_tracking_token}"
        if self.mlflow_tracking_username:
            both = f"{self.mlflow_tracking_username}:{self.mlflow_tracking_password}"
            return f"Basic {b64encode(both.encode()).decode()}"
        return ""

    def role_variable(self) -> str:
        """Name of the variable that holds the address for this process's role."""
        return {
            DatabaseRole.APP: "DATABASE_URL",
            DatabaseRole.OWNER: "DATABASE_OWNER_URL",
            DatabaseRole.SEQUENCER: "DATABASE_SEQUENCER_URL",
            DatabaseRole.CATALOGUE: "DATABASE_CATALOGUE_URL",
        }[self.database_role]

    def role_url(self) -> str:
        """Database address for this process's role."""
        return {
            DatabaseRole.APP: self.database_url,
            DatabaseRole.OWNER: self.database_owner_url,
            DatabaseRole.SEQUENCER: self.database_sequencer_url,
            DatabaseRole.CATALOGUE: self.database_catalogue_url,
        }[self.database_role]


@cache
def load() -> Env:
    """Read and validate the environment once. Ends the process with one line per bad value."""
    try:
        return Env()  # type: ignore[call-arg]  # its fields come from the environment
    except ValidationError as error:
        lines = [
            f"  {'.'.join(str(part) for part in problem['loc']).upper() or 'environment'}: {problem['msg']}"
            for problem in error.errors(include_input=False, include_url=False)
        ]
        sys.exit("Countersign cannot start, its environment is wrong:\n" + "\n".join(lines))
