# SPDX-License-Identifier: Apache-2.0
"""Jinja extension that refuses an old Cookiecutter and gives the hooks the template's directory.

The module name is an error message. Cookiecutter 1.7, which Debian 12 installs, does not find modules of a
template and prints only "No module named 'needs_cookiecutter_2_6'". Newer versions print the message below.

A hook runs as a copy in a temporary directory, started in the new platform. The template's own directory is
relative in Cookiecutter's `_repo_dir` and unknown under cruft.

Do not add another global. `cruft update` renders the old template and then the new one in one interpreter,
both with the module of the old template. A filter added here would be missing in the new template.
"""

from __future__ import annotations

import os
import re

import cookiecutter
from jinja2 import Environment
from jinja2.ext import Extension

OLDEST_COOKIECUTTER = (2, 6)


def too_old(version: str) -> bool:
    """Return whether this version ("2.6.0", "3.0rc1") is older than the oldest supported Cookiecutter."""
    return tuple(int(number) for number in re.findall(r"\d+", version)[:2]) < OLDEST_COOKIECUTTER


if too_old(cookiecutter.__version__):
    # Cookiecutter prints the message of an ImportError here without a traceback.
    raise ImportError(
        f"This template needs Cookiecutter 2.6 or newer, got {cookiecutter.__version__}. "
        'Upgrade with: python -m pip install --upgrade "cookiecutter>=2.6"'
    )


class TemplateDirectory(Extension):
    """Jinja extension with the global `template_directory()`, the absolute path of the template.

    Cookiecutter finds and renders hooks with the template as working directory: a local path, a clone, an
    unpacked zip or cruft's checkout. The path of this module is less reliable, because it may have been
    imported earlier from another copy of the template.
    """

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        environment.globals["template_directory"] = os.getcwd
