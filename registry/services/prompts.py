"""What a version of a prompt is sealed with: its text, stored like the files of any version."""

import io
from collections.abc import Mapping

from config.errors import Conflict
from registry import prompts
from registry.digests import SealedFile
from registry.models import ModelTag, RegisteredModel
from registry.storage import blobs


def files_to_seal(model: RegisteredModel, tags: Mapping[str, str]) -> list[SealedFile]:
    """Store what these tags say, if they are of a prompt; nothing for a model's version.

    Raises ``Invalid`` for tags that make no prompt, ``Conflict`` if the model is none.
    """
    prompts.check_tags(tags)
    if not prompts.is_prompt(tags):
        return []
    if not ModelTag.objects.filter(model=model, key=prompts.IS_PROMPT).exists():
        raise Conflict(
            f"{model.name} is registered as a model, so it cannot have a prompt as its version.",
            code="prompt.of_model",
            remedy="Register the prompt under another name.",
        )
    return [
        SealedFile(path=path, size=len(content), sha256=blobs().put(io.BytesIO(content))[0])
        for path, content in sorted(prompts.files_of(tags).items())
    ]
