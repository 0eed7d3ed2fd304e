"""``python -m limner``: see ``docs/cli.md``."""

import sys


def _main() -> int:
    try:
        from limner.cli.app import main
    except ModuleNotFoundError as error:
        if error.name not in {"rich", "typer"}:
            raise
        sys.stderr.write('limner: the command line needs its extra: pip install "limner[cli]"\n')
        return 2
    return main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(_main())
