"""A person's finding."""

from rest_framework import serializers

from governance.checks.manual import FINDINGS
from registry.api.fields import Input, Text


class FindingIn(Input):
    """What was found, and the words that say why."""

    finding = serializers.ChoiceField(choices=FINDINGS)
    words = Text(max_length=10_000)


class FindingWithFileIn(FindingIn):
    """The same as ``multipart/form-data``, with a file beside it: PDF, PNG, JPEG, text, Markdown, CSV or JSON, 10 MiB at most."""

    attachment = serializers.FileField(required=False, allow_empty_file=True, use_url=False)
