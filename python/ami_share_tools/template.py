"""template.yaml as a document, with CloudFormation's short functions as mappings of their name to their argument."""

import functools
from typing import Any

import yaml

from ami_share_tools.repository import ROOT


class Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short functions."""


def function(loader: Loader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.SequenceNode):
        return {suffix: loader.construct_sequence(node, deep=True)}
    assert isinstance(node, yaml.ScalarNode)
    return {suffix: loader.construct_scalar(node)}


Loader.add_multi_constructor("!", function)


@functools.cache
def template() -> dict[str, Any]:
    document: dict[str, Any] = yaml.load((ROOT / "template.yaml").read_text(), Loader)
    return document


def resources() -> dict[str, Any]:
    found: dict[str, Any] = template()["Resources"]
    return found
