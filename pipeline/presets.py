"""Configurations for a purpose; any field can be set over them. `--preset NAME` takes one."""

from pipeline.config import Config, EvaluatorConfig, ImageConfig
from pipeline.training_config import AugmentConfig, ModelConfig, TrainerConfig

PRESETS: dict[str, Config] = {
    # Handwritten digits that scikit-learn carries, 8×8 pixels: the whole pipeline in two minutes.
    "digits": Config(
        image=ImageConfig(height=16, width=16),
        model=ModelConfig(name="fishnet_tiny", stem="small"),
        augment=AugmentConfig(flip=False, shift=1),
        trainer=TrainerConfig(epochs=8, warmup_epochs=1.0),
        evaluator=EvaluatorConfig(min_top1=0.95),
    ),
    # Your own images: a start, to be adjusted with flags.
    "images": Config(),
    # python local_runner.py --preset finetune --data DIR --model.weights fishnet99_ckpt.tar
    # Your own images, from the published weights; time and accuracy were not measured. For other
    # weights, e.g. model.keras of a training on Tiny ImageNet: --model.name, --model.stem,
    # --image.height and --image.width as they were there.
    "finetune": Config(
        image=ImageConfig(height=224, width=224),
        model=ModelConfig(name="fishnet99"),
        trainer=TrainerConfig(
            epochs=20,
            batch_size=32,
            learning_rate=0.02,
            warmup_epochs=1.0,
            backbone_rate=0.5,
        ),
    ),
    # Tiny ImageNet, 200 classes of 64×64, on two to eight CPU cores or a small GPU. As in the next
    # two the bar is the best that the student study reached.
    "tiny-imagenet": Config(
        model=ModelConfig(name="fishnet_simple"),
        augment=AugmentConfig(shift=6),
        trainer=TrainerConfig(epochs=24, batch_size=128, learning_rate=0.2, warmup_epochs=2.0),
        evaluator=EvaluatorConfig(min_top1=0.25),
    ),
    # The same images on a GPU. Neither was measured.
    "tiny-imagenet-fishnet99": Config(
        model=ModelConfig(name="fishnet99", stem="small"),
        trainer=TrainerConfig(epochs=90, batch_size=128),
        evaluator=EvaluatorConfig(min_top1=0.25),
    ),
    "tiny-imagenet-fishnet150": Config(
        model=ModelConfig(name="fishnet150", stem="small"),
        trainer=TrainerConfig(epochs=90, batch_size=128),
        evaluator=EvaluatorConfig(min_top1=0.25),
    ),
}
