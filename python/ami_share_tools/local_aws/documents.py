"""Documents that a function reads at run time: parameters of Parameter Store, configurations of AppConfig."""

import json

from ami_share_tools.local_aws import adapter
from ami_share_tools.local_aws.adapter import Answer

AT_ONCE = {
    "Name": "AtOnce",
    "DeploymentDurationInMinutes": 0,
    "GrowthFactor": 100,
    "FinalBakeTimeInMinutes": 0,
    "ReplicateTo": "NONE",
}


def put_parameter(name: str, value: str, type: str = "SecureString", dataType: str = "text") -> None:
    adapter.put_parameter({"Name": name, "Value": value, "Type": type, "DataType": dataType, "Overwrite": True})


def deploy(application: str, environment: str, profile: str, content: str) -> None:
    """Deploy `content` to the profile; application, environment and profile are made when they are new."""
    app = adapter.appconfig_application(application) or made(adapter.create_application({"Name": application}))
    env = adapter.appconfig_environment(app, environment) or made(
        adapter.create_environment(app, {"Name": environment})
    )
    profile_id = adapter.appconfig_profile(app, profile) or made(
        adapter.create_configuration_profile(app, {"Name": profile, "LocationUri": "hosted"})
    )
    _, headers, _ = adapter.create_configuration_version(app, profile_id, content.encode(), "text/plain")
    strategy = made(adapter.create_deployment_strategy(AT_ONCE))
    status, _, body = adapter.start_deployment(
        app,
        env,
        {
            "DeploymentStrategyId": strategy,
            "ConfigurationProfileId": profile_id,
            "ConfigurationVersion": headers["Version-Number"],
        },
    )
    if status != 201:
        raise ValueError(f"the configuration was not deployed: {body}")


def made(answer: Answer) -> str:
    status, _, body = answer
    if status != 201:
        raise ValueError(f"AppConfig refused: {body}")
    return json.loads(body)["Id"]
