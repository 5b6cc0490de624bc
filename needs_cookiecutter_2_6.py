# SPDX-License-Identifier: Apache-2.0
"""Stops a Cookiecutter that is too old before it asks anything, and tells the hooks where the template lies.

The name is a message: Cookiecutter 1.7, which Debian 12 installs, does not find a template's modules, and all
it says is "No module named 'needs_cookiecutter_2_6'". Newer ones show the sentence below.

A hook runs as a copy in a temporary directory, started in the new platform. The template's own directory is
relative in Cookiecutter's `_repo_dir` and unknown under cruft.

Keep to this one global. `cruft update` renders the old template and then the new one in one interpreter,
both with the module of the old: a filter added here would be missing exactly there.
"""

from __future__ import annotations

import os
import re

import cookiecutter
from jinja2 import Environment
from jinja2.ext import Extension

OLDEST_COOKIECUTTER = (2, 6)


def too_old(version: str) -> bool:
    """Whether this version of Cookiecutter ("2.6.0", "3.0rc1") is older than the template supports."""
    return tuple(int(number) for number in re.findall(r"\d+", version)[:2]) < OLDEST_COOKIECUTTER


if too_old(cookiecutter.__version__):
    # Cookiecutter shows the text of an ImportError here, and no traceback.
    raise ImportError(
        f"this template needs Cookiecutter 2.6 or newer and this is {cookiecutter.__version__}; "
        'upgrade it with: python -m pip install --upgrade "cookiecutter>=2.6"'
    )


class TemplateDirectory(Extension):
    """Gives hooks `template_directory()`, the absolute path of the template.

    Cookiecutter finds and renders hooks with the template as working directory, be it a local path, a clone,
    an unpacked zip or cruft's checkout. This module's own path would be less sure: it may have been imported
    earlier from another copy of the template.
    """

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        environment.globals["template_directory"] = os.getcwd
