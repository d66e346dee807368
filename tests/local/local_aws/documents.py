"""Documents that a function reads at run time: parameters of Parameter Store, configurations of AppConfig."""

import json

from ministack.services import appconfig

from local_aws import parameters

AT_ONCE = {"Name": "AtOnce", "DeploymentDurationInMinutes": 0, "GrowthFactor": 100, "FinalBakeTimeInMinutes": 0,
           "ReplicateTo": "NONE"}


def put_parameter(name, value, type="SecureString", dataType="text"):
    parameters.unvalidated({"Name": name, "Value": value, "Type": type, "DataType": dataType, "Overwrite": True})


def deploy(application, environment, profile, content):
    """Deploy `content` to the profile; application, environment and profile are made when they are new."""
    app = appconfig._resolve_application_id(application) or made(appconfig._create_application({"Name": application}))
    env = (appconfig._resolve_environment_id(app, environment)
           or made(appconfig._create_environment(app, {"Name": environment})))
    profile_id = (appconfig._resolve_configuration_profile_id(app, profile)
                  or made(appconfig._create_configuration_profile(app, {"Name": profile, "LocationUri": "hosted"})))
    _, headers, _ = appconfig._create_hosted_configuration_version(app, profile_id, content.encode(), "text/plain")
    strategy = made(appconfig._create_deployment_strategy(AT_ONCE))
    status, _, body = appconfig._start_deployment(app, env, {
        "DeploymentStrategyId": strategy, "ConfigurationProfileId": profile_id,
        "ConfigurationVersion": headers["Version-Number"]})
    if status != 201:
        raise ValueError(f"the configuration was not deployed: {body}")


def made(answer):
    status, _, body = answer
    if status != 201:
        raise ValueError(f"AppConfig refused: {body}")
    return json.loads(body)["Id"]
