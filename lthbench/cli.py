"""The command line: the group of all commands."""

import logging
import sys

import click

from lthbench.commands import boards, data, deployment, methods, plan, speed, status, store, submissions, suites
from lthbench.commands.shared import Commands


@click.group(
    cls=Commands,
    renamed={"bench": "speed"},
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(package_name="lthbench")
def main() -> None:
    """A benchmark for neural-network pruning under equal epoch budgets.

    \b
    lthbench run suites/digits.toml      run a suite (two to three minutes on two cores)
    lthbench board runs/digits           build its board
    """
    logging.basicConfig(level=logging.WARNING, format="lthbench: %(message)s", stream=sys.stderr)


for _command in (
    methods.list_,
    plan.plan,
    suites.run,
    status.status,
    status.log,
    speed.speed,
    boards.score,
    boards.duel,
    boards.board,
    boards.report,
    methods.new,
    methods.check,
    submissions.submit,
    submissions.verify,
    submissions.publish,
    deployment.export,
    deployment.latency,
    data.data_,
    store.store_,
):
    main.add_command(_command)


if __name__ == "__main__":
    main()
