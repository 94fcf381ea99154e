"""TensorFlow Serving around an export: configuration of the server, clients, load.

```python
write_config("exported_models/mnist", "serving")  # the server's files
answers = ask(["three.png", "four.jpg"], "mnist", protocol="grpc")
```

Nothing in it needs Keras, and only `GrpcClient` TensorFlow, when it is made.
"""

from keras_efgsm.serving.answers import Answer, ServerError, answers_of, load_inputs
from keras_efgsm.serving.asking import PROTOCOLS, ask, make_client
from keras_efgsm.serving.deployment import IMAGE, config_texts, container_command, write_config
from keras_efgsm.serving.grpc_client import GrpcClient
from keras_efgsm.serving.load import LoadReport, put_load
from keras_efgsm.serving.rest_client import RestClient
from keras_efgsm.serving.server_config import model_versions, parse_config

__all__ = [
    "IMAGE",
    "PROTOCOLS",
    "Answer",
    "GrpcClient",
    "LoadReport",
    "RestClient",
    "ServerError",
    "answers_of",
    "ask",
    "config_texts",
    "container_command",
    "load_inputs",
    "make_client",
    "model_versions",
    "parse_config",
    "put_load",
    "write_config",
]
