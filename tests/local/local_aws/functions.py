"""Lambda functions: the environment that a `provided.al2023` process of this machine needs instead of Amazon Linux."""

import io
import os
import re
import ssl
import tempfile
import zipfile

from ministack.services import lambda_svc

_env = lambda_svc._provided_worker_env


def install():
    lambda_svc._provided_worker_env = environment


def environment(config, code_dir, port):
    """MiniStack's environment, with what only Lambda's own file system has pointed to where it is here.

    Lambda Developer Guide, "Packaging your layer content": layers are extracted into /opt. A process of this machine
    has no /opt of its own, so the values that name it name the layers' folder instead.
    """
    env = _env(config, code_dir, port)
    for name in [n for n in env if n.startswith(("MINISTACK_", "GATEWAY_")) or n in ("BIND_HOST", "LOG_LEVEL")]:
        del env[name]
    layers = layers_dir(config)
    given = config.get("Environment", {}).get("Variables", {})
    env.update({name: re.sub(r"(^|:)/opt/", rf"\1{layers}/", value) for name, value in given.items()})
    if "SSL_CERT_FILE" in given and not os.path.exists(given["SSL_CERT_FILE"]):
        env["SSL_CERT_FILE"] = ssl.get_default_verify_paths().cafile or given["SSL_CERT_FILE"]
    return env


def layers_dir(config):
    target = tempfile.mkdtemp(prefix="opt-")
    for layer in config.get("Layers") or []:
        with zipfile.ZipFile(io.BytesIO(lambda_svc._resolve_layer_zip(layer))) as contents:
            contents.extractall(target)
    return target
