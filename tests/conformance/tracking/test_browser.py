"""MLflow's pages in the system's Chromium: they work behind their fence, and a script in them cannot leave it."""

from collections.abc import Callable, Iterator

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.data.pandas_dataset import from_pandas
from playwright.sync_api import Page, expect
from sklearn.linear_model import LogisticRegression

from tests.browser.conftest import Tabs, browser_page, chromium
from tests.conformance.mlflow.conftest import Person

__all__ = ["browser_page", "chromium"]

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    pytest.mark.filterwarnings("ignore"),
]
SECONDS_30 = 30_000


@pytest.fixture
def page(browser_page: Tabs, ada: Person) -> Iterator[Page]:
    """A tab of ada's. MLflow's pages keep asking, so it is emptied before anybody waits for their last answer."""
    tab = browser_page(user=ada.user)
    yield tab
    tab.goto("about:blank")
    browser_page.unanswered.clear()


def shown(page: Page, address: str, text: str) -> None:
    page.goto("about:blank")
    page.goto(f"/mlflow/#/{address}")
    expect(page.get_by_text(text, exact=True).first).to_be_visible(timeout=SECONDS_30)


def test_experiments_runs_artifacts_and_our_registry_are_shown(
    client: MlflowClient, worker: Callable[[], int], page: Page, browser_page: Tabs
) -> None:
    frame = pd.DataFrame({"age": np.linspace(20, 60, 40)})
    experiment = mlflow.set_experiment("credit seen").experiment_id
    with mlflow.start_run(run_name="first look") as run:
        mlflow.log_params({"depth": 3})
        for step in range(5):
            mlflow.log_metric("loss", 1 / (step + 1), step=step)
        mlflow.log_text("what was noted", "notes.txt")
        mlflow.log_text("<h1>report</h1><script>document.title = 'left the fence'</script>", "report.html")
        mlflow.log_input(from_pandas(frame, name="bureau"), context="training")
        mlflow.sklearn.log_model(
            LogisticRegression().fit(frame, (frame["age"] > 40).astype(int)),
            name="model",
            input_example=frame[:2],
            registered_model_name="credit-seen",
            pip_requirements=["scikit-learn"],
        )
    assert worker() >= 1
    shown(page, "experiments", "credit seen")
    shown(page, f"experiments/{experiment}/runs/{run.info.run_id}", "first look")
    expect(page.get_by_text("credit-seen").first).to_be_visible(timeout=SECONDS_30)  # the version, by our own view
    expect(page.get_by_text("bureau").first).to_be_visible(timeout=SECONDS_30)
    shown(page, f"experiments/{experiment}/runs/{run.info.run_id}/model-metrics", "loss")
    shown(page, f"experiments/{experiment}/runs/{run.info.run_id}/artifacts", "notes.txt")
    page.get_by_text("notes.txt", exact=True).first.click()
    expect(page.get_by_text("what was noted").first).to_be_visible(timeout=SECONDS_30)
    page.get_by_text("report.html", exact=True).first.click()
    expect(page.frame_locator("iframe").first.get_by_text("report")).to_be_visible(timeout=SECONDS_30)
    assert "left the fence" not in page.title()
    shown(page, "models", "credit-seen")
    shown(page, "models/credit-seen", "Version 1")
    shown(page, "models/credit-seen/versions/1", "Inputs (1)")  # the signature, read from the sealed MLmodel
    # A report's own script, stopped: that is the fence at work.
    browser_page.problems[:] = [told for told in browser_page.problems if "script" not in told.lower()]


OUT_OF_THE_FENCE = {
    "our API": "fetch('/api/v1/models/').then(() => 'reached', () => 'stopped')",
    "another host": "fetch('http://127.0.0.1:9/').then(() => 'reached', () => 'stopped')",
    "a window of ours": "Promise.resolve(window.open('/account/') ? 'reached' : 'stopped')",
    "a frame of ours": """new Promise(done => {
        const frame = document.createElement('iframe'); frame.src = '/account/';
        frame.onload = () => done(frame.contentDocument && frame.contentDocument.querySelector('h1') ? 'reached' : 'stopped');
        frame.onerror = () => done('stopped'); document.body.append(frame); setTimeout(() => done('stopped'), 3000); })""",
    "a script in the page": """new Promise(done => {
        const script = document.createElement('script'); script.textContent = 'window.ran = true';
        document.body.append(script); done(window.ran ? 'reached' : 'stopped'); })""",
    "a script of ours": """new Promise(done => {
        const script = document.createElement('script'); script.src = '/static/js/app.js';
        script.onload = () => done('reached'); script.onerror = () => done('stopped'); document.body.append(script); })""",
    "a form of ours": """new Promise(done => {
        document.addEventListener('securitypolicyviolation', () => done('stopped'));
        const form = document.createElement('form'); form.action = '/sign-out/'; form.method = 'post';
        document.body.append(form); form.submit(); setTimeout(() => done('reached'), 3000); })""",
}


def test_a_script_in_the_pages_does_not_leave_them(client: MlflowClient, page: Page, browser_page: Tabs) -> None:
    del client
    shown(page, "experiments", "Default")
    assert (
        page.evaluate("fetch('ajax-api/2.0/mlflow/experiments/get?experiment_id=0').then(answer => answer.status)")
        == 200
    )
    told = {name: page.evaluate(attempt) for name, attempt in OUT_OF_THE_FENCE.items()}
    assert told == dict.fromkeys(OUT_OF_THE_FENCE, "stopped")
    written = page.evaluate(
        "fetch('ajax-api/2.0/mlflow/experiments/create', {method: 'POST', body: '{\"name\": \"x\"}'}).then(a => a.json())"
    )
    assert written["error_code"] == "PERMISSION_DENIED"
    browser_page.problems.clear()  # the console has told of every attempt
