"""A browser without a window."""

import os
import shutil
import subprocess
from collections.abc import Iterator

import pytest

from tests.report.browser import Page

BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """A page of a browser that has no network."""
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        pytest.skip(f"there is no browser: install one of {', '.join(BROWSERS)}")
    to_browser, from_browser = os.pipe(), os.pipe()

    def connect() -> None:  # the browser reads from 3 and writes to 4
        read, write = os.dup(to_browser[0]), os.dup(from_browser[1])
        os.dup2(read, 3)
        os.dup2(write, 4)

    profile = tmp_path_factory.mktemp("browser")
    options = [
        "--headless=new",
        "--remote-debugging-pipe",
        "--no-sandbox",
        "--disable-gpu",
        f"--user-data-dir={profile}",
    ]
    process = subprocess.Popen(
        [program, *options, "about:blank"],
        preexec_fn=connect,
        close_fds=False,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(to_browser[0])
    os.close(from_browser[1])
    page = Page(to_browser[1], from_browser[0])
    yield page
    process.terminate()
    process.wait()
