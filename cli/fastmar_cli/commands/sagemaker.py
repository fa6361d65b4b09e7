"""Put a model on Amazon SageMaker: pack it, deploy it to an endpoint, ask it in bulk, remove it.

Credentials and region come from where the AWS command line has them. Everything that is made carries the endpoint's
name in its own and in the tag fastmar:name. A command that ran already, or stopped half-way, can be run again.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastmar_cli.console import err, notice, out, stages
from fastmar_contract.display import printable

if TYPE_CHECKING:
    from fastmar_serving.clouds.sagemaker.endpoint import Capture
    from fastmar_serving.clouds.sagemaker.model import ModelOptions
    from fastmar_serving.clouds.sagemaker.progress import Progress
    from fastmar_serving.clouds.sagemaker.scaling import Scaling

STARTUP = 480  # seconds that SageMaker gives a container to answer /ping, unless it is told otherwise
READY_TIMEOUT = "FASTMAR_READY_TIMEOUT"  # of the server in the container, which is not to give up sooner


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the subcommands and their arguments."""
    commands = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    package = commands.add_parser("package", help="write model.tar.gz, as SageMaker wants it")
    package.add_argument("archives", nargs="+", type=Path, metavar="MODEL.mar")
    package.add_argument("-o", "--output", type=Path, default=Path("model.tar.gz"), help="default: %(default)s")
    package.set_defaults(act=_package)
    deploy = commands.add_parser("deploy", help="create an endpoint, or update it without a gap")
    _add_model_options(deploy)
    _add_instances(deploy)
    deploy.add_argument(
        "--startup-timeout", type=int, default=STARTUP, metavar="SECONDS", help="to be ready (default: %(default)s)"
    )
    deploy.add_argument("--min", type=int, metavar="N", help="instances at least, with --max (default: 1)")
    deploy.add_argument("--max", type=int, metavar="N", help="scale by itself, to at most so many instances")
    deploy.add_argument(
        "--target-invocations",
        type=float,
        metavar="N",
        help="requests a minute that an instance is to have, with --max",
    )
    deploy.add_argument("--capture", metavar="S3_URI", help="keep requests and answers there")
    deploy.add_argument("--capture-percent", type=int, default=100, metavar="N", help="of the requests (default: 100)")
    deploy.set_defaults(act=_deploy)
    transform = commands.add_parser("transform", help="answer a file, or all files below an s3:// address, in a batch")
    _add_model_options(transform)
    _add_instances(transform)
    transform.add_argument(
        "--input", required=True, metavar="FILE|S3_URI", help=".jsonl, .csv, .json, a picture, or s3://..."
    )
    transform.add_argument("--content-type", help="of what is below an s3:// address, such as application/jsonlines")
    transform.add_argument("-o", "--output", metavar="FILE|S3_URI", help="of answers (default: a folder in the bucket)")
    transform.set_defaults(act=_transform)
    delete = commands.add_parser("delete", help="remove an endpoint and all that was made for it")
    delete.add_argument("name", metavar="NAME", help="of the endpoint")
    delete.add_argument("--bucket", help="look for files there too; otherwise where the models say")
    delete.add_argument("--yes", action="store_true", help="don't ask")
    delete.add_argument("--region", help="default: that of the AWS command line")
    delete.set_defaults(act=_delete)


def _add_model_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("archives", nargs="+", type=Path, metavar="MODEL.mar", help="versions of one model")
    add("--image", required=True, metavar="URI", help="fastmar's image in ECR; a tag that never moves, or a digest")
    add("--role", required=True, metavar="ARN", help="role that SageMaker acts as")
    add("--bucket", required=True, help="for model.tar.gz; in the same region")
    add("--name", help="of the endpoint (default: the model's)")
    add(
        "--env", action="append", default=[], metavar="NAME=VALUE", type=_pair, help="of the container; may be repeated"
    )
    add("--isolated", action="store_true", help="a container without a network (network isolation)")
    add("--region", help="default: that of the AWS command line")


def _add_instances(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--instance-type", required=True, metavar="TYPE", help="such as ml.m5.large")
    parser.add_argument("--count", type=int, default=1, metavar="N", help="instances at the beginning (default: 1)")


def run(args: argparse.Namespace) -> int:
    """Run the subcommand; SIGTERM ends it as Ctrl-C does, with scaling given back and what was made told."""
    from fastmar_cli.signals import ended_by_sigterm

    with ended_by_sigterm():
        status: int = args.act(args)
    return status


def _package(args: argparse.Namespace) -> int:
    from fastmar_serving.clouds.sagemaker.package import package

    packed = package(args.archives, args.output)
    out.print(f"{packed.path}  ({packed.path.stat().st_size:,} bytes)\n  {packed.label}", markup=False)
    return 0


def _deploy(args: argparse.Namespace) -> int:
    from fastmar_serving.clouds.sagemaker.aws import Aws
    from fastmar_serving.clouds.sagemaker.endpoint import EndpointOptions, delete_command, deploy

    if args.image.endswith(":latest") or ":" not in args.image.rpartition("/")[2]:
        notice("the image's tag may move: deploying again will not notice a new image behind it.")
    options = EndpointOptions(
        model_options=_model_options(args),
        instance_type=args.instance_type,
        count=args.count,
        startup=args.startup_timeout,
        scaling=_scaling(args),
        capture=_capture(args),
    )
    aws = Aws(args.region)
    with stages() as stage:
        result = deploy(aws, options, _progress(stage))
    where = f"--endpoint-name {result.name} --region {aws.region}"
    _line(f"\nIn service: {result.name} with {result.config}")
    _line(f"Ask:   aws sagemaker-runtime invoke-endpoint {where} \\")
    _line("           --content-type application/json --body fileb://record.json answer.json")
    if result.rollback_command:
        _line(f"Back:  {result.rollback_command}")
    _line(f"Away:  {delete_command(aws, result.name)}")
    return 0


def _transform(args: argparse.Namespace) -> int:
    from fastmar_serving.clouds.sagemaker.aws import Aws
    from fastmar_serving.clouds.sagemaker.transform import BatchOptions, transform

    model_options = _model_options(args)
    batch = BatchOptions(model_options, args.input, args.content_type, args.output, args.instance_type, args.count)
    with stages() as stage:
        where = transform(Aws(args.region), batch, _progress(stage))
    _line(f"Answers: {where}")
    return 0


def _delete(args: argparse.Namespace) -> int:
    from fastmar_serving.clouds.sagemaker.aws import Aws
    from fastmar_serving.clouds.sagemaker.delete import delete, find

    aws = Aws(args.region)
    with stages() as stage:
        stage(f"Looking for {args.name}")
        found = find(aws, args.name, args.bucket)
    lines = found.lines()
    if not lines:
        _line(f"There is nothing of {args.name} in {aws.region}.")
        return 0
    _line("\n".join(lines))
    if not args.yes and not _agreed(f"Remove {len(lines)} things in {aws.region}?"):
        _line("Nothing was removed.")
        return 1
    with stages() as stage:
        delete(aws, found, _progress(stage))
    _line("Answers of batches, captured requests and logs stay; they are yours.")
    return 0


def _agreed(question: str) -> bool:
    try:
        return err.input(f"{question} [y/N] ", markup=False).strip().lower() in ("y", "yes")
    except EOFError:  # nobody is there to answer
        return False


def _model_options(args: argparse.Namespace) -> ModelOptions:
    from fastmar_serving.clouds.sagemaker.model import ModelOptions
    from fastmar_serving.clouds.sagemaker.names import check_name, name_from_model
    from fastmar_serving.torchserve.archives import read_archive

    return ModelOptions(
        archives=args.archives,
        name=check_name(args.name) if args.name else name_from_model(read_archive(args.archives[0]).name),
        image=args.image,
        role=args.role,
        bucket=args.bucket,
        environment={READY_TIMEOUT: str(getattr(args, "startup_timeout", STARTUP)), **dict(args.env)},
        isolated=args.isolated,
    )


def _scaling(args: argparse.Namespace) -> Scaling | None:
    from fastmar_serving.clouds.sagemaker.errors import RequestRefused
    from fastmar_serving.clouds.sagemaker.scaling import Scaling

    if (args.min, args.max, args.target_invocations) == (None, None, None):
        return None
    if args.max is None or args.target_invocations is None:
        raise RequestRefused(
            "--min, --max and --target-invocations belong together.",
            fix="give --max and --target-invocations: instances at most, and requests a minute that each is to have.",
        )
    return Scaling(1 if args.min is None else args.min, args.max, args.target_invocations)


def _capture(args: argparse.Namespace) -> Capture | None:
    from fastmar_serving.clouds.sagemaker.endpoint import Capture

    return Capture(args.capture, args.capture_percent) if args.capture else None


def _progress(stage: Any) -> Progress:
    from fastmar_serving.clouds.sagemaker.progress import Progress

    return Progress(write=_line, stage=stage)


def _line(text: str) -> None:
    out.print(printable(text), markup=False)


def _pair(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not name or not sign:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value
