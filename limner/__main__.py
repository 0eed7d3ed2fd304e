"""``limner`` and ``python -m limner``: see ``docs/cli.md``."""

import sys


def main(program: str = "limner") -> int:
    """Run the command line under this name, and return its exit code."""
    try:
        from limner.cli.app import main as command_line
    except ModuleNotFoundError as error:
        if error.name not in {"rich", "typer"}:
            raise
        sys.stderr.write(
            "limner: the command line needs its extra. Install limner again, from where it came from: "
            'pip install "/path/to/the/checkout[cli]"\n'
        )
        return 2
    return command_line(sys.argv[1:], program)


if __name__ == "__main__":
    sys.exit(main("python -m limner"))
