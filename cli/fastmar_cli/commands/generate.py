"""Generate a text with a language model.

TARGET is MODEL.mar, or a URL such as http://127.0.0.1:8080/predictions/NAME. TEXT is printed with what follows it; a
server's text is printed as it is generated. --json prints the whole answer, with the text as fastai writes it and the
warnings.

Examples:
  fastmar generate model_store/writer.mar 'The film was'
"""

from __future__ import annotations

import argparse
from typing import Any

from fastmar_cli.arguments import add_key_file, positive, share


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command's arguments."""
    parser.add_argument("target", metavar="TARGET", help="MODEL.mar, or the URL of a served model")
    parser.add_argument("text", metavar="TEXT", help="the text to continue")
    parser.add_argument(
        "-n", "--tokens", type=positive, default=50, metavar="N", help="number of tokens to generate (default: 50)"
    )
    parser.add_argument(
        "--temperature",
        type=float,
        default=1.0,
        metavar="T",
        help="below 1, probable tokens are chosen more often (default: 1)",
    )
    parser.add_argument("--min-p", type=share, metavar="P", help="do not choose tokens with a lower probability")
    parser.add_argument("--seed", type=int, metavar="N", help="the same seed gives the same text")
    parser.add_argument("--allow-unk", action="store_true", help="allow the token for unknown words, xxunk")
    parser.add_argument("--json", action="store_true", help="print the answer as one line of JSON")
    add_key_file(parser)


def run(args: argparse.Namespace) -> int:
    """Print the text; exit status 1 if it was refused."""
    from fastmar_contract.display import printable
    from fastmar_serving.targets import Target, open_target

    target: Target = open_target(args.target, args.key_file)
    options = {
        "temperature": args.temperature,
        "min_p": args.min_p,
        "no_unk": not args.allow_unk,
        "seed": args.seed,
    }
    if args.json:
        return _print_answer(target, args.text, args.tokens, options)
    printed = args.text
    for part in target.stream(args.text, args.tokens, **options):
        print(printable(printed + part), end="", flush=True)
        printed = ""
    print(printable(printed))
    return 0


def _print_answer(target: Any, text: str, tokens: int, options: dict[str, Any]) -> int:
    import orjson

    from fastmar_client.generation import generate_record
    from fastmar_contract.files import JSON

    record = generate_record(target.schema(), text, tokens, **options)
    [answer] = target.records(orjson.dumps(record), JSON)
    print(orjson.dumps(answer).decode())
    return 1 if "error" in answer else 0
