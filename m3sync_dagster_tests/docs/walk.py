"""A walk through a page: its terminal, and the systems that its commands work with."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import httpx

from m3sync_dagster.sandbox.demo_servers import Sandbox
from m3sync_dagster_tests.docs.blocks import Block
from m3sync_dagster_tests.docs.shell import Shell


@dataclass
class Walk:
    """A user who reads a page and types its commands.

    Args:
        shell: the user's terminal.
        sandbox: the servers in place of m3ter and of a Salesforce org with our objects.
        database: the address of the PostgreSQL database.
        empty_org: the address of a Salesforce org without our objects.
    """

    shell: Shell
    sandbox: Sandbox
    database: str
    empty_org: str
    org: str = field(init=False)
    """The address of the org that the page is about."""

    def __post_init__(self) -> None:
        self.org = self.sandbox.salesforce_url

    def start(self, place: str) -> None:
        """Go to the place at which a page starts.

        Args:
            place: ``empty folder``; ``empty org``: a new project, and an org without our objects;
                ``new project``; ``synced project``.
        """
        if place == "empty org":
            self.org = self.empty_org
        if place != "empty folder":
            self.type("m3sync init acme")
            self.shell.folder /= "acme"
            self.write_credentials()
        if place == "synced project":
            self.type("m3sync run acme")

    def write_credentials(self, **other: str) -> None:
        """Write the values of all credentials into ``.env``.

        Args:
            other: values that are not the right ones.
        """
        given = self.sandbox.environment
        values = given | {
            "SALESFORCE_LOGIN_URL": self.org,
            # The admin's app; the sandbox has one app for both.
            "SALESFORCE_ADMIN_CLIENT_ID": given["SALESFORCE_CLIENT_ID"],
            "SALESFORCE_ADMIN_CLIENT_SECRET": given["SALESFORCE_CLIENT_SECRET"],
        }
        lines = [f"{name}={value}\n" for name, value in (values | other).items()]
        (self.shell.folder / ".env").write_text("".join(lines))

    def type(self, command: str, code: int = 0) -> str:
        """Run a command of the test; gives what it prints."""
        block = Block(self.shell.files, 0, "sh", command, {"exit code": str(code)})
        assert not (wrong := self.shell.run(block)), wrong
        return self.shell.output

    def setup(self, change: object) -> None:
        """Change the Salesforce org, as an admin does in Setup."""
        url = f"{self.org}/sandbox/setup"
        httpx.post(url, json=change).raise_for_status()

    def schema(self, changes: Iterable[object]) -> None:
        """Make fields in Salesforce, as an admin does in the Object Manager."""
        url = f"{self.org}/sandbox/schema"
        httpx.post(url, json=list(changes)).raise_for_status()

    def salesforce_fault(self, rule: object) -> None:
        """Make the Salesforce org answer with an error."""
        url = f"{self.org}/sandbox/faults"
        httpx.post(url, json=rule).raise_for_status()

    def m3ter_fault(self, rule: object) -> None:
        """Make m3ter answer with an error."""
        httpx.post(f"{self.sandbox.m3ter_url}/sandbox/faults", json=rule).raise_for_status()

    def no_faults(self) -> None:
        """Let both systems answer as usual again."""
        for url in (self.sandbox.m3ter_url, self.org):
            httpx.delete(f"{url}/sandbox/faults").raise_for_status()

    def records(self, name: str) -> list[dict[str, str]]:
        """All records of an object in Salesforce."""
        url = f"{self.org}/sandbox/records/{name}"
        found: list[dict[str, str]] = httpx.get(url).json()
        return found

    def edit(self, name: str, record: str, values: dict[str, object]) -> None:
        """Edit a record in Salesforce, as a person does."""
        login = {
            "grant_type": "client_credentials",
            "client_id": self.sandbox.environment["SALESFORCE_CLIENT_ID"],
            "client_secret": self.sandbox.environment["SALESFORCE_CLIENT_SECRET"],
        }
        with httpx.Client(base_url=self.sandbox.salesforce_url) as http:
            token = http.post("/services/oauth2/token", data=login).json()["access_token"]
            http.patch(
                f"/services/data/v67.0/sobjects/{name}/{record}",
                json=values,
                headers={"Authorization": f"Bearer {token}"},
            ).raise_for_status()
