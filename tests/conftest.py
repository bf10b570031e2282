"""What several folders of tests share."""

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest
from browser import chromium, open_page
from filelock import FileLock

LOCK = Path(__file__).with_name("readers.lock")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Has the longest file be the first, so that no other process waits for its end."""
    items.sort(key=lambda item: item.path.name != "test_digits_on_kubeflow.py")


@pytest.fixture(scope="session")
def readers(request: pytest.FixtureRequest) -> Path:
    """The Python of an environment with what readers.lock says; made once for each lock."""
    digest = hashlib.sha256(LOCK.read_bytes()).hexdigest()[:16]
    cache = request.config.cache.mkdir("readers")
    environment, made = cache / digest, cache / f"{digest}.made"
    uv = Path(sys.executable).with_name("uv")
    python = environment / "bin" / "python"
    with FileLock(f"{environment}.lock"):
        if made.exists() and python.exists():
            return python
        venv = [uv, "venv", "--quiet", "--clear", "--python", sys.executable, environment]
        subprocess.run(venv, check=True)
        install = [uv, "pip", "install", "--quiet", "--python", python, "--require-hashes"]
        run = subprocess.run([*install, "-r", LOCK], capture_output=True, text=True, check=False)
        if run.returncode and any(word in run.stderr for word in ("dns error", "connect")):
            pytest.skip(f"no network to install readers.lock: {run.stderr.strip()[-300:]}")
        assert run.returncode == 0, run.stderr
        made.touch()
    return python


@pytest.fixture
def command(monkeypatch, capsys):
    """Function: kubeflow_runner.py's arguments → exit code, stdout, stderr; run in this process."""
    import kubeflow_runner

    def command(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["kubeflow_runner.py", *map(str, arguments)])
        try:
            kubeflow_runner.main()
            code = 0
        except SystemExit as exit_info:
            code = exit_info.code or 0
        return code, *capsys.readouterr()

    return command
