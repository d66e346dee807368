"""Lambda functions: an environment for processes of this machine instead of Amazon Linux, and retried events."""

import io
import json
import os
import re
import ssl
import tempfile
import zipfile

from ami_share_tools.document import Document
from ami_share_tools.local_aws import adapter


def install() -> None:
    adapter.provided_worker_env.replace(environment)
    adapter.dispatch_to_lambda.replace(invoke_for_a_rule)


def invoke_for_a_rule(arn: str, payload: str) -> None:
    """EventBridge invokes functions asynchronously: retries and the on-failure destination are Lambda's (Lambda
    Developer Guide, "Invoking a Lambda function asynchronously"). The pauses are seconds here, not minutes."""
    function, config, _ = adapter.function_of_reference(arn)
    adapter.invoke_async(adapter.execution_record(function, config), json.loads(payload))


def environment(config: Document, code_dir: str, port: int) -> dict[str, str]:
    """The variables Lambda sets (Lambda Developer Guide, "Defined runtime environment variables") and the function's own.

    Layers are extracted into /opt ("Packaging your layer content"), and certificates are where Amazon Linux has them. A
    process of this machine has neither, so values that name these places name where the same thing is here.
    """
    given = config.get("Environment", {}).get("Variables", {})
    env = {
        name: value
        for name, value in adapter.provided_worker_env(config, code_dir, port).items()
        if name.startswith("AWS_") or name in ("PATH", "LANG", "LAMBDA_TASK_ROOT", "TMPDIR", "_HANDLER")
    }
    # "Configuring JSON and plain text log formats": how the runtime learns of the function's LoggingConfig.
    logging = config.get("LoggingConfig", {})
    env.update(
        {
            "AWS_LAMBDA_LOG_FORMAT": logging.get("LogFormat", "Text"),
            "AWS_LAMBDA_LOG_GROUP_NAME": logging.get("LogGroup", f"/aws/lambda/{config['FunctionName']}"),
        }
    )
    if "ApplicationLogLevel" in logging:
        env["AWS_LAMBDA_LOG_LEVEL"] = logging["ApplicationLogLevel"]
    layers = layers_dir(config)
    env.update({name: re.sub(r"(^|:)/opt/", rf"\1{layers}/", value) for name, value in given.items()})
    if not os.path.exists(env.get("SSL_CERT_FILE", "/")):
        env["SSL_CERT_FILE"] = ssl.get_default_verify_paths().cafile or env["SSL_CERT_FILE"]
    return env


def layers_dir(config: Document) -> str:
    target = tempfile.mkdtemp(prefix="opt-")
    for layer in config.get("Layers") or []:
        with zipfile.ZipFile(io.BytesIO(adapter.layer_archive(layer))) as contents:
            contents.extractall(target)
    return target
