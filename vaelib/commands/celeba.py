"""`python -m vaelib celeba`: CelebA, found on this machine or downloaded."""

from vaelib.support.command_line import OneLineParser, exit_interrupted
from vaelib.support.errors import InputError

SUMMARY = "Find a copy of CelebA on this machine, or download one"
DETAILS = """\
Links data/celeba to the copy that it finds in one of the usual places, which the environment
variable CELEBA can add to. Only with --agree does it download anything."""
EXAMPLE = "celeba --agree --source hub"


def add_options(parser: OneLineParser) -> None:
    parser.add_argument("--agree", action="store_true", help="to CelebA's terms: download it")
    parser.add_argument(
        "--source", choices=("hub", "drive"), help="download only from here (default: try both)"
    )


def run(agree: bool, source: str | None) -> None:
    from vaelib.sources import celeba

    try:
        celeba.find_or_download(agree, source)
    except OSError as error:
        raise InputError(f"{error}; mend that and run the same command again") from error
    except KeyboardInterrupt:
        exit_interrupted("stopped; the same command goes on where it was")
