# SPDX-License-Identifier: Apache-2.0
"""Command that prints a completion script for a shell: completion.

The script defines a command `mtvm`, which works from any directory, and completes it. The shell's part is
ours, because click's own scripts complete a program on PATH and not a shell function; click computes the
completions.
"""

from __future__ import annotations

import os
import shlex
import sys
from typing import Final

import click

from runtime.host.commands.app import COMMAND_LINE, directory_here, main

# {command}: how to start the command line. The variable is COMPLETE_VARIABLE of __main__.py; click answers
# with pairs of a type (plain, file, dir) and a value.
SCRIPTS: Final = {
    "bash": """\
mtvm() {{ {command} "$@"; }}
_mtvm_complete() {{
  local line kind value typed=${{COMP_LINE:0:COMP_POINT}}
  local -a words=($typed)
  case $typed in *" ") words+=("") ;; esac
  COMPREPLY=()
  while IFS= read -r line; do
    kind=${{line%%,*}} value=${{line#*,}}
    case $kind in
      file|dir) compopt -o default 2>/dev/null ;;
      *) COMPREPLY+=("$value") ;;
    esac
    case $value in *=) compopt -o nospace 2>/dev/null ;; esac
  done < <(COMP_WORDS=$typed COMP_CWORD=$((${{#words[@]}} - 1)) _MTVM_COMPLETE=bash_complete \\
    {command} 2>/dev/null)
  # bash splits words at "=" too, and replaces the part after the last one.
  value=${{words[${{#words[@]}} - 1]}}
  case $value in *=*) COMPREPLY=("${{COMPREPLY[@]#"${{value%=*}}="}}") ;; esac
}}
complete -F _mtvm_complete mtvm mtvm.py
""",
    "zsh": """\
mtvm() {{ {command} "$@"; }}
_mtvm_complete() {{
  local -a lines values prefixes
  local kind value help
  lines=("${{(@f)$(COMP_WORDS="${{words[*]}}" COMP_CWORD=$((CURRENT-1)) _MTVM_COMPLETE=zsh_complete \\
    {command} 2>/dev/null)}}")
  for kind value help in "${{lines[@]}}"; do
    case $kind in
      file|dir) _path_files ;;
      *) [[ $value == *= ]] && prefixes+=("$value") || values+=("$value") ;;
    esac
  done
  (( ${{#prefixes}} )) && compadd -S '' -a prefixes
  (( ${{#values}} )) && compadd -a values
}}
(( $+functions[compdef] )) || {{ autoload -Uz compinit && compinit -u }}
compdef _mtvm_complete mtvm mtvm.py
""",
    "fish": """\
function mtvm
  {command} $argv
end
function _mtvm_complete
  for line in (COMP_WORDS=(commandline -cp | string collect) COMP_CWORD=(commandline -t) \\
      _MTVM_COMPLETE=fish_complete {command} 2>/dev/null)
    set -l pair (string split -m 1 , -- $line)
    switch $pair[1]
      case file dir
        __fish_complete_path (commandline -t)
      case plain
        echo $pair[2]
    end
  end
end
complete -c mtvm -c mtvm.py -f -a '(_mtvm_complete)'
""",
}


@main.command()
@click.argument("shell", type=click.Choice(list(SCRIPTS)))
def completion(shell: str) -> None:
    """Print a script that completes commands in a shell.

    The script also defines the command `mtvm`, which works on this platform from any directory. Load the
    script in the start-up file of bash or zsh with eval "$(python /path/to/mtvm.py completion bash)", and of
    fish with: python /path/to/mtvm.py completion fish | source
    """
    program = os.path.join(os.path.realpath(directory_here()), COMMAND_LINE)  # noqa: PTH118
    click.echo(SCRIPTS[shell].format(command=shlex.join([sys.executable, program])), nl=False)
