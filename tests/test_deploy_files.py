"""The files that docs/deploy.md hands out: they parse, agree with each other, and make up a server that starts."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from kallyai_mcp.household.requirements import require_whole
from kallyai_mcp.journal.postgresql import CONNECTIONS
from kallyai_mcp.server.http.endpoint import LARGEST_BODY
from kallyai_mcp.server.http.health import ALIVE_PATH, READY_PATH
from kallyai_mcp.settings import SETTINGS, Settings

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "docs" / "deploy"
FILES = sorted(path for path in (*FOLDER.iterdir(), ROOT / "docs" / "deploy.md"))
VARIABLE = re.compile(r"\bKALLYAI_[A-Z_]+[A-Z]\b")


def of_env(name: str) -> dict[str, str]:
    lines = (FOLDER / name).read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def compose() -> dict[str, Any]:
    return yaml.safe_load((FOLDER / "compose.yaml").read_text())


def manifests() -> dict[tuple[str, str], dict[str, Any]]:
    found = yaml.safe_load_all((FOLDER / "kubernetes.yaml").read_text())
    return {(one["kind"], one["metadata"]["name"]): one for one in found}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_variable_named_exists(path: Path) -> None:
    known = {setting.variable for setting in SETTINGS}
    assert set(VARIABLE.findall(path.read_text())) <= known


def test_the_settings_of_the_compose_file_make_a_server() -> None:
    given = of_env("organisation.env") | of_env("secrets.env.example")
    settings = Settings.read(given)
    require_whole(settings)
    assert compose()["services"]["kallyai"]["env_file"] == ["organisation.env", "secrets.env"]
    assert of_env("migrate.env.example").keys() == {"KALLYAI_DATABASE_URL"}


def test_the_settings_of_the_manifest_make_the_same_server() -> None:
    found = manifests()
    given = found["ConfigMap", "kallyai"]["data"]
    assert given == of_env("organisation.env")
    require_whole(Settings.read(given | found["Secret", "kallyai"]["stringData"]))


def test_the_ports_agree() -> None:
    serving = Settings.read(of_env("organisation.env")).serving
    service, port, metrics = compose()["services"]["kallyai"], str(serving.port), str(serving.metrics_port)
    assert service["expose"] == [port, metrics]
    assert f":{port}{READY_PATH}" in service["healthcheck"]["test"][-1]
    assert f"dynamic a kallyai {port} " in (FOLDER / "Caddyfile").read_text()
    found = manifests()
    container = found["Deployment", "kallyai"]["spec"]["template"]["spec"]["containers"][0]
    assert [one["containerPort"] for one in container["ports"]] == [serving.port, serving.metrics_port]
    assert found["Service", "kallyai"]["spec"]["ports"][0]["port"] == serving.port
    annotations = found["Deployment", "kallyai"]["spec"]["template"]["metadata"]["annotations"]
    assert annotations["prometheus.io/port"] == metrics


def test_a_replica_that_has_started_keeps_its_requests_while_the_database_is_away() -> None:
    """What all replicas lack alike must not take all of them out of the service."""
    container = manifests()["Deployment", "kallyai"]["spec"]["template"]["spec"]["containers"][0]
    assert container["startupProbe"]["httpGet"] == {"path": READY_PATH, "port": "http"}
    for name in ("livenessProbe", "readinessProbe"):
        assert container[name]["httpGet"] == {"path": ALIVE_PATH, "port": "http"}


def test_the_database_of_the_compose_file_is_healthy_only_after_its_roles_are_made() -> None:
    probe = compose()["services"]["postgres"]["healthcheck"]["test"]
    assert probe[probe.index("-h") + 1] == "127.0.0.1"  # while its first start runs roles.sql, it has a socket alone


def test_the_way_without_containers_agrees_with_itself() -> None:
    page, site = (ROOT / "docs" / "deploy.md").read_text(), (FOLDER / "nginx.conf").read_text()
    ports = re.findall(r"server 127\.0\.0\.1:(\d+) ", site)
    assert len(ports) == 2
    assert f"systemctl enable --now {' '.join(f'kallyai@{port}' for port in ports)}" in page
    assert f"`to {' '.join(f'127.0.0.1:{port}' for port in ports)}`" in page
    assert of_env("organisation.env")["KALLYAI_PUBLIC_URL"] == f"https://{re.findall(r'server_name (.*);', site)[0]}"
    unit = (FOLDER / "kallyai@.service").read_text()
    command = shlex.split(next(line for line in unit.splitlines() if line.startswith("ExecStart=")))
    assert command[1] == "serve"
    assert f"http://127.0.0.1:%i{READY_PATH}" in unit, "started is what can serve"
    bounds: list[int | None] = []
    for port in ports:
        typed = [word.replace("%i", port) for word in command[2:]]
        names = {setting.flag: setting.name for setting in SETTINGS}
        flags = {names[flag]: value for flag, value in zip(typed[::2], typed[1::2], strict=True)}
        settings = Settings.read(of_env("organisation.env") | of_env("secrets.env.example"), flags)
        require_whole(settings)
        assert {settings.serving.host, settings.serving.metrics_host} == {"127.0.0.1"}
        bounds += [settings.serving.port, settings.serving.metrics_port]
        assert f"$ kallyai-mcp serve {' '.join(typed)} &" in page
    assert len(set(bounds)) == len(bounds), "no two replicas may want the same port"


def test_no_proxy_keeps_what_a_restart_of_the_replicas_would_break() -> None:
    caddy, site = (FOLDER / "Caddyfile").read_text(), (FOLDER / "nginx.conf").read_text()
    assert "\t\t\tkeepalive off\n" in caddy
    assert not re.search(r"^\s*keepalive ", site, re.MULTILINE)
    assert site.count(" max_fails=0;") == 2
    assert "caddy:2.11 " in (FOLDER / "compose.yaml").read_text(), "2.11.2 is the first that may go on to the next one"


def test_limits_that_are_told_are_those_that_hold() -> None:
    page, manifest = (ROOT / "docs" / "deploy.md").read_text(), (FOLDER / "kubernetes.yaml").read_text()
    body = LARGEST_BODY // 2**20
    assert f"| body of a request | {body} MiB |" in page
    assert f"proxy-body-size: {body}m" in manifest
    assert f"client_max_body_size {body}m;" in (FOLDER / "nginx.conf").read_text()
    limit = int(re.findall(r"CONNECTION LIMIT (\d+)", (FOLDER / "roles.sql").read_text())[0])
    # Transactions and refreshes of tokens; one that hears of changes, one that looks whether the database is there.
    each = 2 * CONNECTIONS + 2
    assert f"replicas times {each}" in page.replace("\n", " ")
    assert limit == 5 * each
    assert f"have {limit}, which is enough for five" in page
    assert limit // each >= 2 * compose()["services"]["kallyai"]["deploy"]["replicas"], "old and new ones at once"


def test_the_public_name_is_the_same_everywhere() -> None:
    name = (Settings.read(of_env("organisation.env")).organisation.public_url or "").removeprefix("https://")
    assert f"{name} {{" in (FOLDER / "Caddyfile").read_text().splitlines()
    ingress = manifests()["Ingress", "kallyai"]["spec"]
    assert (ingress["rules"][0]["host"], ingress["tls"][0]["hosts"]) == (name, [name])


def test_no_container_may_do_more_than_it_has_to() -> None:
    for service in ("kallyai", "migrate"):
        one = compose()["services"][service]
        assert one["read_only"]
        assert one["cap_drop"] == ["ALL"]
        assert one["security_opt"] == ["no-new-privileges:true"]
        assert one["user"] == "10001:10001"
    for kind, name in (("Job", "kallyai-migrate"), ("Deployment", "kallyai")):
        pod = manifests()[kind, name]["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"]
        assert not pod["automountServiceAccountToken"]
        # A Service called kallyai would set KALLYAI_PORT, which is a setting, to an address.
        assert pod["enableServiceLinks"] is False
        context = pod["containers"][0]["securityContext"]
        assert context["readOnlyRootFilesystem"]
        assert not context["allowPrivilegeEscalation"]
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert "memory" in pod["containers"][0]["resources"]["limits"]
    assert "USER 10001" in (ROOT / "Dockerfile").read_text()


def test_there_are_two_replicas_that_end_in_time() -> None:
    service = compose()["services"]["kallyai"]
    assert service["deploy"]["replicas"] == 2
    assert service["stop_grace_period"] == "10s"
    spec = manifests()["Deployment", "kallyai"]["spec"]
    assert spec["replicas"] == 2
    assert spec["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    assert spec["template"]["spec"]["terminationGracePeriodSeconds"] >= 5 + 5


def test_the_image_holds_what_an_organisation_needs() -> None:
    lock = (ROOT / "requirements-image.lock").read_text()
    for name in ("psycopg", "psycopg-binary", "opentelemetry-sdk", "joserfc", "cryptography"):
        assert re.search(rf"^{name}(\[[a-z]+\])?==", lock, re.MULTILINE), name
    assert "requirements-image.lock" in (ROOT / "Dockerfile").read_text()
