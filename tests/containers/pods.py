"""Pods of a manifest as containers of a Docker engine, by the rules that kubelet follows.

A sandbox container holds the pod's address and network namespace; the pod's containers join it and share the pod's
volumes. Each runs with what the manifest says: command, environment, user, groups, capabilities, seccomp, read-only root,
requests, limits and mounts. `Cluster` has what a manifest leaves to the cluster. Probes are HTTP requests to the pod's
address, made from outside the pod.

A field that isn't understood here fails the test: nothing in a manifest is left out in silence.
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker
import httpx
from docker.models.containers import Container
from docker.types import Mount
from tests.waiting import eventually

Manifest = Mapping[str, Any]

UNDERSTOOD = {
    "pod": "automountServiceAccountToken containers enableServiceLinks initContainers restartPolicy securityContext"
    " volumes",
    "pod's securityContext": "fsGroup runAsNonRoot runAsUser seccompProfile",
    "volume": "configMap emptyDir name persistentVolumeClaim",
    "container": "args command env image livenessProbe name ports readinessProbe resources restartPolicy securityContext"
    " startupProbe volumeMounts",
    "container's securityContext": "allowPrivilegeEscalation capabilities readOnlyRootFilesystem",
    "mount": "mountPath name readOnly",
    "probe": "failureThreshold httpGet periodSeconds timeoutSeconds",
}
_BYTES = {"Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30}
# kubelet's, for a volume with an fsGroup: the group owns everything, may write, and owns what is new.
_GIVE_TO_GROUP = (
    "chgrp -R {group} {path} && chmod -R ug+rwX {path} && find {path} -type d -exec chmod g+s {{}} +"
)


@dataclass(frozen=True, slots=True)
class Cluster:
    """What a manifest refers to.

    Attributes:
        engine: The Docker engine.
        sandbox: An image with a shell, for the sandboxes.
        images: The image here, by the image that the manifest names.
        secrets: Values, by Secret and key.
        config_maps: The folder of a ConfigMap's files.
        claims: The volume that a PersistentVolumeClaim is bound to.
    """

    engine: docker.DockerClient
    sandbox: str
    images: Mapping[str, str]
    secrets: Mapping[tuple[str, str], str] = field(default_factory=dict)
    config_maps: Mapping[str, Path] = field(default_factory=dict)
    claims: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pod:
    """A running pod.

    Attributes:
        address: Its address, as the engine's host reaches it.
        sandbox: The container that holds its address; its volumes are below ``/volumes``.
        written: Its containers as the manifest has them, by name.
        containers: The same, running.
    """

    address: str
    sandbox: Container
    written: Mapping[str, Manifest]
    containers: dict[str, Container] = field(default_factory=dict)

    def ask(self, port: int | str, path: str, seconds: float = 5) -> httpx.Response:
        """Ask a port of the pod, from outside."""
        return httpx.get(f"http://{self.address}:{port}{path}", timeout=seconds, trust_env=False)

    def passes(self, name: str, kind: str) -> bool:
        """Whether a container's probe passes: kubelet believes a failure once it has seen it `failureThreshold` times."""
        probe = self.written[name][kind]
        return any(self._answers(name, probe) for _ in range(probe.get("failureThreshold", 3)))

    def _answers(self, name: str, probe: Manifest) -> bool:
        only(probe, "probe")
        ports = {each["name"]: each["containerPort"] for each in self.written[name].get("ports", ())}
        port = probe["httpGet"]["port"]
        try:
            return self.ask(
                ports.get(port, port), probe["httpGet"]["path"], probe.get("timeoutSeconds", 1)
            ).is_success
        except httpx.TransportError:
            return False

    def is_ready(self) -> bool:
        """Whether every container that has a readiness probe passes it."""
        return all(
            self.passes(name, "readinessProbe")
            for name in self.written
            if "readinessProbe" in self.written[name]
        )

    def is_alive(self) -> bool:
        """Whether kubelet would let every container run on."""
        return all(
            self.passes(name, "livenessProbe")
            for name in self.written
            if "livenessProbe" in self.written[name]
        )

    def wait_until_started(self, name: str) -> None:
        """Wait for a container's startup probe for as long as kubelet would; a container without one has started."""
        if probe := self.written[name].get("startupProbe"):
            patience = probe.get("failureThreshold", 3) * probe.get("periodSeconds", 10)
            eventually(lambda: self._answers(name, probe), patience)

    def kill(self, name: str, signal: str) -> int:
        """Signal a container's first process; give its exit code. kubelet would start it again: `start` does."""
        self.containers[name].kill(signal)
        return self.containers[name].wait(timeout=60)["StatusCode"]

    def start(self, name: str) -> None:
        """Start a container that ended."""
        self.containers[name].start()
        self.wait_until_started(name)

    def read(self, volume: str, path: str) -> str:
        """Read a file of one of the pod's volumes."""
        code, said = self.sandbox.exec_run(["cat", f"/volumes/{volume}/{path}"])
        if code:
            raise FileNotFoundError(said.decode())
        return said.decode()

    def logs(self) -> str:
        """What the containers said."""
        return "\n".join(f"{name}: {each.logs(tail=20).decode()}" for name, each in self.containers.items())


def address(container: Container) -> str:
    """A container's address in its one network."""
    [network] = container.attrs["NetworkSettings"]["Networks"].values()
    return network["IPAddress"]


def only(written: Manifest, kind: str) -> None:
    """Fail on a field that would be left out in silence."""
    unknown = set(written) - set(UNDERSTOOD[kind].split())
    assert not unknown, f"{kind}: {sorted(unknown)} isn't understood by tests/containers/pods.py"


@contextmanager
def pod(cluster: Cluster, template: Manifest) -> Iterator[Pod]:
    """Run a pod; its init containers are sidecars, each of which has started before the next container starts."""
    spec = template["spec"]
    only(spec, "pod")
    only(spec["securityContext"], "pod's securityContext")
    written = [*spec.get("initContainers", ()), *spec["containers"]]
    with ExitStack() as until_the_end:
        volumes = {each["name"]: _volume(cluster, each, until_the_end) for each in spec.get("volumes", ())}
        sandbox = _run(
            cluster, until_the_end, cluster.sandbox, entrypoint=["sleep", "infinity"], user="0:0",
            mounts=[mount(f"/volumes/{name}", source) for name, source in volumes.items()],
        )  # fmt: skip
        for each in spec.get("volumes", ()):
            _prepare(sandbox, each, spec["securityContext"].get("fsGroup"))
        made = Pod(address(sandbox), sandbox, {each["name"]: each for each in written})
        for each in written:
            assert each in spec["containers"] or each["restartPolicy"] == "Always", "it would run to its end"
            made.containers[each["name"]] = _run(
                cluster, until_the_end, cluster.images[each["image"]],
                network_mode=f"container:{sandbox.id}", **_arguments(cluster, spec, each, volumes),
            )  # fmt: skip
            try:
                made.wait_until_started(each["name"])
            except AssertionError as error:
                raise AssertionError(f"{each['name']} did not start:\n{made.logs()}") from error
        yield made


def _run(cluster: Cluster, until_the_end: ExitStack, image: str, **arguments: Any) -> Container:
    container = cluster.engine.containers.create(image, **arguments)
    until_the_end.callback(container.remove, force=True)
    container.start()
    container.reload()
    return container


def _volume(cluster: Cluster, written: Manifest, until_the_end: ExitStack) -> str | Path:
    only(written, "volume")
    if "configMap" in written:
        return cluster.config_maps[written["configMap"]["name"]]
    if "persistentVolumeClaim" in written:
        return cluster.claims[written["persistentVolumeClaim"]["claimName"]]
    volume = cluster.engine.volumes.create()
    until_the_end.callback(volume.remove, force=True)
    return volume.name


def _prepare(sandbox: Container, written: Manifest, group: int | None) -> None:
    path = f"/volumes/{written['name']}"
    commands = ["true"]
    if "emptyDir" in written:
        commands.append(f"chmod 777 {path}")
    if group is not None and "configMap" not in written:
        commands.append(_GIVE_TO_GROUP.format(group=group, path=path))
    code, said = sandbox.exec_run(["sh", "-c", " && ".join(commands)])
    assert code == 0, said.decode()


def mount(path: str, source: str | Path, *, read_only: bool = False) -> Mount:
    """Mount a folder of this machine, or a volume as a cluster's: it doesn't begin with what the image has there."""
    if isinstance(source, Path):
        return Mount(path, str(source), type="bind", read_only=True)
    return Mount(path, source, type="volume", read_only=read_only, no_copy=True)


def _arguments(
    cluster: Cluster, spec: Manifest, written: Manifest, volumes: Mapping[str, str | Path]
) -> dict[str, Any]:
    of_pod, own = spec["securityContext"], written["securityContext"]
    only(written, "container")
    only(own, "container's securityContext")
    assert of_pod["seccompProfile"] == {"type": "RuntimeDefault"}, "the engine's own profile stays"
    for_claims = {
        each["name"]
        for each in spec.get("volumes", ())
        if each.get("persistentVolumeClaim", {}).get("readOnly")
    }
    mounts = []
    for each in written.get("volumeMounts", ()):
        only(each, "mount")
        read_only = each.get("readOnly", False) or each["name"] in for_claims
        mounts.append(mount(each["mountPath"], volumes[each["name"]], read_only=read_only))
    resources = written["resources"]
    limits = resources.get("limits", {})
    arguments = {
        "command": written.get("args"),
        "environment": {each["name"]: _value(cluster, each) for each in written.get("env", ())},
        "user": str(of_pod["runAsUser"]),
        "group_add": [str(of_pod["fsGroup"])] if "fsGroup" in of_pod else [],
        "read_only": own["readOnlyRootFilesystem"],
        "cap_drop": own["capabilities"]["drop"],
        "security_opt": [] if own["allowPrivilegeEscalation"] else ["no-new-privileges:true"],
        "mounts": mounts,
        "cpu_shares": max(2, int(_cpus(resources["requests"]["cpu"]) * 1024)),
        "mem_limit": _bytes(limits["memory"]),
        "memswap_limit": _bytes(limits["memory"]),
    }
    if "command" in written:
        arguments["entrypoint"] = written["command"]
    if "cpu" in limits:
        arguments["nano_cpus"] = int(_cpus(limits["cpu"]) * 1e9)
    return arguments


def _value(cluster: Cluster, written: Manifest) -> str:
    if "value" in written:
        assert "$(" not in written["value"], "a reference to another variable isn't understood"
        return written["value"]
    secret = written["valueFrom"]["secretKeyRef"]
    return cluster.secrets[secret["name"], secret["key"]]


def _bytes(quantity: str) -> int:
    return int(quantity[:-2]) * _BYTES[quantity[-2:]]


def _cpus(quantity: str) -> float:
    return int(quantity[:-1]) / 1000 if quantity.endswith("m") else float(quantity)
