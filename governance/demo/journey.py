"""The demonstration from the first account to the verified bundle, each step through the door a person would use."""

import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from django.conf import settings

from config.waiting import until
from governance.demo import people, rules, science
from governance.demo.browser import Browser, DemoFailed
from governance.demo.rest import Rest
from governance.demo.training import Split

TARGET: Final = "alias:production"
INTENDED_USE: Final = science.CARD["intended_use"]
CHECKING_SECONDS: Final = 600
PERMIT_SECONDS: Final = 60
SETTLED: Final = frozenset({"ready", "checks_failed", "in_review", "approved", "approved_with_conditions", "rejected"})
OFFICERS: Final = ("officer-1", "officer-2")
Say = Callable[[str], object]


class Journey:
    """One run against a server at ``url``; what earlier runs did is found and kept."""

    def __init__(self, *, url: str, say: Say) -> None:
        self.url = url
        self.say = say
        self.began = time.monotonic()
        self.accounts = {account.username: account for account in people.accounts()}
        self.token = people.token_for("ds-1")
        self.rest = Rest(url, self.token)

    def step(self, text: str) -> None:
        """One line of progress, with the seconds since the start."""
        self.say(f"[{time.monotonic() - self.began:5.0f} s] {text}")

    def run(self, *, signed: bool) -> None:
        """Everything, in order. Raises ``DemoFailed`` with the step and the reason."""
        try:
            self._run(signed=signed)
        finally:
            self.rest.close()

    def _run(self, *, signed: bool) -> None:
        self.step(f"{len(self.accounts)} accounts, one or two for each role")
        split = science.split_data()
        digests = science.register_datasets(self.rest, split)
        rows = f"{len(split.train)} rows to train on, also with a history of unequal referral"
        self.step(f"Data sets sealed over REST: {rows}, and {len(split.holdout)} held out")
        by_mlflow = "logged and registered through the MLflow client"
        live = self._version(science.SOUND, 1, lambda: self._log(science.SOUND, "live", split, digests), by_mlflow)
        science.describe_model(self.rest, science.SOUND, "Who is offered a place in the diabetes follow-up programme")
        self._make_live(live)
        self.step(f"{rules.tighten()} is in force: the bank asks for more than when the older version went live")
        sound = self._version(science.SOUND, 2, lambda: self._log(science.SOUND, "sound", split, digests), by_mlflow)
        unfair = self._version(
            science.UNFAIR, 1, lambda: self._log(science.UNFAIR, "unfair", split, digests), by_mlflow
        )
        science.describe_model(self.rest, science.UNFAIR, "The same, trained on a history of unequal referral")
        by_rest = "registered over REST: metadata, multipart and chunked files"
        self._version(science.UPLOADED, 1, lambda: science.upload_over_rest(self.rest, split, digests), by_rest)
        passes = self._request(science.SOUND, sound)
        fails = self._request(science.UNFAIR, unfair)
        self.step(f"Promotion asked for: {passes} and {fails}; the checks run in the sandbox, on the sealed bytes")
        first = self._settled(passes)
        second = self._settled(fails)
        self.step(f"{passes} {_words(first)}")
        self.step(f"{fails} {_words(second)}")
        for line in self._why_stopped(fails):
            self.say(f"          {line}")
        if first["state"] == "checks_failed" or second["state"] != "checks_failed":
            raise DemoFailed(
                "the sound model must pass and the unfair one must be stopped, and that is not what happened"
            )
        if signed:
            self._sign(passes)
            self._verify(passes)
            self._verify_permit(passes)
        self._hand_over(passes, fails, signed=signed)

    def _log(self, name: str, kind: str, split: Split, digests: dict[str, str]) -> int:
        return science.log_with_mlflow(self.url, self.token, name=name, kind=kind, split=split, digests=digests)

    def _version(self, name: str, number: int, make: Callable[[], int], how: str) -> int:
        """The version if an earlier run registered it, else a new one; says which."""
        found = self.rest.call("GET", f"/models/{name}/versions/{number}", accept=(404,))
        if found is not None and found["status"] == "READY":
            self.step(f"{name} v{number}: kept from an earlier run")
            return number
        made = make()
        self.step(f"{name} v{made}: {how}")
        return made

    def _request(self, model: str, version: int) -> str:
        """The newest request for the version, asked for anew when there is none that counts."""
        rows = [row for row in self.rest.all("/requests", model=model) if row["version"] == version]
        kept = [row for row in rows if row["state"] not in {"withdrawn", "lapsed"}]
        if kept:
            return str(kept[0]["ref"])
        asked = {"model": model, "version": version, "target": TARGET, "intended_use": INTENDED_USE}
        return str(self.rest.call("POST", "/requests", json=asked)["ref"])

    def _settled(self, ref: str) -> dict[str, Any]:
        return self.rest.until(
            f"/requests/{ref}",
            lambda found: found["state"] in SETTLED,
            seconds=CHECKING_SECONDS,
            what=f"Checking {ref}",
        )

    def _make_live(self, version: int) -> None:
        """The older version goes live as every version does: checked, and signed by two officers."""
        ref = self._request(science.SOUND, version)
        found = self._settled(ref)
        if found["state"] in {"ready", "in_review"}:
            self._sign(ref)
        elif found["state"] != "approved":
            raise DemoFailed(f"{ref}, the older version, is {found['state']}: {'; '.join(self._why_stopped(ref))}")
        self.step(f"{science.SOUND} v{version} is live: {ref} was checked and signed by two officers")

    def _sign(self, ref: str) -> None:
        """Each officer signs in, reads the page, and signs with their password, until the request is decided."""
        for username in OFFICERS:
            account = self.accounts[username]
            if self.rest.call("GET", f"/requests/{ref}")["state"] == "approved":
                break
            with Browser(self.url) as browser:
                browser.sign_in(username, account.password)
                if not browser.offers(f"/requests/{ref}/", "sign"):
                    continue  # signed already, in an earlier run
                browser.send(
                    f"/requests/{ref}/",
                    "sign",
                    {
                        "decision": "approve",
                        "meaning": "approval",
                        "comment": "The evidence is complete and the figures are within the policy.",
                        "secret": account.password,
                    },
                )
            self.step(f"{username} signed {ref}")
        state = self.rest.call("GET", f"/requests/{ref}")["state"]
        if state != "approved":
            raise DemoFailed(f"{ref} is {state} after both officers signed")
        self._permit(ref)

    def _permit(self, ref: str) -> None:
        """The two signers of permits do their part, without anybody's doing."""
        found = self.rest.until(
            f"/requests/{ref}",
            lambda one: bool(one["permit"] or (one["issuance"] or {}).get("problem")),
            seconds=PERMIT_SECONDS,
            what=f"Making the permit of {ref}",
        )
        if not found["permit"]:
            raise DemoFailed(f"no permit was made for {ref}: {found['issuance']['problem']}")
        self.step(
            f"the permit of {ref} is made, by the issuer's and the countersigner's key; {TARGET} names its version"
        )

    def _verify(self, ref: str) -> None:
        """The auditor's part: download the bundle, take verify.py out of it, run it without network or server."""
        account = self.accounts["auditor-1"]
        with tempfile.TemporaryDirectory() as scratch, Browser(self.url) as browser:
            browser.sign_in(account.username, account.password)
            bundle = Path(scratch) / "bundle.zip"
            bundle.write_bytes(browser.download(f"/requests/{ref}/evidence.zip"))
            script = Path(scratch) / "verify.py"
            with zipfile.ZipFile(bundle) as archive:
                script.write_bytes(archive.read("verify.py"))
            self.step(f"auditor-1 downloaded the evidence of {ref} ({bundle.stat().st_size} bytes); verify.py says:")
            command = [sys.executable, "-I", str(script), str(bundle)]
            key = settings.KEYS_DIR / "ledger.ed25519.pub.pem"
            if key.exists():  # an auditor keeps it from the day they first saw it; here it lies beside the server
                command += ["--key", str(key)]
            said = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        for line in (said.stdout + said.stderr).splitlines():
            self.say(f"          {line}")
        if said.returncode:
            raise DemoFailed(f"verify.py refused the bundle of {ref} (exit code {said.returncode})")

    def _verify_permit(self, ref: str) -> None:
        """Somebody with a laptop: the permit's file, a trust root, the stand-alone program, and nothing else."""
        permit = self.rest.call("GET", f"/requests/{ref}")["permit"]
        file = f"/permits/{permit}/file"
        if not until(lambda: self.rest.call("GET", file, accept=(404, 409)), seconds=PERMIT_SECONDS, every=0.5):
            raise DemoFailed(f"the permit of {ref} stands on no status list: is the process “countersigner” running?")
        account = self.accounts["auditor-1"]
        with tempfile.TemporaryDirectory() as scratch, Browser(self.url) as browser:
            browser.sign_in(account.username, account.password)
            folder = Path(scratch)
            addresses = {
                "verify_permit.py": "/trust/verify_permit.py",
                "root.json": "/trust/root.json",
                "model.permit.json": f"/permits/{permit}/permit.json",
            }
            for name, address in addresses.items():
                (folder / name).write_bytes(browser.download(address))
            command = [sys.executable, "-I", "verify_permit.py", "model.permit.json", "--trust-root", "root.json"]
            said = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
        self.step("verify_permit.py says of its permit:")
        for line in (said.stdout + said.stderr).splitlines():
            self.say(f"          {line}")
        if said.returncode:
            raise DemoFailed(f"verify_permit.py refused the permit of {ref} (exit code {said.returncode})")

    def _why_stopped(self, ref: str) -> list[str]:
        """One line for each check that stands in the way."""
        rows = self.rest.all(f"/requests/{ref}/checks")
        return [
            f"{row['title']}: {row['summary']}"
            for row in rows
            if row.get("verdict") in {"fail", "inconclusive", "error"}
        ]

    def _hand_over(self, passes: str, fails: str, *, signed: bool) -> None:
        self.say("")
        self.say(f"Countersign runs at {self.url}")
        self.say("")
        width = max(len(account.role) for account in self.accounts.values())
        for account in self.accounts.values():
            self.say(f"  {account.role:{width}}  {account.username:12}  {account.password}")
        self.say("")
        if signed:
            self.say(f"  {passes} is countersigned; {science.SOUND}@production is the approved version.")
        else:
            self.say(f"  Sign in as officer-1, open {passes}, look at the evidence, sign; then as officer-2.")
            self.say("  Then, as auditor-1, export the evidence from that page and run: python verify.py bundle.zip")
        self.say(f"  {fails} shows what stopped the other model.")


def _words(request: dict[str, Any]) -> str:
    return {
        "ready": "passed its policy and waits for two signatures",
        "in_review": "passed its policy and waits for the second signature",
        "approved": "passed its policy and is approved",
        "checks_failed": "was stopped by its checks",
    }.get(request["state"], f"is {request['state']}")
