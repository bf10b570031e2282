"""`model.keras`: the trained network beside what is served."""

from components.train.reuse import model_file, write_model
from components.transform.moments import pixel_moments
from models import fishnet, keras_file
from models.configs import scaled


def test_file_says_which_network_it_holds_and_for_what(transform_output, tmp_path):
    served = f"{tmp_path}/model/Format-Serving"
    network = fishnet.build(scaled("fishnet_tiny", 2, 0.5), 2, (16, 16, 3), stem="small")
    model_config = {"name": "fishnet_tiny", "stem": "small", "width": 2.0, "depth": 0.5}
    write_model(network, model_config, transform_output, ["ant", "bee"], served)
    file = model_file(served)
    assert file == f"{tmp_path}/model/model.keras"
    mean, stddev = pixel_moments(transform_output.transform_features_layer())
    assert keras_file.read_about(file) == keras_file.About(
        "fishnet_tiny", "small", ["ant", "bee"], mean.tolist(), stddev.tolist(), width=2, depth=0.5
    )
