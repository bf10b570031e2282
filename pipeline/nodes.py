"""The DAG's nodes, by name."""

# The DAG's nodes in the order in which a local run takes them.
NODES = (
    "CuratedSchema",
    "ImportExampleGen",
    "DataGate",
    "StatisticsGen",
    "DistributionValidator",
    "ExampleValidator",
    "AnomalyGate",
    "Transform",
    "Trainer",
    "Champion",
    "Evaluator",
    "ServingGate",
    "Pusher",
    "RunReport",
)
PUSHER = "Pusher"
CHAMPION = "Champion"
REPORT = "RunReport"  # of whatever there is: it runs though others failed or were left out
# Where they are wanted: the model to start from, the search for the Trainer's settings.
WARM_START = "WarmStart"
TUNER = "Tuner"

# What these refuse they would refuse again.
JUDGES = ("DataGate", "AnomalyGate", "Champion")

# These judge, or look at folders that TFX's cache knows nothing of: the data's, the served models'.
NEVER_CACHED = ("FolderFingerprint", "DataGate", "AnomalyGate", "Champion", "Pusher", REPORT)
