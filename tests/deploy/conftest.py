"""What the manifests say of the server, and of what copies versions to it."""

import pytest
from manifests import MANIFESTS, base, load


@pytest.fixture
def deployment():
    return base("Deployment")


@pytest.fixture
def pod(deployment):
    return deployment["spec"]["template"]


@pytest.fixture
def server(pod):
    [container] = pod["spec"]["containers"]
    return container


@pytest.fixture
def sync():
    containers = load(MANIFESTS / "s3" / "sync.yaml")["spec"]["template"]["spec"]["containers"]
    [container] = [container for container in containers if container["name"] == "sync"]
    return container
