"""The kinds of actions there are. Who has more of them (Airflow, Spark, Kubernetes, Terraform) gives its own mapping to the compiler and
the driver: ``{**ACTIONS, "airflow": Airflow()}``.
"""

from collections.abc import Mapping

from holdfast.runbooks.actions.airflow import AirflowAction
from holdfast.runbooks.actions.commands import Command, Holdfast, Shell
from holdfast.runbooks.actions.contract import Action
from holdfast.runbooks.actions.sql import Sql
from holdfast.runbooks.actions.web import Http

ACTIONS: Mapping[str, Action] = {action.name: action for action in (Holdfast(), Command(), Shell(), Sql(), Http(), AirflowAction())}
