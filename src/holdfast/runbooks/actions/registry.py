"""The kinds of actions there are. Who has more gives a mapping of its own to compiler and driver: ``{**ACTIONS, "own": Own()}``."""

from collections.abc import Mapping

from holdfast.runbooks.actions.airflow import AirflowAction
from holdfast.runbooks.actions.commands import Command, Holdfast, Shell
from holdfast.runbooks.actions.contract import Action
from holdfast.runbooks.actions.kubernetes import Kubernetes
from holdfast.runbooks.actions.spark import Spark
from holdfast.runbooks.actions.sql import Sql
from holdfast.runbooks.actions.terraform import Terraform
from holdfast.runbooks.actions.web import Http

ACTIONS: Mapping[str, Action] = {
    action.name: action for action in (Holdfast(), Command(), Shell(), Sql(), Http(), AirflowAction(), Spark(), Kubernetes(), Terraform())
}
