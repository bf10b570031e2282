"""Configurations for a purpose; any field can be set over them. `--preset NAME` takes one."""

from pipeline.config import Config, EvaluatorConfig, ImageConfig
from pipeline.training_config import AugmentConfig, ModelConfig, TrainerConfig

PRESETS: dict[str, Config] = {
    # python local_runner.py
    # 96.9 % top-1 in a minute on two CPU cores. Handwritten digits that scikit-learn carries, 8×8
    # pixels.
    "digits": Config(
        image=ImageConfig(height=16, width=16),
        model=ModelConfig(name="fishnet_tiny", stem="small"),
        augment=AugmentConfig(flip=False, shift=1),
        trainer=TrainerConfig(epochs=8, warmup_epochs=1.0),
        evaluator=EvaluatorConfig(min_top1=0.95),
    ),
    # python local_runner.py --data DIR
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
    # python local_runner.py --preset tiny-imagenet --data DIR
    # 52 to 53 % top-1 in one to three hours on two CPU cores (docs/results.md). Tiny ImageNet, 200
    # classes of 64×64, on two to eight CPU cores or a small GPU. With `--model.width 2
    # --trainer.epochs 15` 58.7 % in two hours and a quarter, where the CPU has bfloat16. As in the
    # next two the bar is the best that the student study reached.
    "tiny-imagenet": Config(
        model=ModelConfig(name="fishnet_simple"),
        augment=AugmentConfig(shift=6),
        trainer=TrainerConfig(epochs=24, batch_size=128, learning_rate=0.2, warmup_epochs=2.0),
        evaluator=EvaluatorConfig(min_top1=0.25),
    ),
    # python local_runner.py --preset tiny-imagenet-fishnet99 --data DIR
    # The same images on a GPU. Neither this nor the next was measured.
    "tiny-imagenet-fishnet99": Config(
        model=ModelConfig(name="fishnet99", stem="small"),
        trainer=TrainerConfig(epochs=90, batch_size=128),
        evaluator=EvaluatorConfig(min_top1=0.25),
    ),
    # python local_runner.py --preset tiny-imagenet-fishnet150 --data DIR
    "tiny-imagenet-fishnet150": Config(
        model=ModelConfig(name="fishnet150", stem="small"),
        trainer=TrainerConfig(epochs=90, batch_size=128),
        evaluator=EvaluatorConfig(min_top1=0.25),
    ),
}
