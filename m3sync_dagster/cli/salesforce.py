"""``m3sync salesforce``: writes or deploys m3sync's objects, fields and permission set."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from m3sync_dagster.cli.entity_option import Entities
from m3sync_dagster.cli.exit_codes import FAILED
from m3sync_dagster.cli.output import (
    Json,
    print_error,
    print_json,
    print_message,
    print_table,
    progress,
)
from m3sync_dagster.cli.prepare_environment import prepare
from m3sync_dagster.entities import DEFAULT_ENTITIES
from m3sync_dagster.sync.errors import ConfigurationError

if TYPE_CHECKING:
    from m3sync_dagster.components.resources import SalesforceResource
    from m3sync_dagster.salesforce.deploy import Deploy

salesforce = typer.Typer(
    name="salesforce",
    help="Write or deploy m3sync's custom objects and permission set.",
    no_args_is_help=True,
)

Out = Annotated[Path, typer.Option(help="Folder to write to.")]
FOLDER = Path("salesforce")
Name = Annotated[
    str, typer.Argument(help="The integration, or the Salesforce credential.", show_default=False)
]
CheckOnly = Annotated[
    bool, typer.Option("--check-only", help="Let Salesforce validate it, and change nothing.")
]
AccountLink = Annotated[
    bool,
    typer.Option(
        "--account-link", help="Also the lookup to Account, and the permission set for it."
    ),
]


@salesforce.command()
def metadata(
    *, out: Out = FOLDER, entity: Entities = None, account_link: AccountLink = False
) -> None:
    """Write a Salesforce DX project with m3sync's objects, fields and permission set.

    The object of bill_line_item is left out unless --entity names it.
    """
    from m3sync_dagster.salesforce.metadata_package import sfdx_files

    files = sfdx_files(entity or DEFAULT_ENTITIES, account_link=account_link)
    kept = [out / path for path in files if (out / path).exists()]
    if kept:
        raise ConfigurationError(
            f"{kept[0]} already exists", "Give an empty folder, or delete what is in this one."
        )
    _write({out / path: content for path, content in files.items()})
    print_message(
        f"{len(files)} files are in {out}. Deploy them: sf project deploy start, in that folder."
    )


def _write(files: dict[Path, bytes]) -> None:
    """Write new files: all, or after an error none, so that nobody deploys a part."""
    written: list[Path] = []
    for target, content in files.items():
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            written.append(target)
            target.write_bytes(content)
        except OSError as error:
            for path in written:
                path.unlink(missing_ok=True)
            raise ConfigurationError(
                f"{target} cannot be written ({error.strerror})",
                "Make its folder writable, free disk space, or give another folder.",
            ) from None


@salesforce.command()
def deploy(
    name: Name,
    *,
    entity: Entities = None,
    account_link: AccountLink = False,
    check_only: CheckOnly = False,
    json: Json = False,
) -> None:
    """Deploy m3sync's objects, fields and permission set, without assigning the permission set.

    An integration whose account has a link gets --account-link by itself, and one that carries
    bill_line_item gets its object. Otherwise that object is left out unless --entity names it.

    The user needs the permissions Customize Application and Modify Metadata Through Metadata API
    Functions.
    """
    prepare()
    from m3sync_dagster.salesforce.metadata_package import package, sfdx_files

    target = _target(name)
    links = account_link or target.links
    files = sfdx_files(entity or {*DEFAULT_ENTITIES, *target.carried}, account_link=links)
    with target.resource.opened() as resource:
        result = _deploy(resource, package(files), check_only=check_only)
    if json:
        print_json(_as_dict(result))
    else:
        _show(result, with_link=links)
    if not result.success:
        raise typer.Exit(FAILED)


@dataclass(frozen=True, slots=True)
class _Target:
    """Where to deploy to, and what the integration needs besides the default objects.

    Args:
        resource: the org.
        links: whether it needs our lookup to Account.
        carried: the entities that it carries.
    """

    resource: "SalesforceResource"
    links: bool = False
    carried: Collection[str] = ()


def _target(name: str) -> _Target:
    """The org of an integration or a credential."""
    from m3sync_dagster.cli.find_integration import find
    from m3sync_dagster.components.credential_components import SalesforceCredential
    from m3sync_dagster.components.load_project import load_project
    from m3sync_dagster.salesforce.metadata_package import ACCOUNT_LINK

    for unit in load_project().units:
        for one in unit.components:
            if isinstance(one, SalesforceCredential) and one.name == name:
                return _Target(one.resource())
    loaded = find(name)
    if loaded.integration.namespace != "custom_objects":
        raise ConfigurationError(
            f"the integration {name} writes to the objects of m3ter's managed package",
            "Install the package instead. To deploy m3sync's own objects, give the name of a "
            "Salesforce credential.",
        )
    loaded.require_usable()
    account = loaded.integration.mappings.get("account")
    link = account.link if account else None
    links = link is not None and link.field == ACCOUNT_LINK
    return _Target(loaded.salesforce(), links, loaded.integration.mappings)


def _deploy(resource: "SalesforceResource", archive: bytes, *, check_only: bool) -> "Deploy":
    from m3sync_dagster.salesforce.deploy import UNKNOWN, deploy, how_to_follow

    with progress() as bars:
        task = bars.add_task("check" if check_only else "deploy", total=None, status="queued")
        deploy_id = None
        try:
            for result in deploy(resource.org.transport, archive, check_only=check_only):
                deploy_id = result.id
                text = f"{result.status}: {result.deployed} of {result.total}"
                bars.update(
                    task, total=result.total or None, completed=result.deployed, status=text
                )
        except KeyboardInterrupt:
            print_error(how_to_follow(deploy_id) if deploy_id else UNKNOWN)
            raise
    return result


def _as_dict(result: "Deploy") -> dict[str, object]:
    return {
        "id": result.id,
        "status": result.status,
        "check_only": result.check_only,
        "components": result.total,
        "deployed": result.deployed,
        "errors": result.errors,
        "error": result.error,
        "problems": [
            {
                "type": problem.component_type,
                "component": problem.full_name,
                "problem": problem.problem,
                "file": problem.file_name,
                "line": problem.line_number,
            }
            for problem in result.problems
        ],
    }


def _show(result: "Deploy", *, with_link: bool) -> None:
    if result.problems:
        print_table(
            "Problems",
            ["component", "problem", "file"],
            [[p.full_name, p.problem, f"{p.file_name}:{p.line_number}"] for p in result.problems],
        )
    if not result.success:
        print_error(f"The deploy {result.id} is {result.status}. {result.error or ''}".strip())
        print_error("Nothing was changed in the org.")
    elif result.check_only:
        print_message(f"All {result.total} components could be deployed; nothing was changed.")
    else:
        sets = "sets m3sync and m3sync_account_link" if with_link else "set m3sync"
        print_message(
            f"{result.deployed} components are in the org. Assign the permission {sets} to the "
            "integration user: the deploy assigns nothing to anyone."
        )
