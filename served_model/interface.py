"""How a served model is asked: its name, its signatures, their inputs and outputs."""

TF_SERVING = "2.20.0"  # the tag of the image of the server that the model is for

MODEL_NAME = "fishnet"  # under which TF Serving serves the model; its versions' folder is called so

# The exported model's signatures, and the one input that each takes.
SERVING_DEFAULT = "serving_default"  # encoded images
SERVE_EXAMPLES = "serve_examples"  # serialized records
SERVE_TENSORS = "serve_tensors"  # decoded images
TRANSFORM_FEATURES = "transform_features"  # serialized records
SIGNATURES = {
    SERVING_DEFAULT: "image_bytes",
    SERVE_EXAMPLES: "examples",
    SERVE_TENSORS: "images",
    TRANSFORM_FEATURES: "examples",
}

# What they give, TRANSFORM_FEATURES excepted.
CLASSES = "classes"  # string [batch, k]: names of the k most probable classes, best first
SCORES = "scores"  # float32 [batch, k]: their probabilities
PROBABILITIES = "probabilities"  # float32 [batch, classes]: of all classes, in label order
