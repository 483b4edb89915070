"""Files, uploads and data sets."""

from typing import Any

from django.urls import reverse
from rest_framework import serializers

from registry.api.endpoint import PageQuery
from registry.api.fields import Input, Name, Scalar, Sha256, Text, Whole
from registry.digests import LONGEST_PATH
from registry.models import Dataset, DatasetVersion, ManifestFile, Upload


class FilePath(Text):
    """A POSIX path inside an artifact. What a path may be is decided by ``registry.digests``, for every edge."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=LONGEST_PATH, single_line=True, **options)


class UploadIn(Input):
    """A file that will come: where it belongs, and what it must turn out to be."""

    path = FilePath()
    sha256 = Sha256()
    size = Whole(min_value=0, max_value=2**53)


class WholeFileIn(Input):
    """A file that comes with the request, as ``multipart/form-data``."""

    path = FilePath()
    sha256 = Sha256()
    file = serializers.FileField(allow_empty_file=True, use_url=False)


class UploadOut(serializers.Serializer[Upload]):
    """A file on its way in. ``received`` is the offset at which the next chunk begins."""

    id = serializers.UUIDField()
    path = serializers.CharField()
    sha256 = serializers.CharField(source="declared_sha256")
    size = serializers.IntegerField(source="declared_size")
    received = serializers.IntegerField()
    state = serializers.ChoiceField(choices=Upload.State.choices)
    url = serializers.SerializerMethodField()
    complete_url = serializers.SerializerMethodField()

    def get_url(self, upload: Upload) -> str:
        """Where chunks go, and where the state is."""
        return reverse("api:upload", kwargs={"upload": upload.pk})

    def get_complete_url(self, upload: Upload) -> str:
        """Where the upload is closed."""
        return reverse("api:upload-complete", kwargs={"upload": upload.pk})


class FileOut(serializers.Serializer[Any]):
    """A file of a version or data set: sealed, or on its way in."""

    path = serializers.CharField()
    size = serializers.IntegerField()
    sha256 = serializers.CharField()
    state = serializers.ChoiceField(choices=["sealed", *Upload.State.values])

    def to_representation(self, instance: ManifestFile | Upload) -> dict[str, Any]:
        """Show either in the one shape."""
        if isinstance(instance, ManifestFile):
            return {
                "path": instance.path,
                "size": instance.blob.size,
                "sha256": instance.blob_id,
                "state": "sealed",
            }
        return {
            "path": instance.path,
            "size": instance.declared_size,
            "sha256": instance.declared_sha256,
            "state": instance.state,
        }


class DatasetQuery(PageQuery):
    """Filters of the list of data sets."""

    name = serializers.CharField(required=False, max_length=256, help_text="Part of the name, in any case.")


class ColumnsIn(Input):
    """What the columns are for."""

    label = Text(  # type: ignore[assignment]
        max_length=250,
        single_line=True,
        required=False,
        help_text="The outcome. All but predictions and live data need it.",
    )
    features = serializers.ListField(child=Text(max_length=250, single_line=True), required=False, max_length=5000)
    weight = Text(max_length=250, single_line=True, required=False, help_text="Finite numbers of at least 0.")
    prediction = Text(max_length=250, single_line=True, required=False, help_text="What a model predicted.")
    score = Text(max_length=250, single_line=True, required=False, help_text="Its probability of the positive outcome.")
    id = Text(max_length=250, single_line=True, required=False, help_text="Tells rows apart; never shown.")
    time = Text(max_length=250, single_line=True, required=False, help_text="A date or time stamp.")
    sensitive = serializers.ListField(
        child=Text(max_length=250, single_line=True), required=False, default=list, max_length=100
    )
    positive = Scalar(required=False, help_text="The label's value that counts as the positive outcome.")


class PredictionsOfIn(Input):
    """What uploaded predictions are of, and the data whose rows they speak of."""

    model = Name()
    version = Whole(min_value=1, max_value=2**31 - 1)
    dataset = Name()
    dataset_version = Whole(min_value=1, max_value=2**31 - 1)
    digest = Sha256(help_text="SHA-256 of the data set's file, as it was predicted.")


class DatasetIn(Input):
    """A new version of a data set; the data set itself, if it is new."""

    name = Name()
    role = serializers.ChoiceField(choices=DatasetVersion.Role.choices)
    columns = ColumnsIn()
    description = Text(max_length=20_000, required=False, allow_blank=True, default="")
    reference = Text(
        max_length=2000,
        required=False,
        single_line=True,
        help_text="Where a worker reads the bytes, once, instead of an upload: an absolute path or `s3://bucket/key`.",
    )
    predictions = PredictionsOfIn(required=False, help_text="With the role `predictions`, and only then.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Only what has no outcome needs no label."""
        if attrs["role"] not in WITHOUT_LABEL and not attrs["columns"].get("label"):
            raise serializers.ValidationError({"columns": {"label": ["This field is required."]}})
        return attrs


WITHOUT_LABEL = {DatasetVersion.Role.PREDICTIONS, DatasetVersion.Role.LIVE}


class FinishVersionIn(Input):
    """How a version is sealed."""

    runnable = serializers.BooleanField(
        default=True,
        help_text="False for a vendor's model that is not here: any files, without an MLmodel; its predictions are uploaded.",
    )


class ProfileColumnOut(serializers.Serializer[Any]):
    """What may be told of a column. Counts that are too small, or would give one away, are null."""

    name = serializers.CharField()
    type = serializers.CharField()
    role = serializers.CharField(allow_blank=True)
    secret = serializers.BooleanField(help_text="Of sensitive columns and ids no value is told.")
    missing = serializers.IntegerField(allow_null=True, required=False)
    not_finite = serializers.IntegerField(allow_null=True, required=False)
    distinct = serializers.IntegerField(allow_null=True, required=False)
    more_than = serializers.IntegerField(required=False, help_text="There are more different values than this.")
    mean = serializers.CharField(required=False)
    quantiles = serializers.ListField(child=serializers.ListField(child=serializers.CharField()), required=False)
    top = serializers.ListField(
        child=serializers.ListField(child=serializers.JSONField()),
        required=False,
        help_text="[value, rows], largest first.",
    )
    rest = serializers.IntegerField(required=False, help_text="Rows of all other values together.")


class ProfileOut(serializers.Serializer[Any]):
    """What may be told of a data set version."""

    rows = serializers.IntegerField()
    smallest_cell = serializers.IntegerField(help_text="Smaller counts are not told.")
    columns = ProfileColumnOut(many=True)


class DatasetVersionOut(serializers.Serializer[DatasetVersion]):
    """One version of a data set, as the server saw its bytes."""

    dataset = serializers.CharField(source="dataset.name")
    number = serializers.IntegerField()
    role = serializers.ChoiceField(choices=DatasetVersion.Role.choices)
    status = serializers.ChoiceField(choices=DatasetVersion.Status.choices)
    status_message = serializers.CharField(allow_blank=True)
    digest = serializers.CharField(allow_blank=True, help_text="SHA-256 of the bytes; empty until they are here.")
    format = serializers.CharField()
    rows = serializers.IntegerField()
    schema = serializers.ListField(child=serializers.DictField())
    columns = serializers.DictField()
    compression = serializers.CharField(allow_blank=True, help_text="How the file was packed: gzip, zstd or not.")
    reference = serializers.CharField(allow_blank=True)
    origin = serializers.DictField(child=serializers.CharField(), help_text="What was found at the reference.")
    predictions_of = serializers.CharField(allow_null=True, help_text="Model and version that made the predictions.")
    predictions_for = serializers.CharField(allow_null=True, help_text="Data set and version that they are for.")
    created_by = serializers.CharField(source="created_by.username")
    created_at = serializers.DateTimeField()
    sealed_at = serializers.DateTimeField(allow_null=True)


class DatasetOut(serializers.Serializer[Dataset]):
    """A data set."""

    name = serializers.CharField()
    description = serializers.CharField()
    owner = serializers.CharField(source="owner.username")
    created_at = serializers.DateTimeField()
    latest_version = serializers.IntegerField(source="latest_number", allow_null=True)
