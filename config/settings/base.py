"""What every process of every deployment shares. Values from outside come through ``config.env`` alone."""

from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from config import env as _env
from config.logs import logging_config

ENV = _env.load()
BASE_DIR = Path(__file__).resolve().parents[2]
VERSION = "0.1.0"

SECRET_KEY = ENV.secret_key
DEBUG = ENV.debug
ALLOWED_HOSTS = ENV.allowed_hosts or sorted(
    {"localhost", "127.0.0.1", "[::1]", urlsplit(ENV.public_url).hostname or ""} - {""}
)
PUBLIC_URL = ENV.public_url
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL]

INSTALLED_APPS = [
    "config.apps.ConfigConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "audit.apps.AuditConfig",
    "registry.apps.RegistryConfig",
    "governance.apps.GovernanceConfig",
    "registry.apps.CountersignAdminConfig",
    "guardian",
    "pgtrigger",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_htmx",
    "template_partials",
    "csp",
]

MIDDLEWARE = [
    "config.middleware.RequestId",
    "django.middleware.security.SecurityMiddleware",
    "config.middleware.Programs",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "config.middleware.Private",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "config.middleware.Refusals",
    "registry.time_travel.TimeTravel",  # last: what is below answers in the past, and writes nothing
]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
APPEND_SLASH = True

TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "config.pages.frame",
                "registry.time_travel.banner",
                "governance.ui.frame.frame",
            ],
        },
    }
]


def database(url: str) -> dict[str, Any]:
    """Django's connection settings for a ``postgresql://`` address, with the time limits of the house."""
    parts = urlsplit(url)
    return {
        "ENGINE": "config.database",
        "NAME": unquote(parts.path.lstrip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": parts.hostname or "",
        "PORT": str(parts.port or ""),
        "CONN_MAX_AGE": 300,
        "CONN_HEALTH_CHECKS": True,
        "ATOMIC_REQUESTS": False,
        "OPTIONS": {
            "prepare_threshold": 5,  # for config.statements: the ORM's own cursors prepare nothing
            # Longer than any queue for one row: whoever waits for a turn is slow, not refused. Deadlocks end after a second.
            "options": "-c lock_timeout=20s -c statement_timeout=30s -c idle_in_transaction_session_timeout=60s"
            # Many short statements: starting helpers or a compiler for one costs more than it saves.
            " -c max_parallel_workers_per_gather=0 -c jit=off",
        },
    }


DATABASES = {"default": database(ENV.role_url())}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_USER_MODEL = "registry.User"
AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.ModelBackend", "guardian.backends.ObjectPermissionBackend"]
GUARDIAN_AUTO_PREFETCH = False
ANONYMOUS_USER_NAME = None
GUARDIAN_MONKEY_PATCH_USER = False
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "ui:inbox"
LOGOUT_REDIRECT_URL = "login"
SESSION_COOKIE_AGE = 12 * 3600
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_HTTPONLY = True
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_FAILURE_VIEW = "config.pages.csrf_failure"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "font-src": ["'self'"],
        "connect-src": ["'self'"],
        "form-action": ["'self'"],
        "base-uri": ["'none'"],
        "frame-ancestors": ["'none'"],
    }
}

LANGUAGE_CODE = "en-gb"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = True

STATIC_URL = "static/"
STATIC_ROOT = ENV.data_dir / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
DATA_UPLOAD_MAX_MEMORY_SIZE = 10 * 2**20
FILE_UPLOAD_TEMP_DIR = None
DATA_DIR = ENV.data_dir
ARTIFACT_ROOT: Path = ENV.artifact_root or ENV.data_dir / "artifacts"
KEYS_DIR: Path = ENV.keys_dir or ENV.data_dir / "keys"
# The private keys of the two signers of permits: each process knows its own (config/runtime/services.py), a web process none.
PERMIT_ISSUER_KEY: Path | None = ENV.permit_issuer_key
PERMIT_COUNTERSIGNER_KEY: Path | None = ENV.permit_countersigner_key
OFFLINE_KEYS_DIR: Path = ENV.offline_keys_dir or ENV.data_dir / "secrets"
PERMIT_STATUS_HOURS = ENV.permit_status_hours
LOG_PUBLISH_DIR: Path | None = ENV.log_publish_dir
MODEL_SIGNERS_DIR: Path | None = ENV.model_signers_dir
MAX_UPLOAD_BYTES = ENV.max_upload_bytes
# What a data set may be, and where workers may read one: docs/operators/data-sets.md
DATASET_MAX_BYTES = ENV.dataset_max_bytes
DATASET_MAX_ROWS = ENV.dataset_max_rows
DATASET_MEMORY_MB = ENV.dataset_memory_mb
DATASET_SECONDS = ENV.dataset_seconds
DATASET_SMALLEST_CELL = ENV.dataset_smallest_cell
DATASET_DIRS: tuple[Path, ...] = ENV.dataset_dirs
HOLDOUT_DIRS: tuple[Path, ...] = ENV.holdout_dirs
DATASET_S3: tuple[str, ...] = ENV.dataset_s3
HOLDOUT_S3: tuple[str, ...] = ENV.holdout_s3
DATASET_S3_ENDPOINT = ENV.dataset_s3_endpoint
DATASET_S3_REGION = ENV.dataset_s3_region

REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "registry.api.authentication.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_PAGINATION_CLASS": "config.pagination.KeysetPagination",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "config.problems.handler",
    "PAGE_SIZE": 50,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Countersign",
    "DESCRIPTION": "Model registry and governance: models, versions, lineage, promotion requests, permits, audit log.",
    "VERSION": VERSION,
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.IsAuthenticated"],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "config.api_docs.with_refusals",
        "registry.time_travel.described",
    ],
    "ENUM_NAME_OVERRIDES": {
        "HoldOfEnum": "audit.retention.LegalHold.Of",
        "RetentionOfEnum": "audit.retention.RetentionRule.Of",
        "BrokenGlassOutcome": "governance.models.broken_glass.BrokenGlass.Outcome",
        "DatasetRole": "registry.models.datasets.DatasetVersion.Role",
        "DecisionOutcome": "governance.models.requests.Decision.Outcome",
        "VerificationKind": "audit.verifications.Verification.Kind",
        "ExportKind": "governance.api.serializers.exports.KINDS",
        "RequestState": "governance.states.RequestState",
        "PermitState": "governance.states.PermitState",
        "IssuanceState": "governance.states.IssuanceState",
        "CheckState": "governance.states.CheckState",
        "WebhookStatus": "registry.models.webhooks.Webhook.Status",
        "DeliveryState": "registry.models.webhooks.WebhookDelivery.State",
    },
}

# Who attests the log from outside: audit.witnessing. The permits' actions are named, not imported.
WITNESS_POLICY = ENV.witness_policy or ENV.data_dir / "witnesses" / "policy"
WITNESS_URLS = ENV.witness_urls
TIMESTAMP_URL = ENV.timestamp_url
TIMESTAMP_CA = ENV.timestamp_ca
TIMESTAMP_INTERVAL = timedelta(seconds=ENV.timestamp_interval)
TIMESTAMP_ACTIONS = ["permit.issued"]
ANCHOR_INTERVAL = timedelta(seconds=ENV.anchor_interval)
ANCHOR_S3 = {
    "bucket": ENV.anchor_s3_bucket,
    "prefix": ENV.anchor_s3_prefix,
    "endpoint": ENV.anchor_s3_endpoint,
    "region": ENV.anchor_s3_region,
    "mode": ENV.anchor_s3_mode,
    "days": ENV.anchor_s3_days,
    "access_key_id": ENV.anchor_s3_access_key_id,
    "secret_access_key": ENV.anchor_s3_secret_access_key,
}
ANCHOR_GIT_REMOTE = ENV.anchor_git_remote
ANCHOR_GIT_BRANCH = ENV.anchor_git_branch
ANCHOR_GIT_SSH_KEY = ENV.anchor_git_ssh_key
BEACON_URL = ENV.beacon_url
BEACON_INTERVAL = timedelta(seconds=ENV.beacon_interval)
HEADS_INTERVAL = timedelta(seconds=ENV.heads_interval)

# Celery reads these through config.celery. Timings: DESIGN section 10.
BROKER_URL = ENV.broker_url
CHECK_TIME_LIMIT = ENV.check_time_limit
CHECK_PART_ROWS = ENV.check_part_rows
SANDBOX_MEMORY_MB = ENV.sandbox_memory_mb
SANDBOX_INDEXES: tuple[str, ...] = ENV.sandbox_indexes
# Every process knows this word; the addresses, which may hold passwords, are for the worker alone.
SANDBOX_SOURCE: str = ENV.sandbox_source
SANDBOX_BUILD_SECONDS = ENV.sandbox_build_seconds
SANDBOX_ENVIRONMENT_MB = ENV.sandbox_environment_mb
SANDBOX_ENVIRONMENTS_MB = ENV.sandbox_environments_mb
# Copies of rows that checks map into memory: docs/operators/running.md
ROW_COPIES_MB = ENV.row_copies_mb
ROW_COPIES_FREE_MB = ENV.row_copies_free_mb
ADVISORIES_DIR = ENV.advisories_dir
REPORT_FONTS = ENV.report_fonts
REPORT_KEEP_DAYS = ENV.report_keep_days
JOB_LEASE = timedelta(seconds=30)
JOB_MAX_ATTEMPTS = 3

TRACKING_URL = ENV.tracking_url
TRACKING_SECRET = ENV.tracking_secret
MLFLOW_TRACKING_URI = ENV.mlflow_tracking_uri
MLFLOW_TRACKING_AUTHORIZATION = ENV.tracking_authorization()

# Names, not imports: the arrows between packages point down only.
GATEKEEPER = "governance.gatekeeper.Gatekeeper"
UNGOVERNED_MODELS = ENV.ungoverned_models
TRUSTED_CHECK_PLUGINS = ENV.trusted_check_plugins
FOLLOWERS = [
    "registry.followers.Ingest",
    "registry.followers.Lineage",
    "registry.followers.Signatures",
    "registry.followers.Webhooks",
    "governance.followers.Plan",
    "governance.followers.Permits",
]
PERSON_NEEDED_BY = ["governance.selectors.people.needs"]
WEBHOOK_EVENTS = ["registry.selectors.webhook_events.TABLE", "governance.selectors.webhook_events.TABLE"]
WEBHOOK_ALLOWED_SCHEMES = ENV.webhook_allowed_schemes
WEBHOOK_ALLOWED_NETWORKS = ENV.webhook_allowed_networks
WEBHOOK_LOG_DAYS = ENV.webhook_log_days
WEBHOOK_TIMEOUT = 10.0
SIGNING_ATTEMPTS = 5
SIGNING_LOCKOUT = timedelta(minutes=15)

LOGGING = logging_config(ENV.log_format)
