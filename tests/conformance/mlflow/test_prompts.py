"""Prompts with MLflow's own client: registered, loaded, searched, aliased, deleted; sealed and governed like versions."""

from collections.abc import Iterator
from typing import Any, cast

import mlflow
import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.prompt.registry_utils import PromptCache

from registry.models import ManifestFile, ModelVersion, RegisteredModel
from registry.storage import blobs
from tests.conformance.mlflow.conftest import Person
from tests.factories import registry as make

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.filterwarnings("ignore")]


@pytest.fixture
def client(server: str, ada: Person, monkeypatch: pytest.MonkeyPatch) -> Iterator[MlflowClient]:
    """MLflow's own client, as ada has it, which remembers no prompt."""
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", ada.token)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    mlflow.set_tracking_uri(server)
    PromptCache._reset_instance()
    yield MlflowClient()
    mlflow.set_tracking_uri("")


def test_a_prompt_lives_its_life(client: MlflowClient) -> None:
    first = mlflow.genai.register_prompt("greeting", "Hello {{name}}!", commit_message="First", tags={"team": "risk"})
    assert (first.name, first.version, first.template) == ("greeting", 1, "Hello {{name}}!")
    second = mlflow.genai.register_prompt("greeting", "Good day, {{name}}.")
    assert second.version == 2

    mlflow.genai.set_prompt_alias("greeting", "candidate", 1)
    assert mlflow.genai.load_prompt("prompts:/greeting@candidate").template == "Hello {{name}}!"
    assert mlflow.genai.load_prompt("prompts:/greeting/2").template == "Good day, {{name}}."
    assert mlflow.genai.load_prompt("greeting").version == 2
    loaded = mlflow.genai.load_prompt("prompts:/greeting/1")
    assert (loaded.commit_message, loaded.tags, loaded.variables) == ("First", {"team": "risk"}, {"name"})
    assert loaded.format(name="Ada") == "Hello Ada!"

    assert [prompt.name for prompt in mlflow.genai.search_prompts()] == ["greeting"]
    assert [prompt.name for prompt in mlflow.genai.search_prompts("name LIKE 'gr%'")] == ["greeting"]
    assert list(mlflow.genai.search_prompts("name = 'other'")) == []
    assert [version.version for version in client.search_prompt_versions("greeting")] == [2, 1]
    assert [model.name for model in client.search_registered_models()] == []
    assert list(client.search_model_versions()) == []

    mlflow.genai.set_prompt_tag("greeting", "owner", "ada")
    assert mlflow.genai.get_prompt_tags("greeting")["owner"] == "ada"
    mlflow.genai.delete_prompt_tag("greeting", "owner")
    mlflow.genai.set_prompt_version_tag("greeting", 1, "reviewed", "yes")
    assert mlflow.genai.load_prompt("prompts:/greeting/1").tags == {"team": "risk", "reviewed": "yes"}
    mlflow.genai.delete_prompt_version_tag("greeting", 1, "reviewed")

    mlflow.genai.delete_prompt_alias("greeting", "candidate")
    assert mlflow.genai.load_prompt("prompts:/greeting@candidate", allow_missing=True) is None
    client.delete_prompt_version("greeting", "2")
    assert mlflow.genai.load_prompt("greeting").version == 1
    client.delete_prompt_version("greeting", "1")
    client.delete_prompt("greeting")
    assert list(mlflow.genai.search_prompts()) == []


def test_a_prompt_of_messages_with_its_format_and_settings(client: MlflowClient) -> None:
    messages = [{"role": "system", "content": "You are {{role}}."}, {"role": "user", "content": "{{question}}"}]
    mlflow.genai.register_prompt(
        "chat",
        messages,
        response_format={"type": "object"},
        model_config={"model_name": "some-model", "temperature": 0.2},
    )
    loaded = mlflow.genai.load_prompt("prompts:/chat/1")
    assert loaded.template == messages
    assert loaded.response_format == {"type": "object"}
    assert loaded.model_config["temperature"] == 0.2
    paths = ManifestFile.objects.filter(manifest=ModelVersion.objects.get().manifest).order_by("path")
    assert [file.path for file in paths] == ["model_config.json", "prompt.json", "response_format.json"]


def test_a_prompt_is_sealed_with_its_text(client: MlflowClient) -> None:
    mlflow.genai.register_prompt("greeting", "Hällo {{name}}!")
    version = ModelVersion.objects.get()
    assert (version.status, version.flavours) == ("READY", ["prompt"])
    file = ManifestFile.objects.get(manifest=version.manifest)
    with blobs().open(file.blob_id) as content:
        assert (file.path, content.read().decode()) == ("prompt.txt", "Hällo {{name}}!")
    assert make.actions()[-3:] == ["version.registered", "manifest.stored", "version.sealed"]

    for change in (
        lambda: mlflow.genai.set_prompt_version_tag("greeting", 1, "mlflow.prompt.text", "evil"),
        lambda: mlflow.genai.delete_prompt_version_tag("greeting", 1, "mlflow.prompt.text"),
        lambda: mlflow.genai.set_prompt_version_tag("greeting", 1, "_mlflow_prompt_type", "chat"),
        lambda: mlflow.genai.set_prompt_model_config("greeting", 1, {"temperature": 2.0}),
    ):
        with pytest.raises(MlflowException, match="never changes") as refused:
            change()  # type: ignore[no-untyped-call]
        assert refused.value.error_code == "RESOURCE_CONFLICT"
    PromptCache._reset_instance()
    assert mlflow.genai.load_prompt("prompts:/greeting/1").template == "Hällo {{name}}!"


def test_the_same_text_is_the_same_digest(client: MlflowClient) -> None:
    for name in ("one", "two"):
        mlflow.genai.register_prompt(name, "Hello!")
    mlflow.genai.register_prompt("two", "Hello?")
    one, two, three = ModelVersion.objects.order_by("created_at")
    assert one.manifest_digest == two.manifest_digest != three.manifest_digest


def test_a_governed_alias_of_a_prompt_needs_a_permit(client: MlflowClient) -> None:
    mlflow.genai.register_prompt("greeting", "Hello!")
    with pytest.raises(MlflowException, match="governed by the policy") as refused:
        mlflow.genai.set_prompt_alias("greeting", "production", 1)
    assert refused.value.error_code == "PERMISSION_DENIED"
    assert not RegisteredModel.objects.get().aliases.exists()


def test_a_model_is_no_prompt_and_a_prompt_no_model(client: MlflowClient) -> None:
    client.create_registered_model("credit")
    mlflow.genai.register_prompt("greeting", "Hello!")
    with pytest.raises(MlflowException, match="exists with the same name"):
        mlflow.genai.register_prompt("credit", "Hello!")
    with pytest.raises(MlflowException, match="already taken by a prompt"):
        client.create_registered_model("greeting")
    key = "mlflow.prompt.is_prompt"
    for change in (
        lambda: client.set_registered_model_tag("credit", key, "true"),
        lambda: client.delete_registered_model_tag("credit", key),
        lambda: mlflow.genai.set_prompt_tag("greeting", key, "false"),
        lambda: mlflow.genai.delete_prompt_tag("greeting", key),
    ):
        with pytest.raises(MlflowException, match="stays so"):
            change()
    # The client asks no server for this; whoever calls the server is refused there.
    store: Any = cast("Any", client)._get_registry_client().store
    tag_of: Any = mlflow.entities.model_registry.ModelVersionTag
    with pytest.raises(MlflowException, match="cannot have a prompt as its version"):
        store.create_model_version(
            "credit",
            "dummy-source",
            tags=[tag_of("mlflow.prompt.is_prompt", "true"), tag_of("mlflow.prompt.text", "x")],
        )
    with pytest.raises(MlflowException, match="cannot be used as model version sources"):
        client.create_model_version("credit", "models:/greeting/1")
    assert ModelVersion.objects.count() == 1
