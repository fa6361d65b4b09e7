"""Print a script that makes a shell complete commands, options and files.

Add one of these lines to the start file of your shell:

  eval "$(fastmar completion bash)"        ~/.bashrc
  eval "$(fastmar completion zsh)"         ~/.zshrc, after compinit
  fastmar completion fish | source         ~/.config/fish/config.fish
"""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command's arguments."""
    parser.add_argument("shell", choices=["bash", "zsh", "fish"])


def run(args: argparse.Namespace) -> int:
    """Print the script."""
    from argcomplete.shell_integration import shellcode

    print(shellcode(["fastmar"], shell=args.shell))
    return 0
